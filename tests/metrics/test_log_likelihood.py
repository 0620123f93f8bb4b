"""The log-likelihood as a score."""

import itertools
import math

import pytest
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation
from torch import Tensor

from genlab.metrics import log_likelihood, log_partition
from genlab.models.base import GenerativeModel
from genlab.models.rbm import RBM


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


def machine(num_hidden: int) -> RBM:
    """A machine of four pixels that depend on each other."""
    torch.manual_seed(0)
    model = RBM((1, 2, 2), num_hidden, "data", 1, 1, 1, torch.optim.SGD)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def all_images() -> Tensor:
    """The 16 black and white images of four pixels."""
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4))).view(16, 1, 2, 2)


@torch.no_grad()
def test_the_probabilities_of_all_images_of_a_machine_add_up_to_one() -> None:
    model = machine(3)
    scores = [
        log_likelihood.measure(evaluation(model, Splits(train=image[None], test=image[None]))) for image in all_images()
    ]
    values = [found.value for found, _ in scores if found.value is not None]
    assert math.fsum(math.exp(value) for value in values) == pytest.approx(1, rel=1e-6)
    (first, constant), *_ = scores
    assert (first.name, constant.name) == ("log_likelihood", "log_partition")
    assert first.how["log_partition"] == constant.how["method"] == "exact"
    assert constant.how["num_states"] == 8


@torch.no_grad()
def test_a_machine_that_is_too_large_to_sum_over_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Splits(train=all_images(), test=all_images())
    exact = log_likelihood.measure(evaluation(machine(3), dataset))
    monkeypatch.setattr(log_partition, "MOST_ENUMERATED", 2)
    found, constant = log_likelihood.measure(evaluation(machine(3), dataset))
    assert found.how["log_partition"] == "ais"
    assert constant.how["num_chains"] == 100
    assert constant.how["num_temperatures"] == 14_500
    assert 0 < constant.how["standard_error"] < 0.02
    assert found.value == pytest.approx(exact[0].value, abs=5 * constant.how["standard_error"])


@torch.no_grad()
def test_binary_images_of_a_machine_do_not_depend_on_the_batch_size() -> None:
    grey = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    dataset = Splits(train=grey[:1], test=grey)
    values = [log_likelihood.measure(evaluation(machine(3), dataset, batch_size=size))[0].value for size in (1, 7, 99)]
    assert values == [pytest.approx(values[0], rel=1e-6)] * 3


def test_it_applies_to_machines() -> None:
    assert log_likelihood.unfit(evaluation(machine(3), Splits(train=torch.zeros(1, 1, 2, 2)))) is None
