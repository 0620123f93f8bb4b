"""``genlab plan``: what it foretells, and what it refuses.

In the tests' own process, whose server of fresh processes imports once for all tests.
"""

import json
from pathlib import Path

import pytest

from genlab import cli
from genlab.commands.plan import duration
from genlab.planning import crowding, total_seconds
from genlab.run import BUDGET

WORDS = ("model=vae", "dataset=optdigits", "accelerator=cpu", "threads=1")


def test_a_plan_of_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("accelerator=ddp_cpu", "trainer.max_epochs=3", "bandwidth_gb=0.001", "json=true")
    assert cli.main(["plan", *WORDS, *words]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["parameters"] == 95_104
    # Forward, and backward for weights and for all but the first input: 2 operations for each weight and image.
    assert planned["flops_per_step"] == pytest.approx(2 * 3 * 95_104 * 64, rel=0.15)
    assert planned["processes"] == 2
    # Each of two sends half of the gradients twice, at a megabyte a second.
    assert planned["seconds_of_exchange"] == pytest.approx(4 * 95_104 / 1e6)
    assert planned["steps_per_epoch"] == 10
    seconds = 3 * (10 * planned["seconds_per_step"] + planned["seconds_after_epoch"])
    assert planned["total_seconds"] == pytest.approx(seconds)
    assert 2e8 < planned["peak_memory_bytes"] < 4e9
    assert 1 <= planned["largest_batch_size"] <= 1_237
    assert not list(tmp_path.iterdir())  # nothing is kept


@pytest.mark.parametrize(("devices", "threads", "share"), [(1, 4, 1), (2, 2, 1), (4, 2, 2), (8, 4, 8)])
def test_processes_that_share_cores_take_longer(
    devices: int, threads: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    accelerator = {"accelerator": "cpu", "devices": devices, "num_nodes": 3}
    assert crowding({"accelerator": accelerator, "threads": threads}) == share
    assert crowding({"accelerator": accelerator | {"accelerator": "gpu"}, "threads": threads}) == 1


def test_what_cannot_fit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", *WORDS, "memory_gb=0.01"]) == 6
    output = capsys.readouterr().err
    assert "dataset.batch_size=128 needs about " in output
    assert "of memory a process, and 90% of 0.01 GB may be used\nof the batch sizes, none would fit" in output


def test_what_could_not_start_is_refused_with_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "model=pixel_cnn", "model.num_levels=17", "threads=1"]) == 2
    assert "model.binarization=threshold makes 2 levels, not model.num_levels=17" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        ((3, -1, None), 3 * 10 * 2 + 3 * 5),
        ((3, 25, None), 25 * 2 + 2 * 5),
        ((3, 25, "00:00:00:59"), 59),
        ((3, 99, "00:01:00:00"), 3 * 10 * 2 + 3 * 5),
        ((-1, -1, "01:01:01:01"), 90061),
        ((-1, -1, None), None),
        ((0, -1, None), 0),
    ],
)
def test_a_training_ends_with_the_first_of_its_budgets(budget: tuple[int, int, str], seconds: float | None) -> None:
    assert total_seconds(dict(zip(BUDGET, budget, strict=True)), 10, 2.0, 5.0) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(12, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
