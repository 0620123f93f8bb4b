"""The log-likelihood as a score."""

import math

import pytest
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation
from torch import Tensor

from genlab.metrics import log_likelihood
from genlab.models.base import GenerativeModel


class StandardNormal(GenerativeModel):
    """log p(x) of N(0, I)."""

    def log_likelihood(self, items: Tensor) -> Tensor:
        return -0.5 * (items.square() + math.log(2 * math.pi)).flatten(1).sum(1)


def test_a_known_gaussian() -> None:
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
    [score] = log_likelihood.measure(evaluation(StandardNormal(), Splits(train=vectors[:1], test=vectors)))
    assert score.name == "log_likelihood"
    assert score.value == pytest.approx(-math.log(2 * math.pi) - 0.5 * (0 + 1 + 25) / 3)
    assert {name: score.how[name] for name in ("unit", "split", "num_items")} == {
        "unit": "nats an item",
        "split": "test",
        "num_items": 3,
    }


def test_its_mean_over_a_models_own_data_is_minus_the_entropy() -> None:
    model = LinearGaussian()
    images = data_of(model, 4000)
    [score] = log_likelihood.measure(evaluation(model, Splits(train=images[:1], test=images)))
    assert score.value == pytest.approx(-model.marginal.entropy().item(), abs=5 * (4 / 2 / 4000) ** 0.5)


def test_batch_size_changes_nothing() -> None:
    vectors = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    dataset = Splits(train=vectors[:1], test=vectors)
    sizes = (1, 7, 50, 99)
    values = [log_likelihood.measure(evaluation(StandardNormal(), dataset, batch_size=size))[0].value for size in sizes]
    assert values == [pytest.approx(values[0], rel=1e-6)] * 4


def test_an_impossible_item_leaves_it_undefined() -> None:
    vectors = torch.tensor([[0.0], [math.inf]])
    [score] = log_likelihood.measure(evaluation(StandardNormal(), Splits(train=vectors[:1], test=vectors)))
    assert score.value is None
    assert score.how["undefined"] == "1 of 2 values are not finite"


def test_it_applies_to_models_that_compute_it() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert log_likelihood.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert log_likelihood.unfit(evaluation(Silent(), dataset)) == "Silent cannot compute its likelihood"
