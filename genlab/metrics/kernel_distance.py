"""Kernel distance between two distributions of features: the squared maximum mean discrepancy.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, arXiv:1801.01401, section 4; the estimator: Gretton et al., "A
Kernel Two-Sample Test", JMLR 13, 2012, equation 3.
"""

import math

import torch
from torch import Tensor

from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score

ROWS = 1024
"""Rows of the kernel matrix that are in memory at a time."""


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_features()


def measure(evaluation: Evaluation) -> list[Score]:
    """``kd_<network>``: 0 if both are alike."""
    return evaluation.comparison({"kd": math.inf}, 2, resampled_distances)


def resampled_distances(real: Tensor, fake: Tensor, generator: torch.Generator) -> list[Tensor]:
    """The distance and those of resamples, ``[(1 + R,)]``; the latter may be negative."""
    values = estimates(real, fake, drawn_counts(len(real), generator), drawn_counts(len(fake), generator))
    values[0] = values[0].clamp(min=0)
    return [values]


def kernel_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """The unbiased estimate over all pairs with the kernel ``(x·y / D + 1)³``, and 0 where that estimate is negative.

    It is negative about half of the time for two sets of one distribution: they cannot be told apart. Because of the 0
    a distance that small falls with the number of images; larger ones do not depend on it but for their noise.

    Shapes:
        real_features: ``(N, D)``, N at least 2; computed in float64.
        fake_features: ``(M, D)``, M at least 2.
    """
    real, fake = real_features.double(), fake_features.double()
    return max(0.0, estimates(real, fake, real.new_ones(1, len(real)), fake.new_ones(1, len(fake))).item())


def estimates(real: Tensor, fake: Tensor, real_counts: Tensor, fake_counts: Tensor) -> Tensor:
    """The unbiased estimate for sets that hold each row so many times, all of them in one pass over the kernel matrix.

    Shapes:
        real, fake: ``(N, D)`` and ``(M, D)`` float64.
        real_counts, fake_counts: ``(R, N)`` and ``(R, M)`` float64.
        result: ``(R,)``.
    """
    within = sum(
        (kernel_sums(features, features, counts, counts) - counts @ kernel_with_itself(features))
        / (len(features) * (len(features) - 1))
        for features, counts in ((real, real_counts), (fake, fake_counts))
    )
    return within - 2 * kernel_sums(real, fake, real_counts, fake_counts) / (len(real) * len(fake))


def kernel_with_itself(features: Tensor) -> Tensor:
    """``(N, D)`` -> ``(N,)``."""
    return (features.square().sum(1) / features.shape[1] + 1).pow(3)


def kernel_sums(x: Tensor, y: Tensor, x_counts: Tensor, y_counts: Tensor) -> Tensor:
    """The kernel's sum over all pairs of rows of ``(N, D)`` and ``(M, D)``, each counted so many times, ``(R,)``."""
    total = x.new_zeros(len(x_counts))
    for rows, counts in zip(x.split(ROWS), x_counts.split(ROWS, 1), strict=True):
        products = rows @ y.T / x.shape[1] + 1
        total += (counts @ (products * products * products) * y_counts).sum(1)
    return total
