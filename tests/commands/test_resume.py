"""``genlab resume``: where it goes on, what it refuses, and that a killed run loses nothing."""

import csv
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from child import TRAIN, Child, genlab
from conftest import composed, differences, small

from genlab.checkpoint import load, verify
from genlab.config import build, options
from genlab.run import Run

KILLS = int(os.environ.get("GENLAB_TEST_KILLS", "0"))
"""How often each model is killed; a long test sets it. Else those of four kinds of training are killed thrice.

Every model is stopped and resumed in the middle of an epoch by the conformance suite, in one process.
"""

KINDS = ("vae", "dcgan", "gmm", "cyclegan")
"""One loss; networks that take turns; no gradient; a state that is no network's, the pool of images."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that stopped in its second epoch."""
    assert genlab(*TRAIN, "trainer.max_steps=4", "run_dir=run", folder=tmp_path)[0] == 0
    return tmp_path / "run"


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", options("model") if KILLS else KINDS)
def test_killed_at_random_moments_and_resumed_equals_never_stopped(model: str, tmp_path: Path) -> None:
    words = ["train", f"model={model}", "accelerator=cpu", "threads=1", "trainer.max_epochs=2", "callbacks=none"]
    words += ["trainer.limit_train_batches=4", "trainer.limit_val_batches=1", "trainer.log_every_n_steps=1"]
    words += ["checkpoint.every_n_minutes=0.001", "dataset.batch_size=16", *small(f"model={model}")]
    build(composed(*words[1:])["dataset"], "dataset").load_once()  # here, so that no child has to
    (tmp_path / "whole").mkdir()
    started = time.monotonic()
    whole = Child(*words, "run_dir=run", folder=tmp_path / "whole")
    assert whole.code() == 0, whole.output
    seconds = time.monotonic() - started
    kills = KILLS or 3
    moments = random.Random(f"{model} {kills}")
    killed, number = 0, 0
    while killed < kills:
        number += 1
        run = tmp_path / f"run-{number}"
        while True:
            begun = (run / "config.yaml").is_file()
            child = Child(*(["resume", run.name] if begun else [*words, f"run_dir={run.name}"]), folder=tmp_path)
            if killed >= kills or not child.kill_after(moments.uniform(0, seconds)):
                assert child.code() == 0, child.output
                break
            killed += 1
            for path in run.glob("checkpoints/*.ckpt"):
                verify(path)
        assert not list(run.rglob("*.partial"))
        ends = [load(folder / "checkpoints" / "last.ckpt") for folder in (tmp_path / "whole" / "run", run)]
        assert differences(*ends) == []
        for name in ("log.csv", "metrics.json"):
            assert (run / name).read_text() == (tmp_path / "whole" / "run" / name).read_text()


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=whole", folder=tmp_path)[0] == 0
    child = Child(*TRAIN, "run_dir=run", folder=tmp_path, tell_at=1)
    child.wait_for_step()
    child.send(signal.SIGKILL)
    child.code()
    assert Run(tmp_path / "run").candidates() == []
    code, output = genlab("resume", "run", folder=tmp_path)
    assert code == 0, output
    assert "going on from the beginning: there is no checkpoint yet" in output
    ends = [load(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "run")]
    assert differences(*ends) == []


def test_last_without_any_run(tmp_path: Path) -> None:
    code, output = genlab("resume", "last", folder=tmp_path)
    assert code == 4
    assert "there is no run under" in output


def test_last_is_the_newest_run(tmp_path: Path) -> None:
    for seed in (1, 2):
        assert genlab(*TRAIN, f"seed={seed}", "trainer.max_steps=1", folder=tmp_path)[0] == 0
    code, output = genlab("resume", "last", "trainer.max_steps=2", folder=tmp_path)
    assert code == 0, output
    newest = max((tmp_path / "outputs" / "vae").iterdir(), key=lambda run: run.name)
    assert Run(newest).config["trainer"]["max_steps"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "'nowhere' is not a run: there is nothing of that name"),
        ([], "name a run: its folder, a checkpoint file, or `last`"),
        (["."], "'.' is not a run: it has no config.yaml"),
    ],
)
def test_what_is_no_run(tmp_path: Path, words: list[str], message: str) -> None:
    code, output = genlab("resume", *words, folder=tmp_path)
    assert code == (4 if words else 2)
    assert message in output


