"""Likelihood and draws of pixels that are one of some levels, each a class of its own."""

import torch
from torch import Tensor
from torch.nn import functional

from genlab.losses.variational import joint_bernoulli_log_likelihood


def nearest_level(images: Tensor, num_levels: int) -> Tensor:
    """The nearest of ``num_levels`` equally spaced levels, from 0, as a whole float, of images in [-1, 1]; any shape.

    Halfway between two it is the upper one, so 2 levels are split at 0. NaN stays NaN.
    """
    return ((images + 1) * ((num_levels - 1) / 2) + 0.5).floor().clamp_(0, num_levels - 1)


def levels_of(images: Tensor, num_levels: int) -> Tensor:
    """``nearest_level`` as int64, where NaN is level 0: what is computed from the image itself has it still."""
    return nearest_level(images, num_levels).nan_to_num_(0).long()


def images_of(levels: Tensor, num_levels: int) -> Tensor:
    """Levels, from 0, as float32 in [-1, 1]."""
    return levels * (2 / (num_levels - 1)) - 1.0


def num_logits(num_levels: int) -> int:
    """For each pixel and colour: one for each level, or the log of the odds of the upper one of two."""
    return 1 if num_levels == 2 else num_levels


def log_probabilities(logits: Tensor, num_levels: int) -> Tensor:
    """Of each level, in nats: ``(N, num_logits)`` -> ``(N, num_levels)``."""
    if num_levels == 2:
        return functional.logsigmoid(torch.cat([-logits, logits], 1))
    return logits.log_softmax(1)


def logits_of(log_probabilities: Tensor, num_levels: int) -> Tensor:
    """What gives these, which need not sum to 1: ``(N, num_levels)`` -> ``(N, num_logits)``."""
    return log_probabilities[:, 1:] - log_probabilities[:, :1] if num_levels == 2 else log_probabilities


def levels_log_likelihood(logits: Tensor, levels: Tensor, num_levels: int) -> Tensor:
    """log probability of images whose pixels and colours are independent given the logits.

    Computed in float32 at least.

    Shapes:
        logits: ``(N, C * num_logits, H, W)``, all of the first colour first.
        levels: ``(N, C, H, W)`` in [0, num_levels).
        result: ``(N,)`` nats, at most 0.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if num_levels == 2:
        return joint_bernoulli_log_likelihood(logits.flatten(1), levels.flatten(1).to(logits.dtype))
    of_colours = logits.unflatten(1, (levels.shape[1], num_levels)).transpose(1, 2)
    return -functional.cross_entropy(of_colours, levels, reduction="none").flatten(1).sum(1)


def draw_levels(logits: Tensor, uniform: Tensor, num_levels: int) -> Tensor:
    """Levels by the inverse of the distribution function.

    Shapes:
        logits: ``(N, num_logits)``.
        uniform: ``(N,)`` in [0, 1).
        result: ``(N,)`` int64.
    """
    if num_levels == 2:
        return (uniform < logits[:, 0].sigmoid()).long()
    probability = logits.softmax(1).cumsum(1)
    # The sum may fall short of 1 by rounding.
    return (uniform[:, None] >= probability).sum(1).clamp_(max=num_levels - 1)
