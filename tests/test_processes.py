"""Several processes of one training: they do what one does, and end together."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import differences, short_config, trained
from ranks import train_by

from genlab.processes import processes_here
from genlab.training import prepare, resolve_threads

WORDS = ["precision=64-true"]


def of_four() -> dict[str, Any]:
    return short_config("vae", "accelerator=ddp_cpu", "accelerator.devices=4", *WORDS)


def test_four_processes_train_as_one(tmp_path: Path) -> None:
    assert train_by(4, tmp_path / "run", of_four()) == [0] * 4
    each = [torch.load(tmp_path / f"rank-{rank}.pt") for rank in range(4)]
    assert all(differences(each[0], other) == [] for other in each[1:])
    alone = trained(tmp_path / "alone", short_config("vae", *WORDS))["state_dict"]
    assert logged(tmp_path / "run") == pytest.approx(logged(tmp_path / "alone"), rel=1e-9)
    for name, weights in alone.items():
        torch.testing.assert_close(each[0][name], weights, rtol=1e-6, atol=1e-9)


def logged(run: Path) -> list[float]:
    """All ``train/…`` values of a run, which are those of whole batches."""
    with (run / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = [float(value) for row in rows for name, value in row.items() if name.startswith("train/") and value]
    assert len(found) == 6 * 3
    return found


def test_a_killed_process_ends_the_others_and_they_say_so(tmp_path: Path) -> None:
    codes = train_by(4, tmp_path / "run", of_four(), killed_at=4)
    assert codes == [6, 6, 6, -signal.SIGKILL]
    said = (tmp_path / "rank-0.txt").read_text(encoding="utf-8")
    assert "another process of this training is gone" in said
    assert "genlab resume" in said
    status = json.loads((tmp_path / "run" / "status.json").read_text(encoding="utf-8"))
    assert (status["state"], status["step"]) == ("failed", 3)
    assert status["reason"] == said


def test_processes_of_one_computer_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(8), raising=False)
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    assert [resolve_threads("auto", processes) for processes in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert resolve_threads(5, 2) == 5
    monkeypatch.setattr("os.getloadavg", lambda: (6.0, 6.0, 6.0))
    assert resolve_threads("auto", 2) == 1


def test_threads_that_are_given_are_those_of_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    prepare(of_four() | {"threads": 3})
    assert os.environ["OMP_NUM_THREADS"] == "3"  # or Lightning would choose another number for each
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("accelerator", "devices", "count"), [("cpu", 3, 3), ("gpu", [0, 2], 2), ("cpu", "auto", 1), ("auto", "auto", 4)]
)
def test_processes_are_counted(accelerator: str, devices: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert processes_here({"accelerator": accelerator, "devices": devices}) == count
