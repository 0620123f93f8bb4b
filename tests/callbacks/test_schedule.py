"""Learning rates follow the epoch, and a resumed run takes them up where they were."""

import csv
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import differences, short_config, trained
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR

from genlab.callbacks.schedule import ConstantThenLinear, advance, begin, rates_of

EPOCHS = ["trainer.max_epochs=4", "trainer.limit_val_batches=0", "~callbacks.sample_grid"]


def rates(scheduler: Any, num_epochs: int) -> list[float]:
    """The rate in each epoch, of an optimizer whose own is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    begun, found = begin(scheduler, optimizer), []
    for epoch in range(num_epochs):
        advance(begun, epoch)
        found += rates_of(optimizer)
    return found


def logged(folder: Path, name: str = "train/lr") -> list[tuple[int, float]]:
    """Each step that a rate was logged at."""
    with (folder / "log.csv").open(newline="") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row.get(name)]


def test_a_cosine_falls_to_its_end_and_stays_there() -> None:
    found = rates(lambda optimizer: CosineAnnealingLR(optimizer, T_max=10, eta_min=0.1), 15)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * min(epoch, 10) / 10)) / 2 for epoch in range(15)]
    assert found == pytest.approx(expected)


def test_a_line_falls_to_its_end_and_stays_there() -> None:
    found = rates(lambda optimizer: LinearLR(optimizer, 1.0, 0.2, total_iters=4), 6)
    assert found == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_steps_fall_at_their_milestones() -> None:
    found = rates(lambda optimizer: MultiStepLR(optimizer, [1, 3], gamma=0.5), 5)
    assert found == [1, 0.5, 0.5, 0.25, 0.25]


def test_the_rate_of_an_epoch_does_not_depend_on_where_a_run_began() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)

    def cosine(optimizer: torch.optim.Optimizer) -> CosineAnnealingLR:
        return CosineAnnealingLR(optimizer, T_max=10)

    advance(begin(cosine, optimizer), 4)
    advance(begin(cosine, optimizer), 7)  # as a resumed run does, with the rate that was saved
    assert rates_of(optimizer) == [rates(cosine, 8)[-1]]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "multi_step"])
@pytest.mark.parametrize("step", [5, 6])
def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path, schedule: str, step: int) -> None:
    """In the middle of the second epoch, and at its end."""
    words = [*EPOCHS, f"schedule={schedule}"]
    words += ["schedule.milestones=[1,3]"] if schedule == "multi_step" else []
    whole = trained(tmp_path / "whole", short_config("vae", *words))
    trained(tmp_path / "stopped", short_config("vae", *words, f"trainer.max_steps={step}"))
    resumed = trained(tmp_path / "stopped", short_config("vae", *words))
    assert differences(whole, resumed) == []
    assert len({rate for _, rate in logged(tmp_path / "whole")}) > 2
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "stopped")]
    assert logs[0] == logs[1]


def test_the_rate_is_logged_at_the_first_step_of_each_epoch(tmp_path: Path) -> None:
    trained(tmp_path / "run", short_config("vae", *EPOCHS, "schedule=linear", "schedule.end_factor=0.5"))
    expected = {1: 1e-3, 4: 0.875e-3, 7: 0.75e-3, 10: 0.625e-3}
    assert dict(logged(tmp_path / "run")) == pytest.approx(expected)


def test_every_optimizer_of_a_model_follows(tmp_path: Path) -> None:
    words = ["schedule=multi_step", "schedule.milestones=[1]", "optimizer.lr=1e-3", "dataset.batch_size=4"]
    state = trained(tmp_path / "run", short_config("dcgan", *words, "trainer.limit_train_batches=1"))
    assert [optimizer["param_groups"][0]["lr"] for optimizer in state["optimizer_states"]] == [1e-4, 1e-4]
    for name in ("train/lr_1", "train/lr_2"):
        assert logged(tmp_path / "run", name) == [(1, 1e-3), (2, 1e-4)]


def test_a_constant_rate_is_not_logged(tmp_path: Path) -> None:
    state = trained(tmp_path / "run", short_config("vae", "trainer.max_steps=1"))
    assert "train/lr" not in (tmp_path / "run" / "log.csv").read_text().splitlines()[0].split(",")
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] == 1e-3


def test_half_of_the_epochs_at_the_full_rate_and_half_on_a_line_to_zero() -> None:
    """Zhu et al.'s 100 and 100 epochs: the multiplier is 1 - max(0, e + 1 - 100) / 101."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    scheduler = begin(partial(ConstantThenLinear, total_epochs=200, constant_part=0.5), optimizer)
    rates = {}
    for epoch in (0, 98, 99, 100, 150, 199, 250):
        advance(scheduler, epoch)
        rates[epoch] = rates_of(optimizer)[0] / 2e-4
    assert rates == pytest.approx({0: 1, 98: 1, 99: 1, 100: 100 / 101, 150: 50 / 101, 199: 1 / 101, 250: 0})
