"""Samples that are all alike, copies, or past telling are told of once, with their number."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import short_config, trained

from genlab.callbacks.sample_watch import SampleWatch, nearest, spread
from genlab.errors import CollapseError

RING = ["dataset=ring", "dataset.batch_size=16", "model.latent_dim=2"]


def judged(watch: SampleWatch, loss: float | None = None, **values: float) -> list[str]:
    """What is warned of."""
    trainer: Any = SimpleNamespace(global_step=7)
    healthy = {"val/diversity": 1.0, "val/nearness": 1.0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch.judge(trainer, healthy | {f"val/{name}": value for name, value in values.items()}, loss)
    return [str(warning.message) for warning in caught]


def test_a_healthy_game_is_not_talked_about() -> None:
    assert judged(SampleWatch(10, stop=False), 1.2) == []


@pytest.mark.parametrize(
    ("loss", "values", "sentence"),
    [
        (None, {"diversity": 0.1}, "after step 7 the generator has collapsed: samples differ 0.10 times as much"),
        (None, {"nearness": 0.2}, "samples are copies: they lie 0.20 times as far"),
        (0.001, {}, "the discriminator is saturated: its loss is 0.001 nats"),
    ],
)
def test_each_fault_is_told_once_or_ends_the_training(
    loss: float | None, values: dict[str, float], sentence: str
) -> None:
    watch = SampleWatch(10, stop=False)
    (message,) = judged(watch, loss, **values)
    assert sentence in message
    assert judged(watch, loss, **values) == []
    with pytest.raises(CollapseError, match=r"stop=false only warns") as caught:
        judged(SampleWatch(10, stop=True), loss, **values)
    assert caught.value.exit_code == 5
    assert sentence in str(caught.value)


def test_spread_and_nearness_are_distances() -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert spread(points) == pytest.approx(5)
    assert spread(torch.zeros(3, 2)) < 1e-6
    assert nearest(torch.tensor([[0.0, 1.0], [3.0, 2.0], [9.0, 4.0]]), points) == pytest.approx(2)


def test_a_training_logs_them_and_chooses_the_best_by_the_distance(tmp_path: Path) -> None:
    config = short_config("lsgan", *RING)
    checkpoint = trained(tmp_path / "run", config)
    metrics = checkpoint["genlab"]["metrics"]
    assert {"val/frechet_distance", "val/diversity", "val/nearness"} <= metrics.keys()
    lines = (tmp_path / "run" / "log.csv").read_text().splitlines()
    column = lines[0].split(",").index("val/frechet_distance")
    distances = [float(line.split(",")[column]) for line in lines[1:] if line.split(",")[column]]
    assert checkpoint["callbacks"]["Checkpoints"]["best"] == pytest.approx(min(distances))
