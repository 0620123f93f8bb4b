"""The form of the Inception score: closed forms, the formula as it is printed, its name."""

import math

import pytest
import torch
from tiny import PIXELS, Repeats, Silent, Splits, evaluation
from torch import Tensor, nn

from genlab.metrics import inception_score as metric
from genlab.metrics.features import FeatureNetwork, embedded
from genlab.metrics.inception_score import inception_score

SURE = torch.eye(4).log().double()
"""log p(y|x) of samples that are surely of one class each."""


def undecided(count: int) -> Tensor:
    return torch.full((count, 4), 0.25).log().double()


def test_sure_samples_of_every_class_score_the_number_of_classes() -> None:
    assert inception_score(SURE.repeat(5, 1)) == pytest.approx(4, rel=1e-12)


def test_samples_that_look_alike_score_one() -> None:
    assert inception_score(undecided(8)) == pytest.approx(1, rel=1e-12)
    assert inception_score(SURE[:1].repeat(8, 1)) == pytest.approx(1, rel=1e-12)


def test_two_classes_of_four_score_two_and_unequal_shares_the_entropy() -> None:
    assert inception_score(SURE[[0, 2, 0, 2]]) == pytest.approx(2, rel=1e-12)
    assert inception_score(SURE[[0, 0, 0, 1]]) == pytest.approx(math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4)))


def test_it_equals_the_mean_divergence_as_it_is_printed() -> None:
    logits = 3 * torch.randn(50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    conditional = logits.softmax(1)
    marginal = conditional.mean(0)
    divergences = (conditional * (conditional / marginal).log()).sum(1)
    assert inception_score(logits.log_softmax(1)) == pytest.approx(divergences.mean().exp().item(), rel=1e-12)
    assert inception_score(logits.float().log_softmax(1)) == pytest.approx(divergences.mean().exp().item(), rel=1e-5)


def of_pixels() -> FeatureNetwork:
    """Tells classes by which of the four pixels is white."""
    classifier = nn.Linear(4, 4)
    nn.init.eye_(classifier.weight).mul_(50)
    nn.init.zeros_(classifier.bias)
    return FeatureNetwork("pixels", "0" * 64, "none", nn.Flatten(), classifier)


@torch.no_grad()
def test_the_score_is_named_after_the_network_and_is_of_the_samples_alone() -> None:
    samples = torch.eye(4).view(4, 1, 2, 2)
    dataset = Splits(train=samples[:1], test=torch.zeros(1, 1, 2, 2))
    [score] = metric.measure(evaluation(Repeats(samples[:3]), dataset, of_pixels(), num_samples=90, seed=3))
    assert score.name == "is_pixels"
    assert score.value == pytest.approx(3, rel=1e-6)
    assert (score.how["num_samples"], score.how["num_classes"], score.how["seed"]) == (90, 4, 3)
    assert {"network", "sha256", "resize"} < score.how.keys()
    low, high = score.how["interval"]
    assert 2.8 < low < 3 < high < 3.2


@torch.no_grad()
def test_samples_that_are_not_finite_leave_it_undefined() -> None:
    samples = torch.full((3, 1, 2, 2), math.nan)
    [score] = metric.measure(evaluation(Repeats(samples), Splits(train=samples[:1]), of_pixels(), num_samples=3))
    assert (score.name, score.value) == ("is_pixels", None)
    assert score.how["undefined"] == "the features of 3 of 3 samples are not finite"


def test_it_applies_to_models_that_draw_images_and_networks_that_know_classes() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert metric.unfit(evaluation(Repeats(torch.zeros(1)), dataset, embedded("digit"))) is None
    assert metric.unfit(evaluation(Silent(), dataset, embedded("digit"))) == "Silent draws no samples"
    reason = "pixels tells no classes: features=digit, fashion or imagenet does"
    assert metric.unfit(evaluation(Repeats(torch.zeros(1)), dataset, PIXELS)) == reason