def test_a_complete_run_is_left_as_it_is(tmp_path: Path) -> None:
    assert genlab(*TRAIN, "run_dir=run", folder=tmp_path)[0] == 0
    before = contents(tmp_path / "run")
    code, output = genlab("resume", "run", folder=tmp_path)
    assert code == 0
    assert "already complete, after step 6; to go on, give more: trainer.max_epochs=…" in output
    assert contents(tmp_path / "run") == before
    assert genlab("resume", "run", "trainer.max_epochs=3", folder=tmp_path)[0] == 0
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] == 9


def test_a_run_whose_steps_are_over_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    _, output = genlab(*TRAIN, "trainer.max_steps=4", "run_dir=run", folder=tmp_path)
    [hint] = [line.split()[3:] for line in output.splitlines() if line.startswith("go on")]
    assert hint == ["resume", "run", "trainer.max_epochs=4", "trainer.max_steps=8"]
    code, output = genlab("resume", "run", "trainer.max_epochs=9", folder=tmp_path)
    assert code == 0
    assert "to go on, give more: trainer.max_steps=…, which is 4, or -1 for epochs alone" in output
    assert genlab(*hint, folder=tmp_path)[0] == 0
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] == 8


def test_a_run_with_epochs_enough_is_given_more_steps_alone(tmp_path: Path) -> None:
    _, output = genlab(*TRAIN, "trainer.max_steps=4", "trainer.max_epochs=9", "run_dir=run", folder=tmp_path)
    [hint] = [line.split()[3:] for line in output.splitlines() if line.startswith("go on")]
    assert hint == ["resume", "run", "trainer.max_steps=8"]


def test_a_run_that_holds_nothing_out_suggests_no_evaluation(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "rows.csv", np.random.default_rng(0).normal(size=(40, 2)), delimiter=",")
    words = ("model=gmm", "dataset=vector_file", "dataset.path=rows.csv", "model.num_components=2")
    words = (*words, "dataset.batch_size=10", "callbacks=none", "threads=1")
    code, output = genlab("train", *words, "run_dir=all", folder=tmp_path)
    assert code == 0, output
    assert "evaluate     needs items that were not trained on: dataset.num_validation=N of a new run" in output
    assert genlab("evaluate", "all", folder=tmp_path)[0] == 2
    for split in ("num_validation", "num_test"):
        code, output = genlab("train", *words, f"dataset.{split}=10", f"run_dir={split}", folder=tmp_path)
        assert f"evaluate     genlab evaluate {split}" in output


@pytest.mark.parametrize(
    ("schedule", "key"), [("cosine", "T_max"), ("linear", "total_iters"), ("constant_then_linear", "total_epochs")]
)
def test_a_run_whose_rate_is_at_its_end_is_trained_anew_for_longer(tmp_path: Path, schedule: str, key: str) -> None:
    _, output = genlab(*TRAIN, f"schedule={schedule}", "run_dir=run", folder=tmp_path)
    assert not [line for line in output.splitlines() if line.startswith("go on")]
    [hint] = [line.split()[2:] for line in output.splitlines() if line.startswith("longer")]
    assert hint == ["train", "config=run/config.yaml", "trainer.max_epochs=4", f"schedule.{key}=4"]
    code, output = genlab(*hint, "run_dir=again", folder=tmp_path)
    assert code == 0, output
    with (tmp_path / "again" / "log.csv").open(encoding="utf-8") as file:
        rates = [float(row["train/lr"]) for row in csv.DictReader(file) if row["train/lr"]]
    assert len(rates) == 4
    assert rates[2] > rates[3] > 0.1 * rates[0]
    code, output = genlab("resume", "run", "trainer.max_epochs=3", folder=tmp_path)
    assert code == 0, output
    assert f"after schedule.{key}=2 epochs the learning rate is at its end and stays there" in output


@pytest.mark.parametrize("time", [[], ["trainer.max_time=00:01:00:00"]])
def test_a_run_that_has_converged_is_given_no_more(time: list[str], tmp_path: Path) -> None:
    _, output = genlab("train", "model=gmm", "model.tol=10", *time, "run_dir=run", folder=tmp_path)
    assert Run(tmp_path / "run").status["reason"] == "converged"
    assert "converged after epoch" in output
    assert "genlab resume" not in output


