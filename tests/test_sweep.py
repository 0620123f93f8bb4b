"""Many runs from one command line, each in a process and a run folder of its own."""

import json
import shlex
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from child import TRAIN, Child, genlab
from forked import forked
from PIL import Image

from genlab.run import Run
from genlab.sweep.multirun import Jobs, compare

__all__ = ["forked"]

FEW = [word for word in TRAIN[1:] if "batch_size" not in word] + ["trainer.max_steps=1", "callbacks=none"]
FEW = [word for word in FEW if not word.startswith("callbacks.")]


def test_a_failed_job_does_not_stop_the_others(tmp_path: Path) -> None:
    words = ["train", "-m", *FEW, "dataset.batch_size=16,60000,8", "jobs=2", "run_dir=sweep"]
    code, output = genlab(*words, folder=tmp_path)
    assert code == 2, output
    assert "job 1 ends with 2" in output
    assert "2 of 3 jobs succeeded" in output
    for number, size in ((0, 16), (2, 8)):
        run = Run(tmp_path / "sweep" / str(number))
        assert run.config["dataset"]["batch_size"] == size
        assert run.status["state"] == "finished"
        assert (run.folder / "console.log").is_file()
        assert json.loads((run.folder / "environment.json").read_text())["threads"] == 1
    assert "fewer than one batch of 60000" in (tmp_path / "sweep" / "1.console.log").read_text()


def test_a_sweep_that_is_stopped_says_how_each_job_goes_on(tmp_path: Path) -> None:
    long = [word for word in TRAIN[1:] if not word.startswith("trainer.max_epochs")]
    words = ("-m", *long, "trainer.max_epochs=100000", "seed=1,2,3", "run_dir=a sweep")
    child = Child("train", *words, folder=tmp_path)
    while not list((tmp_path / "a sweep" / "0" / "checkpoints").glob("*.ckpt")) and child.process.is_alive():
        child.process.join(0.05)
    child.send(signal.SIGINT)
    assert child.code() == 130
    commands = [shlex.split(line)[3:] for line in child.output.splitlines() if line.startswith("go on")]
    assert commands[0] == ["resume", "a sweep/0"]
    assert [command[0] for command in commands[1:]] == ["train", "train"]
    assert [command[-1] for command in commands[1:]] == ["run_dir=a sweep/1", "run_dir=a sweep/2"]
    code, output = genlab(*commands[1], "trainer.max_epochs=1", folder=tmp_path)
    assert code == 0, output
    assert Run(tmp_path / "a sweep" / "1").config["seed"] == 2


def test_a_wrong_job_starts_none(tmp_path: Path) -> None:
    code, output = genlab("train", "-m", *FEW, "seed=1,2", "optimizer.lr=1,-1", "run_dir=sweep", folder=tmp_path)
    assert code == 2
    assert "cannot work, so none was started" in output
    assert "optimizer.lr=-1: expected more than 0" in output
    assert not (tmp_path / "sweep").exists()


def test_only_trainings_are_swept(tmp_path: Path) -> None:
    code, output = genlab("sample", "-m", "seed=1,2", folder=tmp_path)
    assert code == 2
    assert "-m runs many trainings" in output


@pytest.mark.usefixtures("forked")
def test_a_sweep_over_numbers_of_components_ends_in_a_table_and_a_picture(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    centres = np.array([[0, 0], [6, 1], [2, 6]])
    np.save(tmp_path / "rows.npy", centres.repeat(100, 0) + generator.normal(size=(300, 2)))
    words = ["train", "-m", "model=gmm", "model.covariance=full", "model.num_components=1,3,5"]
    words += ["dataset=vector_file", "dataset.path=rows.npy", "dataset.data_shape=[2]", "run_dir=sweep", "threads=1"]
    code, output = genlab(*words, folder=tmp_path)
    assert code == 0, output
    table = [line.split() for line in output[output.index(" job ") :].splitlines()[:4]]
    assert table[0] == ["job", "model.num_components", "train/lower_bound", "train/bic", "train/aic"]
    bic = {int(row[1]): float(row[3]) for row in table[1:]}
    assert min(bic, key=lambda count: bic[count]) == 3
    for number, count in enumerate((1, 3, 5)):
        metrics = json.loads((tmp_path / "sweep" / str(number) / "metrics.json").read_text())
        assert bic[count] == pytest.approx(metrics["train/bic"], rel=1e-4)
    with Image.open(tmp_path / "sweep" / "comparison.png") as picture:
        assert picture.size[0] > 1000  # three diagrams beside each other
    with Image.open(tmp_path / "sweep" / "1" / "samples" / "mixture.gif") as movie:
        frames = list((tmp_path / "sweep" / "1" / "samples" / "frames").iterdir())
        assert movie.n_frames == len(frames) > 1


@pytest.mark.usefixtures("forked")
def test_no_picture_of_words_that_are_no_numbers(tmp_path: Path) -> None:
    code, output = genlab("train", "-m", *FEW, "optimizer=adam,sgd", "run_dir=sweep", folder=tmp_path)
    assert code == 0, output
    assert "adam" in output[output.index(" job ") :]
    assert not (tmp_path / "sweep" / "comparison.png").exists()


def test_a_signal_reaches_a_job_that_is_being_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    starting, signalled, handled = threading.Event(), threading.Event(), threading.Event()
    received: list[int] = []

    def slow_start(*_: Any) -> Any:
        starting.set()
        signalled.wait(10)
        return SimpleNamespace(send_signal=received.append)

    jobs = Jobs(1)
    monkeypatch.setattr("genlab.sweep.multirun.start", slow_start)
    monkeypatch.setattr("genlab.sweep.multirun.end", lambda process, folder: (handled.wait(10) and 130, folder))
    job = threading.Thread(target=jobs.run, args=(0, ["seed=1"], tmp_path))
    job.start()
    starting.wait(10)
    handler = threading.Thread(target=jobs.forward, args=(signal.SIGINT, None))
    handler.start()
    signalled.set()
    handler.join(10)
    handled.set()
    job.join(10)
    assert received == [signal.SIGINT]
    assert jobs.run(1, ["seed=2"], tmp_path) == 130  # and none is started after it


def test_jobs_of_different_models_are_compared_by_all_that_any_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for number, values in enumerate(({"train/kl": 1.5, "val/elbo": -3}, {"train/bic": 7})):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "metrics.json").write_text(json.dumps(values))
    compare(tmp_path, {0: ["model=vae", "seed=1"], 1: ["model=gmm", "seed=1"]})
    names, *rows = (line.split() for line in capsys.readouterr().out.splitlines() if line.strip())
    assert names == ["job", "model", "train/kl", "val/elbo", "train/bic"]
    assert rows[:2] == [["0", "vae", "1.5", "-3"], ["1", "gmm", "7"]]


def test_jobs_side_by_side_are_of_a_multirun(tmp_path: Path) -> None:
    code, output = genlab("train", *FEW, "jobs=2", folder=tmp_path)
    assert code == 2
    assert "jobs=2 is of several runs, side by side: add -m, or leave the word out" in output
