"""Likelihoods, divergences and bounds of models with latent variables, in nats, and the random draws they are of.

All are computed in the precision of what they are given.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of a Gaussian with diagonal covariance from N(0, I), in closed form.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, arXiv:1312.6114, appendix B.

    Shapes:
        mean, log_variance: ``(..., D)``.
        result: ``(...)``, at least 0 but for rounding.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


def gaussian_log_likelihood(mean: Tensor, log_variance: Tensor, targets: Tensor) -> Tensor:
    """log density of each target under a Gaussian of its own; add them up for that of independent ones.

    Shapes:
        mean, log_variance, targets: broadcast together to ``(...)``.
        result: ``(...)``.
    """
    return -0.5 * ((targets - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


def bernoulli_log_likelihood(logits: Tensor, targets: Tensor) -> Tensor:
    """log probability of each target under a Bernoulli distribution of its own.

    Targets between 0 and 1 give the negative cross entropy, which is not the likelihood of anything.

    Shapes:
        logits: ``(...)``, log of the odds of a 1.
        targets: the same shape, in [0, 1].
        result: the same shape, at most 0.

    Raises:
        ValueError: the shapes differ.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").neg_()


def joint_bernoulli_log_likelihood(logits: Tensor, targets: Tensor) -> Tensor:
    """The sum of ``bernoulli_log_likelihood`` over the last axis, several times as fast.

    PyTorch computes log(1 + e^x) with a slow logarithm of each; here it is that of the product of some.

    Shapes:
        logits: ``(..., D)``.
        targets: broadcast to that, in [0, 1]; the result is in their precision.
        result: ``(...)``, at most 0.
    """
    return JointBernoulli.apply(logits.to(targets.dtype), targets)


class JointBernoulli(torch.autograd.Function):
    """``joint_bernoulli_log_likelihood`` and its gradient for the logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits, targets)
        size = logits.shape[-1]
        group = max(divisor for divisor in range(1, 101) if size % divisor == 0)
        # Each factor is between 1 and 2, so the product of 100 is finite in float32.
        factors = logits.abs().neg_().exp_().add_(1).unflatten(-1, (size // group, group))
        linear = torch.addcmul(logits.clamp(min=0), logits, targets, value=-1)
        return -(linear.sum(-1) + factors.prod(-1).log_().sum(-1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, targets = ctx.saved_tensors
        return (targets - logits.sigmoid()).mul_(gradient[..., None]), None


def discretized_logistic_log_likelihood(mean: Tensor, log_scale: Tensor, targets: Tensor, num_levels: int) -> Tensor:
    """log probability of each target, one of equally spaced levels, under a logistic distribution cut into bins.

    A bin reaches half the way to the levels beside it; the outermost two have no end, so all levels together have
    probability 1. Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016,
    arXiv:1606.04934, appendix on ResNet VAEs; the open ends are those of Salimans et al., "PixelCNN++", 2017,
    arXiv:1701.05517, equation 2.

    Args:
        num_levels: from -1 to 1; 256 for images of 8 bits.

    Shapes:
        mean, log_scale: broadcast together with targets.
        targets: ``(...)`` in [-1, 1].
        result: ``(...)``, at most 0.
    """
    half_bin = 1 / (num_levels - 1)
    steepness = (-log_scale).exp()
    upper = (targets - mean + half_bin) * steepness
    lower = (targets - mean - half_bin) * steepness
    # log of sigmoid(upper) - sigmoid(lower), without the cancellation: for a = upper, b = lower it is
    # log sigmoid(a) + log sigmoid(-b) + log(1 - e^(b - a)).
    difference = -2 * half_bin * steepness
    inside = functional.logsigmoid(upper) + functional.logsigmoid(-lower) + (-difference.expm1()).log()
    inside = torch.where(targets > 1 - half_bin, functional.logsigmoid(-lower), inside)
    return torch.where(targets < half_bin - 1, functional.logsigmoid(upper), inside)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log of the mean of k importance weights, the bound of log p(x) that k draws of the latent give.

    Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, arXiv:1509.00519, equation 8.

    Shapes:
        log_weights: ``(..., k)``, log of p(x, z) / q(z|x); the last axis is that of the draws.
        result: ``(...)``.
    """
    return torch.logsumexp(log_weights, dim=-1) - math.log(log_weights.shape[-1])


def binary(images: Tensor, uniform: Tensor) -> Tensor:
    """Draws 1 with the probability ``(images + 1) / 2``, else 0: dynamic binarization.

    Shapes:
        images: any, in [-1, 1].
        uniform: the same shape, in [0, 1).
    """
    # 1 where images > 2·uniform - 1. A comparison would hide NaN in the data; clamp lets it through.
    return torch.sub(images, uniform, alpha=2).add_(1).mul_(1e30).clamp_(0, 1)


def draws_for(images: Tensor, k: int, latent_dim: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """What the bounds of images are drawn with: uniform numbers for ``binary``, and noise for k latents of each.

    Drawn image by image, and noise from a generator of its own: neither the batch nor k nor ``latent_dim`` changes the
    binary images, so all bounds of a seed over the same images are of the same ones.

    Args:
        generator: on the CPU, whatever the device of the images; None is torch's own.

    Shapes:
        images: ``(N, ...)``.
        result: ``(N, ...)`` in [0, 1), and ``(N, k, latent_dim)`` from N(0, 1).
    """
    uniform, noise = [], []
    for image in images:
        uniform.append(torch.rand(image.shape, generator=generator))
        own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        noise.append(torch.randn(k, latent_dim, generator=own))
    return torch.stack(uniform).to(images.device), torch.stack(noise).to(images.device)
