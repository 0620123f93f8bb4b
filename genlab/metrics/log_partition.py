"""log Z of restricted Boltzmann machines, without which their likelihood is known only up to a constant.

Salakhutdinov & Murray, "On the Quantitative Analysis of Deep Belief Networks", ICML 2008,
doi:10.1145/1390156.1390266.
"""

import math
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from genlab.metrics.evaluation import progress

MOST_ENUMERATED = 20
"""Hidden units up to which all their states are summed over."""

NUM_CHAINS = 100
"""Of annealed importance sampling, as in the paper's experiments."""


@runtime_checkable
class HasFreeEnergy(Protocol):
    """Two layers of binary units with p(v) = exp(-free_energy(v)) / Z.

    Shapes:
        weight: ``(num_visible, num_hidden)``; ``visible_bias`` and ``hidden_bias`` match its sides.
        base_bias: ``(num_visible,)``, log-odds of the data's units.
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    base_bias: Tensor

    def free_energy(self, visible: Tensor) -> Tensor: ...

    def draw_visible(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


def log_partition(model: HasFreeEnergy, generator: torch.Generator) -> tuple[float, dict[str, Any]]:
    """log Z in nats, and how it was had: ``exact``, or by ``ais``, annealed importance sampling.

    Computed in float64 on the CPU.
    """
    weight, visible_bias, hidden_bias, base_bias = (
        tensor.detach().cpu().double()
        for tensor in (model.weight, model.visible_bias, model.hidden_bias, model.base_bias)
    )
    if len(hidden_bias) <= MOST_ENUMERATED:
        return enumerated(weight, visible_bias, hidden_bias), {"method": "exact", "num_states": 2 ** len(hidden_bias)}
    schedule = paper_schedule()
    log_weights = annealed(weight, visible_bias, hidden_bias, base_bias, schedule, NUM_CHAINS, generator)
    value, standard_error = estimate(log_weights)
    how = {"method": "ais", "num_chains": NUM_CHAINS, "num_temperatures": len(schedule)}
    return value, how | {"standard_error": standard_error}


def enumerated(weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> float:
    """log Z, by the sum over all states of the hidden units; those of the visible ones are summed in closed form.

    Shapes:
        weight: ``(num_visible, num_hidden)``; the biases match its sides.
    """
    powers = 2 ** torch.arange(len(hidden_bias))
    total = weight.new_tensor(-math.inf)
    for numbers in progress(torch.arange(2 ** len(hidden_bias)).split(4096), "sum over hidden units"):
        hidden = (numbers[:, None] & powers).bool().to(weight.dtype)
        log_terms = hidden @ hidden_bias + functional.softplus(visible_bias + hidden @ weight.T, threshold=40).sum(1)
        total = torch.logaddexp(total, log_terms.logsumexp(0))
    return total.item()


def paper_schedule() -> Tensor:
    """The 14,500 inverse temperatures of the paper's experiments, densest near 1: ``(14500,)`` float64."""
    parts = ((0, 0.5, 500), (0.5, 0.9, 4000), (0.9, 1, 10_000))
    return torch.cat([torch.linspace(first, last, count + 1, dtype=torch.float64)[1:] for first, last, count in parts])


def annealed(
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    base_bias: Tensor,
    temperatures: Tensor,
    num_chains: int,
    generator: torch.Generator,
) -> Tensor:
    """Annealed importance sampling: the mean of the importance weights is Z, however few the temperatures.

    The distribution at inverse temperature t is p_t(v) ∝ exp((1-t) v·a + t v·b) Π_j (1 + exp(t (c_j + v·W_j))): from
    independent pixels with log-odds a, of which Z is known, to the model.

    Args:
        temperatures: ``(T,)``, ascending, the last 1.

    Shapes:
        weight: ``(num_visible, num_hidden)``; the biases match its sides.
        result: ``(num_chains,)`` nats, log of the importance weights.
    """

    def log_hidden(inputs: Tensor, t: float) -> Tensor:
        return functional.softplus(t * inputs, threshold=40).sum(1)

    def draw(probability: Tensor) -> Tensor:
        uniform = torch.rand(probability.shape, dtype=torch.float64, generator=generator)
        return (uniform < probability).to(weight.dtype)

    visible = draw(base_bias.sigmoid().expand(num_chains, -1))
    log_weights = torch.full((num_chains,), functional.softplus(base_bias).sum().item(), dtype=weight.dtype)
    log_weights += len(hidden_bias) * math.log(2)
    previous = 0.0
    for t in progress(temperatures.tolist(), "annealed importance sampling"):
        inputs = hidden_bias + visible @ weight
        log_weights += (t - previous) * (visible @ (visible_bias - base_bias))
        log_weights += log_hidden(inputs, t) - log_hidden(inputs, previous)
        hidden = draw((t * inputs).sigmoid())
        visible = draw(((1 - t) * base_bias + t * (visible_bias + hidden @ weight.T)).sigmoid())
        previous = t
    return log_weights


def estimate(log_weights: Tensor) -> tuple[float, float]:
    """log of the mean weight, and the standard error of that by the delta method.

    On average the log is too small, so likelihoods computed with it are too large, if anything.

    Shapes: ``(M,)`` nats -> two numbers in nats.
    """
    count = len(log_weights)
    value = log_weights.logsumexp(0) - math.log(count)
    relative = (log_weights - value).exp()  # of mean 1
    return value.item(), relative.std().item() / count**0.5
