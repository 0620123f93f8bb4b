"""Kernel distance between two distributions of features: the squared maximum mean discrepancy.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, arXiv:1801.01401, section 4; the estimator: Gretton et al., "A
Kernel Two-Sample Test", JMLR 13, 2012, equation 3.
"""

from torch import Tensor

from genlab.metrics.evaluation import Evaluation, Score

ROWS = 1024
"""Rows of the kernel matrix that are in memory at a time."""


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_features()


def measure(evaluation: Evaluation) -> list[Score]:
    """``kd_<network>``: 0 if both are alike."""
    return [evaluation.distance("kd", kernel_distance)]


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """The unbiased estimate over all pairs with the kernel ``(x·y / D + 1)³``, and 0 where that estimate is negative.

    It is negative about half of the time for two sets of one distribution: they cannot be told apart. Because of the 0
    a distance that small falls with the number of images; larger ones do not depend on it but for their noise.

    Shapes:
        real: ``(N, D)`` float64, N at least 2.
        fake: ``(M, D)`` float64, M at least 2.
    """
    within = sum(
        (kernel_sum(features, features) - (features.square().sum(1) / features.shape[1] + 1).pow(3).sum().item())
        / (len(features) * (len(features) - 1))
        for features in (real, fake)
    )
    return max(0.0, within - 2 * kernel_sum(real, fake) / (len(real) * len(fake)))


def kernel_sum(x: Tensor, y: Tensor) -> float:
    """The kernel's sum over all pairs of rows."""
    return sum((rows @ y.T / x.shape[1] + 1).pow(3).sum().item() for rows in x.split(ROWS))
