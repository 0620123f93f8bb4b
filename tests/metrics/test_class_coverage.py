"""Distinct classes among samples: all of real images, one of a model that has collapsed."""

import math

import pytest
import torch
from tiny import PIXELS, Repeats, Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.embedded import Embedded
from genlab.datasets.loader import Chosen
from genlab.metrics import class_coverage
from genlab.metrics.evaluation import Score
from genlab.metrics.features import embedded


@pytest.fixture(scope="module")
def fashion() -> tuple[Tensor, Tensor]:
    source = Embedded("fashion_mnist", "fashion_mnist", (1, 32, 32), 128, 0, 0).load()["test"]
    return source.__getitems__(Chosen(-1, torch.arange(len(source))))


@torch.no_grad()
def measured(samples: Tensor, **settings: int) -> Score:
    dataset = Splits(train=samples[:1], test=samples[:1])
    found = evaluation(Repeats(samples), dataset, embedded("fashion"), **({"num_samples": 2000} | settings))
    [score] = class_coverage.measure(found)
    return score


def test_real_images_cover_all_classes(fashion: tuple[Tensor, Tensor]) -> None:
    score = measured(fashion[0][torch.arange(2000) * 7 % 2000])
    assert (score.name, score.value) == ("classes_in_1000", 10)
    assert score.how["num_samples"] == 1000
    assert score.how["num_classes"] == 10
    assert 60 < score.how["rarest"] <= 100 <= score.how["most_frequent"] < 140
    assert 0.85 < score.how["mean_confidence"] < 0.99
    assert score.how["network"] == "fashion_features"
    assert len(score.how["sha256"]) == 64


def test_a_collapsed_model_covers_one(fashion: tuple[Tensor, Tensor]) -> None:
    score = measured(fashion[0][:1])
    assert score.value == 1
    assert (score.how["rarest"], score.how["most_frequent"]) == (0, 1000)


def test_trousers_alone_cover_few_classes(fashion: tuple[Tensor, Tensor]) -> None:
    images, labels = fashion
    score = measured(images[labels == 1])
    assert score.value is not None
    assert 1 <= score.value < 6
    assert score.how["most_frequent"] > 900


def test_fewer_samples_are_in_the_name_and_batch_size_changes_nothing(fashion: tuple[Tensor, Tensor]) -> None:
    scores = [measured(fashion[0], num_samples=50, batch_size=size) for size in (1, 7, 50)]
    assert [score.name for score in scores] == ["classes_in_50"] * 3
    assert len({score.value for score in scores}) == 1
    assert len({score.how["rarest"] for score in scores}) == 1


def test_samples_that_are_not_finite_leave_it_undefined(fashion: tuple[Tensor, Tensor]) -> None:
    samples = fashion[0][:4].clone()
    samples[1, 0, 5, 5] = math.nan
    score = measured(samples, num_samples=4)
    assert score.value is None
    assert score.how["undefined"] == "the features of 1 of 4 samples are not finite"


def test_it_applies_to_models_that_draw_images_and_networks_that_know_classes() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert class_coverage.unfit(evaluation(Repeats(torch.zeros(1)), dataset, embedded("digit"))) is None
    assert class_coverage.unfit(evaluation(Silent(), dataset)) == "Silent draws no samples"
    assert class_coverage.unfit(evaluation(Repeats(torch.zeros(1)), dataset, PIXELS)) == (
        "pixels tells no classes: features=digit, fashion or imagenet does"
    )
