"""The importance-weighted bound between the evidence lower bound and the likelihood."""

import pytest
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation

from genlab.metrics import elbo, iwae
from genlab.metrics.evaluation import Score


def measured(k: int, images: torch.Tensor, **settings: int) -> Score:
    dataset = Splits(train=images[:1], test=images)
    [score] = iwae.measure(evaluation(LinearGaussian(), dataset, iwae_k=k, **settings))
    return score


def test_more_draws_rise_from_the_elbo_to_the_likelihood() -> None:
    model = LinearGaussian()
    images = data_of(model, 500)
    bounds = [measured(k, images, iwae_images=500, batch_size=10**6).value for k in (1, 5, 50, 500)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(model.log_likelihood(images).mean().item(), abs=0.01)
    [lower] = elbo.measure(evaluation(model, Splits(train=images[:1], test=images), seed=1))
    assert lower.value is not None
    assert bounds[0] == pytest.approx(lower.value, abs=5 * (2 / 500) ** 0.5)  # the draws have a variance of 1
    assert lower.value < bounds[1]


def test_name_and_notes_tell_the_draws_and_the_images() -> None:
    score = measured(30, data_of(LinearGaussian(), 80), iwae_images=40, seed=2)
    assert score.name == "iwae_30"
    error = score.how.pop("standard_error")
    assert error > 0
    assert score.how == {"unit": "nats an image", "split": "test", "num_images": 40, "draws": 30, "seed": 2}


def test_batch_size_changes_nothing() -> None:
    images = data_of(LinearGaussian(), 80)
    values = [measured(5, images, batch_size=size).value for size in (1, 12, 35, 1000)]
    assert values == [pytest.approx(values[0], rel=1e-6)] * 4


def test_it_applies_to_models_with_a_bound() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert iwae.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert iwae.unfit(evaluation(Silent(), dataset)) == "Silent has no bound of its likelihood"
