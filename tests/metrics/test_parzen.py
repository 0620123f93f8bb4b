"""The Parzen window: closed forms, a slow reference, the width that is chosen."""

import math

import pytest
import torch
from tiny import LinearGaussian, Repeats, Silent, Splits, data_of, evaluation
from torch import Tensor
from torch.distributions import Normal

from genlab.metrics import parzen as metric
from genlab.metrics.parzen import WIDTHS, log_likelihoods


def draw(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_sample_is_a_gaussian() -> None:
    images, sample = draw(5, 3, 1), draw(1, 3, 2)
    found = log_likelihoods(images, sample, torch.tensor([0.1, 0.7]).double())
    for values, width in zip(found, (0.1, 0.7), strict=True):
        torch.testing.assert_close(values, Normal(sample, width).log_prob(images).sum(1))


def test_it_equals_the_mean_of_gaussians(monkeypatch: pytest.MonkeyPatch) -> None:
    images, samples, widths = draw(20, 4, 1), draw(30, 4, 2), torch.tensor([0.2, 0.5]).double()
    expected = [
        Normal(samples, width).log_prob(images[:, None]).sum(2).exp().mean(1).log() for width in widths.tolist()
    ]
    torch.testing.assert_close(log_likelihoods(images, samples, widths), torch.stack(expected))
    monkeypatch.setattr(metric, "ROWS", 7)
    torch.testing.assert_close(log_likelihoods(images, samples, widths), torch.stack(expected))


def test_images_far_from_all_samples_have_a_finite_logarithm() -> None:
    [[value]] = log_likelihoods(torch.ones(1, 784).double(), torch.zeros(2, 784).double(), WIDTHS[:1]).tolist()
    width = WIDTHS[0].item()
    assert value == pytest.approx(-784 / (2 * width**2) - 784 * math.log(width * math.sqrt(2 * math.pi)))


def test_the_score_is_of_test_images_with_the_width_best_for_validation_images() -> None:
    model = LinearGaussian()
    validation, test = data_of(model, 80, seed=1), data_of(model, 150, seed=2)
    found = evaluation(model, Splits(train=test[:1], validation=validation, test=test), num_samples=60, seed=4)
    [score] = metric.measure(found)
    samples, *held_out = ((part.flatten(1).double() + 1) / 2 for part in (data_of(model, 60, seed=4), validation, test))
    best = max(WIDTHS, key=lambda width: log_likelihoods(held_out[0], samples, width[None]).mean().item())
    values = log_likelihoods(held_out[1], samples, best[None])[0]
    assert score.name == "parzen"
    assert score.value == pytest.approx(values.mean().item(), rel=1e-9)
    assert score.how == {
        "unit": "nats an image in [0, 1]",
        "split": "test",
        "num_images": 150,
        "num_samples": 60,
        "seed": 4,
        "sigma": best.item(),
        "standard_error": pytest.approx(values.std().item() / 150**0.5),
    }
    assert WIDTHS[0] < best < WIDTHS[-1]
    [again] = metric.measure(evaluation(model, found.dataset, num_samples=60, seed=4, batch_size=7))
    assert again.value == pytest.approx(score.value, rel=1e-9)


def test_a_model_of_the_data_scores_higher_than_one_image() -> None:
    model = LinearGaussian()
    images = data_of(model, 200)
    dataset = Splits(train=images[:1], validation=images[:100], test=images[100:])
    good, bad = (metric.measure(evaluation(drawn, dataset))[0] for drawn in (model, Repeats(images[:1])))
    assert good.value is not None
    assert bad.value is not None
    assert good.value > bad.value + 0.1
    assert good.how["sigma"] < bad.how["sigma"]


def test_samples_that_are_not_finite_leave_it_undefined() -> None:
    images = torch.zeros(4, 1, 2, 2)
    samples = torch.cat([images[:1], torch.full((1, 1, 2, 2), math.nan)])
    dataset = Splits(train=images, validation=images, test=images)
    [score] = metric.measure(evaluation(Repeats(samples), dataset, num_samples=2))
    assert score.value is None
    assert score.how["undefined"] == "the pixels of 1 of 2 samples are not finite"


def test_it_applies_where_a_width_can_be_chosen() -> None:
    images = torch.zeros(1, 1, 2, 2)
    both, one = Splits(train=images, validation=images, test=images), Splits(train=images, test=images)
    assert metric.unfit(evaluation(LinearGaussian(), both)) is None
    assert metric.unfit(evaluation(Silent(), both)) == "Silent draws no samples"
    reason = "'tiny' has not both validation images to choose a width on and test images"
    assert metric.unfit(evaluation(LinearGaussian(), one)) == reason
