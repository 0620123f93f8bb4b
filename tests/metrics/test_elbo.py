"""The evidence lower bound as a score."""

import pytest
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation

from genlab.metrics import elbo


def test_it_is_the_mean_over_all_held_out_images() -> None:
    model = LinearGaussian()
    images = data_of(model, 90)
    [score] = elbo.measure(evaluation(model, Splits(train=images[:1], test=images), seed=3))
    expected = model.elbo(images, torch.Generator().manual_seed(3))
    assert score.name == "elbo"
    assert score.value == pytest.approx(expected.double().mean().item(), rel=1e-12)
    assert score.how == {
        "unit": "nats an image",
        "split": "test",
        "num_images": 90,
        "draws": 1,
        "seed": 3,
        "standard_error": pytest.approx(expected.double().std().item() / 90**0.5),
    }


def test_it_falls_short_of_the_likelihood_by_the_divergence_of_the_posteriors() -> None:
    model = LinearGaussian()
    images = data_of(model, 4000)
    [score] = elbo.measure(evaluation(model, Splits(train=images[:1], test=images)))
    # KL of N(m, 2 S) from N(m, S) in two dimensions: (2·2 - 2 - 2 ln 2) / 2.
    gap = 1 - torch.tensor(2.0).log().item()
    expected = model.log_likelihood(images).mean().item() - gap
    assert score.value == pytest.approx(expected, abs=5 / 4000**0.5)  # the draws have a variance of 1


def test_batch_size_changes_nothing() -> None:
    model = LinearGaussian()
    images = data_of(model, 90)
    values = [
        elbo.measure(evaluation(model, Splits(train=images[:1], test=images), batch_size=size))[0].value
        for size in (1, 7, 90, 1000)
    ]
    assert values == [pytest.approx(values[0], rel=1e-6)] * 4


def test_it_applies_to_models_with_a_bound() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert elbo.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert elbo.unfit(evaluation(Silent(), dataset)) == "Silent has no bound of its likelihood"
