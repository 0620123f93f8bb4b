"""``genlab evaluate``: what it prints and writes, what it chooses, what it refuses."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import short_config, trained

from genlab import metrics as package
from genlab.checkpoint import load, save
from genlab.cli import main
from genlab.commands.evaluate import choose, measure
from genlab.datasets.embedded import index
from genlab.errors import UsageError
from genlab.loaded_run import load_model

SMALL = ("iwae_images=2", "iwae_k=3", "num_samples=40")
ALL = sorted(path.stem for path in Path(package.__path__[0]).glob("*.py") if "\ndef measure(" in path.read_text())
UNFIT = {
    "accuracy": "VAE does not classify",
    "log_likelihood": "VAE cannot compute its likelihood",
    "modes": "'fashion_mnist' has no modes of known place",
    "reconstruction": "VAE has no cost of its reconstructions",
    "sample_accuracy": "VAE takes no labels",
}
"""Of a VAE; with what other kinds of data and models are measured by."""

FIT = ["accuracy", "log_likelihood", "modes", "reconstruction", "sample_accuracy"]
"""Of a VAE."""

FIT = ["active_units", "class_coverage", "elbo", "frechet", "inception_score", "iwae", "kernel_distance"]
FIT += ["precision_recall"]
KINDS = ("fd", "is", "kd", "precision", "recall", "density", "coverage")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate") / "a run"
    trained(folder, short_config("vae", "dataset=fashion_mnist", "model.hidden_dims=[16]", "model.latent_dim=2"))
    return folder


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


Capture = pytest.CaptureFixture[str]


def report(capsys: Capture, run: Path, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["evaluate", str(run), "json=true", *SMALL, *words])
    output = capsys.readouterr()
    assert code == 0, output.err
    assert output.err == ""
    return json.loads(output.out)


def refusal(capsys: Capture, run: Path | str, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["evaluate", str(run), *SMALL, *words])
    output = capsys.readouterr()
    assert output.out == ""
    return code, output.err


def test_all_that_applies_is_measured_and_told(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "num_samples=1000")
    assert set(found) == {"metrics", "how", "left_out", "run", "model", "dataset", "checkpoint", "weights", "step"}
    assert set(found["metrics"]) == {
        *("active_units", "classes_in_1000", "elbo", "iwae_3"),
        *(f"{kind}_fashion_features" for kind in KINDS),
    }
    assert found["how"].keys() == found["metrics"].keys()
    assert all(isinstance(value, int | float) for value in found["metrics"].values())
    assert found["left_out"].keys() == {*ALL} - {*FIT, "parzen"}
    assert UNFIT.items() <= found["left_out"].items()
    assert {key: found[key] for key in ("run", "model", "dataset", "checkpoint", "step")} == {
        "run": str(copy),
        "model": "VAE",
        "dataset": "fashion_mnist",
        "checkpoint": "last",
        "step": 6,
    }
    how = dict(found["how"]["fd_fashion_features"])
    low, high = how.pop("interval")
    assert 0 <= low < found["metrics"]["fd_fashion_features"] < high
    assert how == {
        "num_resamples": 100,
        "split": "test",
        "num_real": 1000,
        "num_samples": 1000,
        "seed": 0,
        "network": "fashion_features",
        "sha256": index()["fashion_features.safetensors"]["sha256"],
        "resize": "32 cropped to 28, else area, smaller ones bilinear",
    }
    for name in ("classes_in_1000", *(f"{kind}_fashion_features" for kind in KINDS)):
        assert {"interval", "num_samples", "seed", "network", "sha256", "resize"} < found["how"][name].keys()
    assert found["how"]["elbo"]["num_images"] == 2000
    assert found["how"]["iwae_3"]["num_images"] == 2


def test_what_is_printed_is_what_is_written(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy)
    assert json.loads((copy / "evaluation.json").read_text()) == found
    assert not list(copy.glob(".*.partial"))


def test_the_elbo_is_that_of_the_checkpoint_over_the_test_images(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "metrics=[elbo]", "seed=5")
    loaded = load_model(str(copy))
    loaded.dataset.setup()
    model: Any = loaded.model
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        bounds = [model.elbo(batch.images, generator) for batch in loaded.dataset.test_dataloader()]
    assert found["metrics"] == {"elbo": pytest.approx(torch.cat(bounds).double().mean().item(), rel=1e-9)}


def test_the_table_says_the_same(capsys: Capture, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    metrics = report(capsys, copy)["metrics"]
    assert main(["evaluate", str(copy), *SMALL]) == 0
    output = capsys.readouterr().out
    lines = {line.split()[0]: line for line in output.splitlines() if line.startswith(" ")}
    assert "VAE on fashion_mnist, checkpoint 'last', step 6" in output
    for name, value in metrics.items():
        assert lines[name].split()[1] == f"{value:.5g}"
    assert "nats an image, split test, 2,000 images, draws 1, seed 0" in lines["elbo"]
    assert "100 resamples, split test, 40 real, 40 samples, seed 0" in lines["fd_fashion_features"]
    assert output.count("network fashion_features, sha256 6b9684899f7a…, resize 32 cropped to 28") == 1
    assert re.search(r" 95 % interval \S+ to \S+, ", lines["fd_fashion_features"])
    assert "FID" not in output
    assert re.search("left out, as they do not apply: .*, log_likelihood.*json=true says why", output)
    assert output.splitlines()[-1].endswith("evaluation.json")


def test_batch_size_changes_nothing(capsys: Capture, copy: Path) -> None:
    one, other = (report(capsys, copy, f"batch_size={size}")["metrics"] for size in (7, 1000))
    assert one == {name: pytest.approx(value, rel=1e-5) for name, value in other.items()}


def test_no_score_depends_on_the_others(capsys: Capture, copy: Path) -> None:
    together = report(capsys, copy)["metrics"]
    alone = [report(capsys, copy, f"metrics=[{name}]")["metrics"] for name in FIT]
    assert {name: value for scores in alone for name, value in scores.items()} == together


def test_metrics_are_chosen_by_name_in_the_order_given(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "metrics=[kernel_distance,elbo]")
    assert list(found["metrics"]) == ["kd_fashion_features", "elbo"]
    assert found["left_out"] == {}


def test_every_metric_is_found_by_its_file() -> None:
    assert list(choose(None)) == [name for name in ALL if name != "parzen"]
    assert list(choose(["parzen"])) == ["parzen"]
    for module in choose(ALL).values():
        assert module.__doc__
        assert callable(module.unfit)


def test_the_parzen_window_is_measured_if_it_is_named(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "metrics=[parzen]")
    assert list(found["metrics"]) == ["parzen"]
    assert found["how"]["parzen"]["num_images"] == 2000
    assert 0 < found["how"]["parzen"]["sigma"] <= 1


def test_another_network_gives_its_name(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "features=digit", "metrics=[frechet]")
    assert list(found["metrics"]) == ["fd_digit_features"]


def test_one_sample_is_undefined_and_not_nan(capsys: Capture, copy: Path) -> None:
    found = report(capsys, copy, "num_samples=1", "metrics=[frechet,class_coverage]")
    assert found["metrics"] == {"fd_fashion_features": None, "classes_in_1": 1}
    reason = "there is 1 of at least 2 held-out images; there is 1 of at least 2 samples"
    assert found["how"]["fd_fashion_features"]["undefined"] == reason
    assert main(["evaluate", str(copy), *SMALL, "num_samples=1", "metrics=[kernel_distance]"]) == 0
    assert "kd_fashion_features  undefined" in capsys.readouterr().out


def test_weights_that_are_not_finite_give_no_number(capsys: Capture, copy: Path) -> None:
    path = copy / "checkpoints" / "last.ckpt"
    state = load(path)
    for name in ("encoder.3.bias", "decoder.2.bias"):
        state["state_dict"][name][:] = float("nan")
    save(state, path)
    found = report(capsys, copy)
    assert set(found["metrics"].values()) == {None}
    assert found["how"]["active_units"]["undefined"] == "the mean of a posterior is not finite"
    assert found["how"]["elbo"]["undefined"] == "2000 of 2000 values are not finite"
    assert found["how"]["classes_in_40"]["undefined"] == "the features of 40 of 40 samples are not finite"


def test_a_checkpoint_is_chosen_by_name_or_file(capsys: Capture, copy: Path) -> None:
    words = ("metrics=[elbo]",)
    initial = report(capsys, copy, "checkpoint=initial", *words)
    assert (initial["checkpoint"], initial["step"]) == ("initial", 0)
    best = report(capsys, copy, "checkpoint=best", *words)
    assert best["checkpoint"] == "best"
    assert best["metrics"]["elbo"] > initial["metrics"]["elbo"]
    from_file = report(capsys, copy / "checkpoints" / "best.ckpt", *words)
    assert from_file == best
    assert json.loads((copy / "evaluation.json").read_text()) == best


def test_a_checkpoint_away_from_its_run_writes_nowhere(capsys: Capture, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "away" / "some.ckpt"
    file.parent.mkdir()
    shutil.copy(run / "checkpoints" / "last.ckpt", file)
    assert report(capsys, file, "metrics=[iwae]")["checkpoint"] == "some"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["metrics=[elbow]"], 2, f"no metric 'elbow'; did you mean 'elbo'?\nmetrics: {', '.join(ALL)}"),
        (["metrics=[fid]"], 2, "no metric 'fid'\nmetrics: "),
        (
            ["metrics=[elbo,log_likelihood]"],
            2,
            "log_likelihood: VAE cannot compute its likelihood\nwhat can be: active_units, class_coverage, elbo, ",
        ),
        (["metrics=[]"], 2, "metrics=[]: expected at least 1 values"),
        (["metrics=elbo"], 2, "metrics=elbo: expected a list"),
        (["features=fashon"], 2, "features=fashon: there is no such network"),
        (["num_samples=0"], 2, "num_samples=0: expected more than 0"),
        (["seed=-1"], 2, "seed=-1: expected at least 0"),
        (["batch_size=1.5"], 2, "batch_size=1.5: expected a whole number"),
        (["checkpoint=first"], 4, "has no checkpoint 'first'"),
        (["device=tpu"], 2, "device=tpu: expected 'auto', 'cpu', 'cuda' or 'mps'"),
        (["iwae=5"], 2, "iwae"),
    ],
)
def test_refusals_name_the_fault_and_write_nothing(
    capsys: Capture, copy: Path, words: list[str], code: int, message: str
) -> None:
    earlier = copy / "evaluation.json"
    earlier.write_text("earlier")
    found, error = refusal(capsys, copy, *words)
    assert found == code
    assert message in error
    assert earlier.read_text() == "earlier"


def test_what_is_no_run_is_refused(capsys: Capture) -> None:
    code, error = refusal(capsys, "nowhere")
    assert (code, error.startswith("genlab: 'nowhere' is not a run")) == (4, True)
    assert main(["evaluate", *SMALL]) == 2
    assert "name a run: its folder, a checkpoint file, or `last`" in capsys.readouterr().err


def test_images_that_no_embedded_network_was_trained_on_are_compared_by_imagenet(
    capsys: Capture, tmp_path: Path
) -> None:
    folder = tmp_path / "digits"
    trained(folder, short_config("vae", "dataset=optdigits", "model.hidden_dims=[4]"))
    found = report(capsys, folder, "num_samples=8", "metrics=[frechet,inception_score]")
    assert list(found["metrics"]) == ["fd_efficientnet_lite0", "is_efficientnet_lite0"]
    assert found["how"]["fd_efficientnet_lite0"]["resize"] == "bilinear antialias to 224"
    assert found["how"]["fd_efficientnet_lite0"]["sha256"] == index()["efficientnet_lite0.safetensors"]["sha256"]
    code, error = refusal(capsys, folder, "metrics=[class_coverage]")
    assert (code, "efficientnet_lite0 tells 1,000 classes, too many to look for among 1,000" in error) == (2, True)
    named = report(capsys, folder, "features=digit", "metrics=[class_coverage]")
    assert list(named["metrics"]) == ["classes_in_40"]


def test_samples_of_a_class_are_seen_as_of_that_class(capsys: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "bayes"
    words = [
        "dataset=fashion_mnist",
        "dataset.data_shape=[1,14,14]",
        "dataset.batch_size=1000",
        "model.covariance=diag",
    ]
    trained(folder, short_config("bayes_classifier", *words))
    found = report(capsys, folder, "num_samples=200", "metrics=[sample_accuracy]")
    # By chance it would be 0.1; diagonal Gaussians draw noisy images.
    assert 0.15 < found["metrics"]["sample_accuracy"] < 1
    dataset = load_model(str(folder)).dataset
    dataset.setup()
    assert dataset.class_names is not None
    assert found["how"]["sample_accuracy"]["least_accurate"] in dataset.class_names


def test_nothing_to_measure_is_an_error() -> None:
    never: Any = SimpleNamespace(unfit=lambda evaluation: "it is too late")
    evaluation: Any = None
    with pytest.raises(UsageError, match=r"nothing can be measured:\n  one: it is too late\n  two: it is too late"):
        measure(evaluation, {"one": never, "two": never}, all_must_apply=False)


def test_the_command_is_checked_without_torch() -> None:
    program = "import sys, genlab.commands.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
