"""Who gets which part of the computer, and trainings handed to Ray's and submitit's interfaces."""

import json
import sys
from pathlib import Path

import pytest

from genlab.errors import ResourceError, UsageError
from genlab.sweep.launchers import new_launcher
from genlab.sweep.process import Shares, visible_gpus
from genlab.sweep.work import Work


def test_each_of_several_jobs_has_a_gpu_and_a_part_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    shares = Shares(2, ["3", "5"])
    with shares.one() as first, shares.one() as second:
        assert {first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]} == {"3", "5"}
        assert first["OMP_NUM_THREADS"] == second["OMP_NUM_THREADS"] == "4"
    with shares.one() as again:
        assert again in (first, second)


def test_one_job_alone_has_the_whole_computer() -> None:
    with Shares(1, ["0", "1"]).one() as share:
        assert share == {}


def test_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert visible_gpus() == ["2", "3"]


def test_what_is_not_installed_is_said_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, library in (("ray", "ray"), ("slurm", "submitit")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(UsageError, match=rf"launcher={name} needs .*: pip install .*\[{name}\]"):
            new_launcher(name, 1, tmp_path, {})


def test_without_slurm_there_is_no_silent_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ResourceError, match=r"or try it out here: \+resources.cluster=local"):
        new_launcher("slurm", 1, tmp_path, {})


def test_unknown_resources_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(UsageError, match="minutes"):
        new_launcher("slurm", 1, tmp_path, {"cluster": "local", "minutes": 3})


@pytest.mark.slow
def test_submitits_own_local_jobs_train(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    launcher = new_launcher("slurm", 1, tmp_path / "submitit", {"cluster": "local", "timeout_min": 5})
    few = ["model=gmm", "model.num_restarts=1", "trainer.max_epochs=1", "callbacks=none", "threads=1"]
    work = Work(few, tmp_path / "run")
    assert launcher.run(work) == 0
    assert "train/lower_bound" in json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert launcher.run(work) == 0
