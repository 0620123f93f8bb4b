"""log Z of machines small enough to sum over, and what annealed importance sampling promises of it."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from genlab.metrics.log_partition import annealed, enumerated, estimate, paper_schedule


def machine(num_visible: int, num_hidden: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and biases of visible and of hidden units."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((num_visible, num_hidden), (num_visible,), (num_hidden,))
    weight, visible_bias, hidden_bias = (
        scale * torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes
    )
    return weight, visible_bias, hidden_bias


def test_enumeration_is_the_sum_over_all_states_of_both_layers() -> None:
    weight, visible_bias, hidden_bias = machine(5, 4)
    visible, hidden = (
        torch.tensor(list(itertools.product([0.0, 1.0], repeat=count)), dtype=torch.float64) for count in (5, 4)
    )
    energy = visible @ visible_bias[:, None] + hidden @ hidden_bias + visible @ weight @ hidden.T
    assert enumerated(weight, visible_bias, hidden_bias) == pytest.approx(energy.flatten().logsumexp(0).item())


def test_either_layer_may_be_summed_over_in_more_than_one_part() -> None:
    weight, visible_bias, hidden_bias = machine(6, 14)
    assert enumerated(weight, visible_bias, hidden_bias) == pytest.approx(
        enumerated(weight.T, hidden_bias, visible_bias), rel=1e-12
    )


def test_units_without_weights_are_independent() -> None:
    weight, visible_bias, hidden_bias = machine(7, 9)
    expected = functional.softplus(visible_bias).sum() + functional.softplus(hidden_bias).sum()
    assert enumerated(0 * weight, visible_bias, hidden_bias) == pytest.approx(expected.item())


def test_weights_that_overflow_an_exponential_do_not_overflow_log_z() -> None:
    weight, visible_bias, hidden_bias = machine(6, 4, scale=1e4)
    assert math.isfinite(enumerated(weight, visible_bias, hidden_bias))
    temperatures = torch.tensor([0.5, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    log_weights = annealed(weight, visible_bias, hidden_bias, visible_bias, temperatures, 10, generator)
    assert all(math.isfinite(value) for value in estimate(log_weights))


@pytest.mark.parametrize("temperatures", [[1.0], [0.5, 1.0], [0.2, 0.4, 0.6, 0.8, 1.0]])
def test_the_mean_weight_is_z_however_few_the_temperatures(temperatures: list[float]) -> None:
    weight, visible_bias, hidden_bias = machine(5, 4, scale=0.7)
    log_weights = annealed(
        *(weight, visible_bias, hidden_bias, torch.zeros(5, dtype=torch.float64)),
        *(torch.tensor(temperatures, dtype=torch.float64), 100_000, torch.Generator().manual_seed(1)),
    )
    relative = (log_weights - enumerated(weight, visible_bias, hidden_bias)).exp()
    assert abs(relative.mean() - 1) < 4 * relative.std() / 100_000**0.5


def test_more_temperatures_spread_the_weights_less() -> None:
    weight, visible_bias, hidden_bias = machine(8, 6)
    base = torch.zeros(8, dtype=torch.float64)
    spreads = []
    for count in (4, 40, 400):
        temperatures = torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:]
        generator = torch.Generator().manual_seed(2)
        spreads.append(annealed(weight, visible_bias, hidden_bias, base, temperatures, 500, generator).std().item())
    assert spreads[0] > 2 * spreads[1] > 4 * spreads[2]


def test_a_machine_without_weights_is_met_exactly_from_its_own_biases() -> None:
    weight, visible_bias, _ = machine(6, 5)
    zeros = torch.zeros(5, dtype=torch.float64)
    log_weights = annealed(
        *(0 * weight, visible_bias, zeros, visible_bias),
        *(torch.tensor([0.3, 1.0], dtype=torch.float64), 20, torch.Generator().manual_seed(0)),
    )
    value, standard_error = estimate(log_weights)
    assert value == pytest.approx(enumerated(0 * weight, visible_bias, zeros), rel=1e-12)
    assert standard_error == pytest.approx(0, abs=1e-12)


def test_the_standard_error_is_that_of_the_mean_weight_over_the_mean_weight() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    value, standard_error = estimate(weights.log() + 1000)
    assert value == pytest.approx(1000 + math.log(3))
    assert standard_error == pytest.approx(weights.std().item() / 3 / 2)


def test_the_schedule_of_the_paper() -> None:
    schedule = paper_schedule()
    assert len(schedule) == 14_500
    assert [(schedule <= t + 1e-9).sum().item() for t in (0.5, 0.9, 1.0)] == [500, 4500, 14_500]
    assert (schedule.diff() > 0).all()
    assert schedule[0] == pytest.approx(1e-3)
    assert schedule[-1] == 1