def test_a_run_whose_time_is_over_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    words = ["trainer.max_epochs=100000", "trainer.max_time=00:00:00:01", "run_dir=run"]
    code, output = genlab(*TRAIN, *words, folder=tmp_path)
    assert code == 0
    done = int(output.split("trainer.max_time is over, with ")[1].split()[0])
    assert done == Run(tmp_path / "run").status["step"] // 3
    [hint] = [line.split()[3:] for line in output.splitlines() if line.startswith("go on")]
    assert hint == ["resume", "run", "trainer.max_time=00:00:00:02"]
    before = load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"]
    for more in ([], ["trainer.max_epochs=200000"]):
        code, output = genlab("resume", "run", *more, folder=tmp_path)
        assert code == 0
        assert "to go on, give more: trainer.max_time=…, which is 00:00:00:01 in all" in output
    assert genlab(*hint, folder=tmp_path)[0] == 0
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["genlab"]["step"] > before


def test_a_run_does_not_go_on_in_another_folder(run: Path) -> None:
    before = contents(run)
    code, output = genlab("resume", "run", "run_dir=other", folder=run.parent)
    assert code == 4
    assert "run_dir: null in the run, other now" in output
    assert "callbacks.KEY" in output
    assert contents(run) == before


def test_a_run_that_goes_on_forgets_how_it_ended_before(run: Path) -> None:
    Run(run).write_status(pruned=1, reason="an earlier end")
    assert genlab("resume", "run", "trainer.max_steps=5", folder=run.parent)[0] == 0
    status = Run(run).status
    assert (status["state"], status["pruned"], status["reason"]) == ("finished", None, None)


def test_a_run_given_more_time_and_killed_at_once_still_has_that_time(tmp_path: Path) -> None:
    words = ["trainer.max_epochs=100000", "trainer.max_time=00:00:00:01", "run_dir=run"]
    assert genlab(*TRAIN, *words, folder=tmp_path)[0] == 0
    run = Run(tmp_path / "run")
    before = load(run.checkpoints / "last.ckpt")["genlab"]["step"]
    # What a resumption has written before its first checkpoint, and what its other processes then find.
    settings = run.folder / "config.yaml"
    settings.write_text(settings.read_text().replace("00:00:00:01", "00:00:00:02"))
    run.write_status(state="running")
    assert genlab("resume", "run", folder=tmp_path)[0] == 0
    assert load(run.checkpoints / "last.ckpt")["genlab"]["step"] > before


def test_a_run_that_ends_within_its_first_epoch_has_a_best_checkpoint_and_a_picture(tmp_path: Path) -> None:
    words = ("trainer.max_steps=2", "callbacks.sample_grid.every_n_epochs=5", "run_dir=run")
    assert genlab(*TRAIN, *words, folder=tmp_path)[0] == 0
    assert load(tmp_path / "run" / "checkpoints" / "best.ckpt")["genlab"]["step"] == 2
    assert (tmp_path / "run" / "samples" / "epoch-0001.png").is_file()


def test_a_run_killed_between_its_convergence_and_its_report_gets_its_report_alone(tmp_path: Path) -> None:
    words = ["train", "model=bayes_classifier", "callbacks=none", "trainer.limit_train_batches=8", "run_dir=run"]
    assert genlab(*words, folder=tmp_path)[0] == 0
    run = Run(tmp_path / "run")
    before = contents(run.folder)
    (run.folder / "metrics.json").unlink()
    run.write_status(state="running")
    code, output = genlab("resume", "run", folder=tmp_path)
    assert code == 0
    assert "already complete, after step 16" in output
    after = contents(run.folder)
    assert after["metrics.json"] == before["metrics.json"]
    assert after["checkpoints/last.ckpt"] == before["checkpoints/last.ckpt"]
    assert run.status["state"] == "finished"


@pytest.mark.parametrize(
    "word",
    [
        *("model.latent_dim=3", "optimizer.lr=0.1", "dataset.batch_size=8", "seed=9", "precision=64-true"),
        *("accelerator.devices=2", "dataset.num_validation=10", "trainer.limit_train_batches=2"),
    ],
)
def test_what_would_make_it_another_run_is_refused(run: Path, word: str) -> None:
    before = contents(run)
    code, output = genlab("resume", "run", "trainer.max_steps=6", word, folder=run.parent)
    assert code == 4, output
    key, value = word.split("=")
    assert f"  {key}: " in output
    assert f"{value} now" in output
    assert "Free to change: trainer.max_epochs" in output
    assert contents(run) == before


