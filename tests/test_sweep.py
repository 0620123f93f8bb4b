"""Many runs from one command line, each in a process and a run folder of its own."""

import json
from pathlib import Path

from child import TRAIN, genlab

from genlab.run import Run

FEW = [word for word in TRAIN[1:] if "batch_size" not in word] + ["trainer.max_steps=1", "callbacks=none"]
FEW = [word for word in FEW if "sample_grid" not in word]


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
