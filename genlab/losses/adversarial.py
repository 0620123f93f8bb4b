"""Losses of networks that play against each other: each is to be minimized, and is the mean over the batch.

Logits and scores are ``(N,)``, of a discriminator or critic; large for real items, small for generated ones. Losses are
computed in float32 at least.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def precise(scores: Tensor) -> Tensor:
    """At least float32, in which differences of scores keep their digits under autocast."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def cross_entropy(logits: Tensor, probability: float) -> Tensor:
    """``-p log D - (1 - p) log(1 - D)`` with ``D = sigmoid(logits)``, in nats; in float32 under autocast.

    Args:
        probability: of being real that D should give: 1 or 0, or a smoothed one.
    """
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, probability))


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """``-E log D(x) - E log(1 - D(G(z)))`` (Goodfellow et al., 2014, arXiv:1406.2661, equation 1), in nats.

    It is 2 log 2 if D is 1/2 everywhere.
    """
    return cross_entropy(real_logits, 1) + cross_entropy(fake_logits, 0)


def nonsaturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """``-E log D(G(z))`` (Goodfellow et al., 2014, section 3, last paragraph), in nats."""
    return cross_entropy(fake_logits, 1)


def minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """``E log(1 - D(G(z)))`` (Goodfellow et al., 2014, algorithm 1), in nats; flat where the discriminator is sure."""
    return -cross_entropy(fake_logits, 0)


def least_squares_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """``E (D(x) - 1)² / 2 + E D(G(z))² / 2`` (Mao et al., 2017, arXiv:1611.04076, equations 2 and 9: a=0, b=1)."""
    return ((precise(real_scores) - 1).square().mean() + precise(fake_scores).square().mean()) / 2


def least_squares_generator_loss(fake_scores: Tensor) -> Tensor:
    """``E (D(G(z)) - 1)² / 2`` (Mao et al., 2017, equations 2 and 9: c=1)."""
    return (precise(fake_scores) - 1).square().mean() / 2


def hinge_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """``E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))`` (Miyato et al., 2018, arXiv:1802.05957, equation 16)."""
    return functional.relu(1 - precise(real_scores)).mean() + functional.relu(1 + precise(fake_scores)).mean()


def hinge_generator_loss(fake_scores: Tensor) -> Tensor:
    """``-E D(G(z))`` (Miyato et al., 2018, equation 17)."""
    return -precise(fake_scores).mean()


def wasserstein_critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """``E f(G(z)) - E f(x)`` (Arjovsky et al., 2017, arXiv:1701.07875, equation 2): minus the estimated distance."""
    return precise(fake_scores).mean() - precise(real_scores).mean()


def wasserstein_generator_loss(fake_scores: Tensor) -> Tensor:
    """``-E f(G(z))`` (Arjovsky et al., 2017, equation 2, as far as it depends on the generator)."""
    return -precise(fake_scores).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """``E (|∇f(x̂)|₂ - 1)²`` at ``x̂ = mix · real + (1 - mix) · fake``, without its weight.

    Gulrajani et al., 2017, arXiv:1704.00028, equation 3 and algorithm 1: the norm is that of the gradient of one item's
    score with respect to all of its values.

    Shapes:
        real, fake: ``(N, ...)``.
        mix: one number in [0, 1] for each item: ``(N,)`` or ``(N, 1, ...)``.

    Args:
        critic: ``(N, ...)`` -> ``(N,)``, each score of its own item alone: no batch norm.
    """
    mix = mix.reshape(-1, *[1] * (real.ndim - 1))
    return (gradients(critic, torch.lerp(precise(fake), precise(real), mix)).norm(dim=1) - 1).square().mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """``E |∇D(x)|₂²`` at real items; its weight is γ / 2 (Mescheder et al., 2018, arXiv:1801.04406, equation 9).

    Shapes:
        real: ``(N, ...)``.

    Args:
        critic: ``(N, ...)`` -> ``(N,)``.
    """
    return gradients(critic, real).square().sum(1).mean()


def gradients(critic: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
    """The gradient of each item's score with respect to the item, ``(N, D)``, itself differentiable."""
    items = items.detach().requires_grad_()
    (found,) = torch.autograd.grad(critic(items).sum(), items, create_graph=True)
    return found.flatten(1)
