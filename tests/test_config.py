"""Composing, checking, saving and building: every fault by its message."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import genlab

from genlab import config
from genlab.config.places import options
from genlab.config.words import normalize, quoted
from genlab.errors import ResourceError, RunError, UsageError

pytest_plugins = ("toy",)
pytestmark = pytest.mark.usefixtures("toy")


def composed(*words: str) -> config.Composed:
    return config.compose("train", ["model=toy", *words])


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        config.check(composed(*words))
    return str(caught.value)


def test_a_model_chooses_its_data_optimizer_and_epochs_and_words_win() -> None:
    plain = composed()
    assert plain.choices | {"dataset": "fashion_mnist", "optimizer": "toy_adam", "model": "toy"} == plain.choices
    assert plain.config["trainer"]["max_epochs"] == 3
    assert plain.config["model"]["image_shape"] == [1, 28, 28]
    assert plain.config["model"]["optimizer"] == plain.config["optimizer"]
    changed = composed("dataset=mnist", "trainer.max_epochs=5", "seed=7", "optimizer.lr=0.5").config
    assert changed["dataset"]["name"] == "mnist"
    assert changed["trainer"]["max_epochs"] == 5
    assert changed["dataset"]["seed"] == changed["seed"] == 7
    assert changed["model"]["optimizer"]["lr"] == 0.5
    config.check(plain)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=toyy", "no model 'toyy'; did you mean 'toy'?\nmodel: "),
        ("model=null", "'model=null': choose one model by its name"),
        ("model=[toy]", "choose one model by its name"),
        ("dataset=mnst", "no dataset 'mnst'; did you mean 'mnist'?\ndataset: "),
        ("experiment=nope", "no experiment 'nope'"),
        ("model.lrr=1", "no key 'model.lrr'"),
        ("lr=1", "no key 'lr'; did you mean 'optimizer.lr'?"),
        ("model.lr=1", "no key 'model.lr'; did you mean 'optimizer.lr'?"),
        ("epochs=1", "no key 'epochs'; did you mean 'trainer.max_epochs'?"),
        ("SEED=1", "no key 'SEED'; did you mean 'seed'?"),
        ("model.zzz=1", "no key 'model.zzz'\nmodel has: "),
        ("mnist", "takes words like key=value; did you mean dataset=mnist?"),
        ("model", "did you mean model=…, with no space before or after the sign?"),
        ("model.widht=1", "no key 'model.widht'; did you mean 'model.width'?\nmodel has: "),
        ("optimzer.lr=1", "no key 'optimzer.lr'; did you mean 'optimizer.lr'?"),
        ("trainer.max_epoch=1", "did you mean 'trainer.max_epochs'?"),
        ("sed=1", "no key 'sed'; did you mean 'seed'?"),
        ("trainer.max_epochs.x=3", "trainer.max_epochs is a single value"),
        ("model.optimizer.lr=3", "model.optimizer follows optimizer: set optimizer.lr=…"),
        ("model.width=1,2", "gives several values: add -m to run them all"),
        ("model.width=[1,2", "is not understood: if it is text, quote it twice"),
        ("model.width", "'model.width' is not understood: `genlab train` takes words like key=value"),
        ("a b=3", "'a b=3' is not understood"),
        ("model.width=???", "model.width must be given: model.width=…"),
        ("seed=${nope}", "seed: ${nope} names a key that is not there\nset on the command line"),
        ("seed=${dataset.seed}", "${dataset.seed} leads back to itself"),
        ("~optimizer", "model.optimizer: ${optimizer} names a key that is not there\nset in "),
    ],
)
def test_words_that_cannot_be_composed(word: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        composed(word)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.lr=abc", "optimizer.lr=abc: expected a number"),
        ("optimizer.lr=0", "optimizer.lr=0: expected more than 0"),
        ("optimizer.lr=-1", "optimizer.lr=-1: expected more than 0"),
        ("optimizer.lr=nan", "optimizer.lr=nan: expected a finite number"),
        ("optimizer.lr=inf", "optimizer.lr=inf: expected a finite number"),
        ("optimizer.lr=true", "optimizer.lr=true: expected a number"),
        ("optimizer.betas=[0.9,1.0]", "optimizer: Invalid beta parameter at index 1: 1.0"),
        ("optimizer.betas=[0.9]", "optimizer.betas=[0.9]: expected a value at position 2"),
        ("optimizer.betas=0.9", "optimizer.betas=0.9: expected a list"),
        ("optimizer.eps=-1", "optimizer: Invalid epsilon value"),
        ("+optimizer.params=1", "no key 'optimizer.params' in Adam"),
        ("optimizer._partial_=false", "optimizer._partial_: expected true"),
        ("trainer.max_steps=1.5", "trainer.max_steps=1.5: expected a whole number"),
        ("trainer.max_steps=-2", "trainer.max_steps=-2: expected at least -1"),
        ("trainer.log_every_n_steps=0", "expected at least 1"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches=0: expected at least 1 or more than 0"),
        ("trainer.limit_val_batches=1.5", "or at most 1"),
        (
            "trainer.max_time=tomorrow",
            "trainer.max_time=tomorrow: expected days, hours, minutes and seconds as 00:01:30:00",
        ),
        ("+trainer.foo=1", "no key 'trainer.foo' in Trainer"),
        ("+trainer.logger=false", "no key 'trainer.logger'"),
        ("~trainer.max_epochs", "the key 'trainer.max_epochs' is missing"),
        ("trainer=3", "trainer=3: expected keys and values"),
        ("dataset.batch_size=-4", "dataset.batch_size=-4: expected more than 0\nset on the command line"),
        ("dataset=vector_file", "dataset=vector_file does not fit model=toy: Toy takes batches of LabelledImages"),
        ("~dataset.name", "the key 'dataset.name' is missing: Embedded needs it"),
        ("model.width=true", "model.width=true: expected a whole number"),
        ("model.width=4.0", "model.width=4.0: expected a whole number"),
        ("model.width=13", "model: width=13 is unlucky; accepted: any other\nset on the command line: model.width=13"),
        ("model.width=99999999999999999999", "a number is too large for any computer"),
        ("model.dropout=1", "model.dropout=1: expected less than 1"),
        ("model.kind=c", "model.kind=c: expected 'a' or 'b'"),
        ("model.kind=null", "expected 'a' or 'b'"),
        ("model.image_shape=[1,2,x]", "expected a whole number at position 3"),
        ("+model.extra=1", "no key 'model.extra' in Toy"),
        ("+model._args_=[1]", "no key 'model._args_'"),
        ("model.optimizer=3", "model.optimizer=3: expected a node with _target_"),
        ("seed=-1", "seed=-1: expected at least 0"),
        ("seed=4294967296", "seed=4294967296: expected"),
        ("precision=16", "precision=16: expected"),
        ("threads=0", "threads=0: expected"),
        ("jobs=0", "jobs=0: expected"),
        ("+foo=1", "no key 'foo'"),
        ("checkpoint.keep=-1", "checkpoint.keep=-1: expected at least 0"),
        ("checkpoint.every_n_minutes=0", "expected more than 0"),
        ("callbacks.sample_grid.num_samples=0", "num_samples=0"),
        ("callbacks.sample_grid.num_samples=x", "expected a whole number"),
        ("accelerator.strategy=ddp", "accelerator.strategy=ddp: expected"),
        ("accelerator.devices=0", "accelerator.devices=0: expected at least 1, or auto\navailable: "),
        ("accelerator.devices=8", "take accelerator=ddp_cpu\navailable: "),
    ],
)
def test_values_that_cannot_work(word: str, message: str) -> None:
    assert message in refusal(word)


@pytest.mark.parametrize(
    "word",
    [
        *("model.dropout=0", "trainer.limit_train_batches=2", "trainer.limit_val_batches=0", "precision=64-true"),
        *("~callbacks.sample_grid", "callbacks=none", "accelerator=ddp_cpu", "threads=2", "+optimizer.foreach=true"),
        *(
            "trainer.max_time=00:00:01:00",
            "trainer.max_epochs=0",
            "trainer.max_steps=0",
            "run_dir=3",
            "accelerator=cpu",
        ),
        *("schedule=constant", "schedule=cosine", "schedule=linear", "schedule=multi_step"),
    ],
)
def test_values_that_work(word: str) -> None:
    config.check(composed(word))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["schedule=cosin"], "no schedule 'cosin'; did you mean 'cosine'?"),
        (["schedule=cosine", "schedule.T_max=x"], "schedule.T_max=x: expected a whole number\nset on the command line"),
        (
            ["schedule=cosine", "trainer.max_epochs=-1"],
            "schedule.T_max=-1: expected at least 0\nset on the command line",
        ),
        (["schedule=cosine", "schedule.eta_min=-1"], "schedule.eta_min=-1: expected at least 0"),
        (["schedule=cosine", "+schedule.last_epoch=3"], "no key 'schedule.last_epoch' in CosineAnnealingLR"),
        (["schedule=cosine", "+schedule.optimizer=3"], "no key 'schedule.optimizer' in CosineAnnealingLR"),
        (["schedule=cosine", "~schedule.T_max"], "the key 'schedule.T_max' is missing: CosineAnnealingLR needs it"),
        (["schedule=cosine", "schedule._partial_=false"], "schedule._partial_: expected true"),
        (["schedule=linear", "schedule.end_factor=2"], "schedule.end_factor=2: expected at most 1"),
        (["schedule=linear", "schedule.start_factor=0"], "schedule.start_factor=0: expected more than 0"),
        (["schedule=multi_step", "schedule.milestones=[3,0]"], "expected at least 1 at position 2"),
        (["schedule=multi_step", "schedule.milestones=[]"], "expected at least 1 values"),
        (["schedule=multi_step", "schedule.gamma=0"], "schedule.gamma=0: expected more than 0"),
        (
            ["schedule=cosine", "schedule._target_=torch.optim.Adam"],
            "schedule._target_=torch.optim.Adam: expected a kind of LRScheduler",
        ),
        (["optimizer._target_=torch.optim.lr_scheduler.LinearLR"], "expected a kind of Optimizer"),
        (
            [
                *("schedule=cosine", "~schedule.T_max", "~schedule.eta_min"),
                "schedule._target_=torch.optim.lr_scheduler.ReduceLROnPlateau",
            ],
            "schedule: ReduceLROnPlateau.step() missing 1 required positional argument: 'metrics'",
        ),
    ],
)
def test_schedules_that_cannot_work(words: list[str], message: str) -> None:
    assert message in refusal(*words)


@pytest.mark.parametrize("word", ["optimizer=sgd", "optimizer.lr=0.1", "+optimizer.foreach=true", "schedule=cosine"])
def test_words_about_the_optimizer_of_a_model_without_one_are_refused(word: str) -> None:
    group = word.lstrip("+").split("=")[0].split(".")[0]
    with pytest.raises(UsageError) as caught:
        config.check(config.compose("train", ["model=gmm", word]))
    assert str(caught.value) == f"'{word}': GMM is fitted without gradients and has no {group}; leave the word out"


def test_messages_name_the_file_and_line_of_a_value(toy: Path) -> None:
    path = toy / "model" / "toy.yaml"
    path.write_text(path.read_text().replace("width: 4", "width: 0"))
    assert refusal().endswith(f"set in {path}, line 10")
    optimizer = toy / "optimizer" / "toy_adam.yaml"
    optimizer.write_text(optimizer.read_text().replace("lr: 1e-3", "lr: -1.0"))
    assert refusal().endswith(f"set in {optimizer}, line 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1: the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- a\n- b\n", "line 1: a list, where key: value is expected"),
        (b"a: 1\nb:\n\tc: 1\n", "line 3: a tab: indent with spaces"),
        (b"a: 1\nb: \xff\n", "line 2: byte 0xff is not UTF-8"),
        (b"a: 1\nb: 2\na: 3\n", "line 3: the key 'a' again, first on line 1"),
        (b"a: on\n", "line 1: 'on' is unclear: write true, or \"on\" in quotes"),
        (b"a: 1\nb: [1, no]\n", "line 2: 'no' is unclear: write false"),
        (b"yes: 1\n", "line 1: 'yes' is unclear"),
        (
            b"a: &a [1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
            "stands for more than 10000 values",
        ),
        (b"a: &a [*a]\n", "line 1: an anchor that contains itself"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a: !!python/object/apply:os.system [ls]\n", "line 1: the tag"),
        (b"a: {b: 1\n", "line 2"),
        (b"? [1, 2]\n: 3\n", "line 1: a key must be text"),
    ],
)
def test_faulty_yaml_files_are_named_with_their_line(toy: Path, text: bytes, message: str) -> None:
    path = toy / "model" / "bad.yaml"
    path.write_bytes(text)
    with pytest.raises(UsageError) as caught:
        composed()
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width: 4", "width: ${nope}", "model.width: ${nope} names a key that is not there\nset in {path}, line 10"),
        (
            "width: 4",
            "width: ${model.width}",
            "model.width: ${model.width} leads back to itself\nset in {path}, line 10",
        ),
        ("width: 4", "width: four", "model.width=four: expected a whole number\nset in {path}, line 10"),
        ("width: 4", "width: 4\n  depth: 2", "no key 'model.depth' in Toy"),
        ("  width: 4  # paper: 8\n", "", "the key 'model.width' is missing: Toy needs it"),
        ("toy_models.Toy", "toy_models.Boy", "toy_models has no 'Boy'\nset in {path}, line 8"),
        ("  - override /dataset: fashion_mnist", "  - override /dataset: nope", "nope"),
        ("model:", "modell:", ""),
    ],
)
def test_faulty_recipes(toy: Path, old: str, new: str, message: str) -> None:
    path = toy / "model" / "toy.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    assert message.replace("{path}", str(path)) in refusal()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os.system", "only classes of genlab"),
        ("builtins.eval", "only classes of genlab"),
        ("torch.load", "only classes of genlab"),
        ("genlabx.Model", "only classes of genlab"),
        ("genlab.models.base.torch.load", "there is no module"),
        ("genlab.models.base.Tensor", "another name of torch.Tensor, which is not allowed"),
        ("genlab.models.base.nn", "this is not a class"),
        ("genlab.checkpoint.load", "this is not a class"),
        ("genlab.nope.Model", "there is no module 'genlab.nope'"),
        ("genlab.models.base.Nope", "has no 'Nope'"),
        ("torch.optim.Adam", "expected a kind of GenerativeModel"),
        ("Toy", "expected the full name of a class"),
    ],
)
def test_targets_that_are_not_ours_are_refused(target: str, message: str) -> None:
    assert message in refusal(f"model._target_={target}")
    with pytest.raises(UsageError):
        config.build(composed(f"model._target_={target}").config["model"] | {"_target_": target}, "model")


def test_a_target_outside_the_list_is_never_imported(toy: Path) -> None:
    trap = toy.parent / "package" / "trap.py"
    trap.write_text("import pathlib; pathlib.Path(__file__).with_name('sprung').touch()\nclass Model: pass\n")
    assert "only classes of" in refusal("model._target_=trap.Model")
    assert not trap.with_name("sprung").exists()


def test_a_users_package_needs_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENLAB_ALLOW")
    assert "joins by --allow PACKAGE" in refusal()


def test_an_import_that_fails_is_shown(toy: Path) -> None:
    path = toy.parent / "package" / "toy_models" / "broken.py"
    path.write_text("import not_installed_anywhere\n")
    assert "needs the package 'not_installed_anywhere'" in refusal("model._target_=toy_models.broken.Model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
@pytest.mark.parametrize("accelerator", ["gpu", "ddp", "multinode"])
def test_a_gpu_that_is_not_there(accelerator: str) -> None:
    with pytest.raises(ResourceError, match=r"no GPU that torch can use\navailable: cpu"):
        config.check(composed(f"accelerator={accelerator}"))


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    gpus = {"accelerator": "gpu", "devices": 8, "num_nodes": 1, "strategy": "ddp_find_unused_parameters_true"}
    with pytest.raises(ResourceError, match=r"more than there are\navailable: gpu 0 \(Tesla\), gpu 1 \(Tesla\), cpu"):
        config.check_devices(gpus, "32-true")
    with pytest.raises(ResourceError, match="this GPU has no bf16"):
        config.check_devices(gpus | {"devices": 2}, "bf16-mixed")
    with pytest.raises(UsageError, match="torchrun"):
        config.check_devices(gpus | {"devices": 2, "num_nodes": 2}, "32-true")
    config.check_devices(gpus | {"devices": [0, 1]}, "32-true")


def test_a_data_set_that_does_not_fit_is_refused_with_those_that_do() -> None:
    message = refusal("dataset=vector_file", "model.image_shape=[1,2,2]", "dataset.path=x")
    assert message.startswith("dataset=vector_file does not fit model=toy: Toy takes batches of LabelledImages")
    assert "data sets that fit: " in message
    assert "mnist" in message.splitlines()[1]
    assert "vector_file" not in message.splitlines()[1]


def test_values_of_a_callback_that_is_not_there_name_the_group_that_was_chosen() -> None:
    words = ["+experiment=pixel_cnn_pp_emoji", "callbacks=none"]
    with pytest.raises(UsageError) as caught:
        config.check(config.compose("train", words))
    found = str(caught.value).splitlines()
    assert found[0].startswith("callbacks.sample_grid: callbacks=none has no 'sample_grid'")
    assert found[0].endswith("or ~callbacks.sample_grid")
    assert "pixel_cnn_pp_emoji.yaml, line" in found[1]
    config.check(config.compose("train", [*words, "~callbacks.sample_grid", "~callbacks.averaged_weights"]))


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    first = composed("seed=3", "run_dir=/somewhere", "model.width=6")
    config.save(first.config, tmp_path / "config.yaml")
    again = config.load(tmp_path / "config.yaml")
    assert again.config | {"run_dir": "/somewhere"} == first.config
    assert config.digest(again.config) == config.digest(first.config)
    assert again.choices == {"model": "toy_models", "dataset": "fashion_mnist"}
    config.check(again)


def test_a_change_of_a_saved_configuration_reaches_what_follows_it(tmp_path: Path) -> None:
    config.save(composed().config, tmp_path / "config.yaml")
    words = ["seed=9", "optimizer.lr=0.25", "dataset.data_shape=[1,32,32]", "trainer.max_epochs=50"]
    changed = config.load(tmp_path / "config.yaml", words)
    assert changed.config == composed(*words).config
    found = config.difference(composed().config, changed.config)
    assert ("trainer.max_epochs", 3, 50) in found
    assert ("model.optimizer.lr", 0.001, 0.25) in found
    assert len(found) == 7


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=toy", "a saved configuration has its model already"),
        ("trainer.max_epoch=3", "did you mean 'trainer.max_epochs'?"),
        ("model.width=0", "model.width=0: expected more than 0\nset on the command line: model.width=0"),
        ("seed=1,2", "gives several values"),
    ],
)
def test_wrong_changes_of_a_saved_configuration(tmp_path: Path, word: str, message: str) -> None:
    config.save(composed().config, tmp_path / "config.yaml")
    with pytest.raises(UsageError) as caught:
        config.check(config.load(tmp_path / "config.yaml", [word]))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "a: 1", "- a", "a: [", "\tx", "model: 3"])
def test_a_damaged_saved_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError):
        config.load(tmp_path / "config.yaml")
    with pytest.raises(RunError):
        config.load(tmp_path / "nothing.yaml")


def test_differences_see_types_and_missing_keys() -> None:
    assert config.difference({"a": 1, "b": {"c": 1}}, {"a": 1.0, "b": {"c": 1, "d": 2}}) == [
        ("a", 1, 1.0),
        ("b.d", None, 2),
    ]


def test_build_makes_tuples_and_factories_and_hands_objects_over_as_they_are() -> None:
    node = composed().config["model"]
    model = config.build(node, "model")
    assert model.image_shape == (1, 28, 28)
    assert model.configure_optimizers()[0].defaults["betas"] == (0.9, 0.999)
    marker = object()
    holder = config.build(
        {"_target_": "toy_models.Toy", **{k: v for k, v in node.items() if k != "kind"}}, "model", kind=marker
    )
    assert holder is not None
    with pytest.raises(UsageError, match="model: width=13 is unlucky"):
        config.build(node | {"width": 13}, "model")


@given(st.text(max_size=30))
@settings(max_examples=500, deadline=None)
def test_any_text_survives_quoting(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text.replace("${", r"\${")


@given(st.text(alphabet="aé=[]{}()'\" ,.:${}~+-1\\/\t\n😀", max_size=12))
@settings(max_examples=1500, deadline=None)
def test_any_word_is_understood_or_refused(text: str) -> None:
    for word in (f"run={text}", f"model.x={text}", text):
        with contextlib.suppress(UsageError):
            normalize("train", word)


KEYS = [
    *("seed", "precision", "threads", "jobs", "run_dir", "trainer.max_epochs", "trainer.max_steps", "trainer.max_time"),
    *("trainer.limit_train_batches", "trainer.limit_val_batches", "optimizer.lr", "optimizer.betas", "optimizer.eps"),
    *("model.width", "model.dropout", "model.kind", "model.image_shape", "model.optimizer", "model._target_"),
    *("dataset.batch_size", "dataset.data_shape", "dataset.num_validation", "dataset.seed", "accelerator.devices"),
    *("callbacks.sample_grid.num_samples", "checkpoint.keep", "checkpoint", "trainer", "nope", "model.nope", "a.b.c"),
]
VALUES = [
    *(
        "0",
        "1",
        "2",
        "-1",
        "4",
        "13",
        "28",
        "1.0",
        "0.5",
        "1e-3",
        "1e400",
        "nan",
        "inf",
        "-inf",
        "99999999999999999999",
    ),
    *(
        "null",
        "true",
        "false",
        "abc",
        "''",
        "'a b'",
        "[1,28,28]",
        "[1,2]",
        "[]",
        "[0.9,0.999]",
        "{a: 1}",
        "{}",
        "auto",
        "a",
    ),
    *("${seed}", "${nope}", "${dataset.seed}", "???", "32-true", "os.system", "torch.optim.SGD", "é", "=", "(", "1,2"),
]
WORDS = st.builds(
    lambda sign, key, value: f"~{key}" if sign == "~" else f"{sign}{key}={value}",
    st.sampled_from(["", "", "", "", "+", "++", "~"]),
    st.sampled_from(KEYS),
    st.sampled_from(VALUES),
)


def outcome(make: Any) -> tuple[str, str]:
    """The digest of what was composed and passed, or the refusal; anything else is a defect and raises."""
    try:
        made = make()
        config.check(made)
    except (UsageError, ResourceError) as error:
        return ("refused" if len(str(error).splitlines()) <= 8 else "more than one screen"), str(error)
    return "composed", config.digest(made.config)


@given(st.lists(WORDS, min_size=1, max_size=4))
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_change_of_a_saved_configuration_works_or_is_refused(saved: Path, words: list[str]) -> None:
    first = outcome(lambda: config.load(saved, words))
    assert first[0] in ("composed", "refused")
    if first[0] == "composed":
        assert outcome(lambda: config.load(saved, words)) == first


@given(
    st.lists(WORDS, max_size=3),
    st.lists(
        st.sampled_from(["dataset=mnist", "dataset=vector_file", "dataset=x", "accelerator=cpu", "callbacks=none"])
    ),
)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_words_compose_to_one_configuration_or_are_refused(
    saved: Path, words: list[str], groups: list[str]
) -> None:
    made: list[config.Composed] = []

    def again() -> config.Composed:
        made.append(composed(*groups, *words))
        return made[-1]

    first = outcome(again)
    assert outcome(again) == first
    if first[0] == "composed":
        printed = saved.with_name("printed.yaml")
        printed.write_text(yaml.safe_dump(made[-1].config))
        assert outcome(lambda: config.load(printed)) == first


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    config.save(composed().config, tmp_path / "config.yaml")
    return tmp_path / "config.yaml"


def test_composing_needs_no_torch() -> None:
    program = (
        "import sys; from genlab import config\n"
        "config.compose('train', ['model=toy']); assert 'torch' not in sys.modules, 'torch'\n"
        "assert 'pydantic' not in sys.modules, 'pydantic'"
    )
    assert genlab(python=program).returncode == 0


def test_every_group_has_options() -> None:
    for group in ("model", "dataset", "optimizer", "schedule", "accelerator", "callbacks"):
        assert options(group), group
    assert os.environ["GENLAB_CONFIG_DIR"]