@pytest.mark.parametrize(
    "word",
    ["trainer.log_every_n_steps=2", "checkpoint.keep=3", "~callbacks.sample_grid", "trainer.limit_val_batches=0"],
)
def test_what_changes_no_bit_is_free(run: Path, word: str) -> None:
    assert genlab(*TRAIN, "run_dir=whole", folder=run.parent)[0] == 0
    code, output = genlab("resume", "run", "trainer.max_steps=-1", word, folder=run.parent)
    assert code == 0, output
    ends = [load(folder / "checkpoints" / "last.ckpt") for folder in (run, run.parent / "whole")]
    assert differences(ends[0]["state_dict"], ends[1]["state_dict"]) == []
    assert differences(ends[0]["optimizer_states"], ends[1]["optimizer_states"]) == []


def test_unknown_keys_are_refused_as_in_train(run: Path) -> None:
    code, output = genlab("resume", "run", "trainer.max_epoch=9", folder=run.parent)
    assert code == 2
    assert "did you mean 'trainer.max_epochs'?" in output
    code, output = genlab("resume", "run", "model=dcgan", folder=run.parent)
    assert code == 2
    assert "a saved configuration has its model already" in output


def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(run: Path) -> None:
    assert genlab("resume", "run", "trainer.max_steps=6", "checkpoint.keep=2", folder=run.parent)[0] == 0
    assert genlab(*TRAIN, "trainer.max_epochs=3", "run_dir=whole", folder=run.parent)[0] == 0
    for name in ("last.ckpt", "step-000000006.ckpt", "best.ckpt"):
        path = run / "checkpoints" / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.unlink()
        path.write_bytes(data)
    code, output = genlab("sample", "run", folder=run.parent)
    assert code == 4
    assert "does not match)\ntake the newest that is whole: checkpoint=step-000000004" in output
    code, output = genlab("resume", "run", "trainer.max_steps=-1", "trainer.max_epochs=3", folder=run.parent)
    assert code == 0, output
    assert "last.ckpt is damaged or cut short" in output
    assert "going on from an older one" in output
    assert "going on from step-000000004.ckpt, step 4" in output
    ends = [load(folder / "checkpoints" / "last.ckpt") for folder in (run, run.parent / "whole")]
    assert differences(*ends) == []


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0" * 5000])
def test_when_nothing_is_whole_it_says_so(run: Path, content: bytes) -> None:
    for path in (run / "checkpoints").iterdir():
        path.unlink()
        path.write_bytes(content)
    before = contents(run)
    code, output = genlab("resume", "run", folder=run.parent)
    assert code == 4
    assert output.count("is damaged or cut short") == 4
    assert "has no checkpoint that is whole" in output
    code, output = genlab("resume", "run/checkpoints/last.ckpt", folder=run.parent)
    assert code == 4
    assert contents(run) == before


def test_a_checkpoint_file_is_gone_on_from(run: Path) -> None:
    assert genlab("resume", "run", "trainer.max_steps=6", "checkpoint.keep=5", folder=run.parent)[0] == 0
    whole = load(run / "checkpoints" / "last.ckpt")
    code, output = genlab("resume", "run/checkpoints/step-000000004.ckpt", folder=run.parent)
    assert code == 0, output
    assert "going on from step-000000004.ckpt, step 4" in output
    assert differences(whole, load(run / "checkpoints" / "last.ckpt")) == []


def test_other_data_are_refused_unless_allowed(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\n".join(f"{row},{row % 7}" for row in range(60)))
    words = [*TRAIN, "model=gmm", "dataset=vector_file", "dataset.path=rows.csv", "model.num_components=2"]
    code, output = genlab(*words, "trainer.max_steps=4", "run_dir=run", folder=tmp_path)
    assert code == 0, output
    before = contents(tmp_path / "run")
    (tmp_path / "rows.csv").write_text("\n".join(f"{row},{row % 5}" for row in range(60)))
    code, output = genlab("resume", "run", "trainer.max_steps=6", folder=tmp_path)
    assert code == 4, output
    assert "the data differ from those that the run was trained on: fingerprint " in output
    assert "(60 train now)" in output
    assert "allow_data_change=true" in output
    assert contents(tmp_path / "run") == before
    code, output = genlab("resume", "run", "trainer.max_steps=6", "allow_data_change=true", folder=tmp_path)
    assert code == 0, output


def test_a_moved_run_goes_on(run: Path) -> None:
    run.rename(run.parent / "elsewhere")
    code, output = genlab("resume", "elsewhere", "trainer.max_steps=6", folder=run.parent)
    assert code == 0, output
