"""Fréchet distance between two distributions of features, each taken for a Gaussian.

Dowson & Landau, "The Fréchet Distance between Multivariate Normal Distributions", Journal of Multivariate Analysis 12,
1982, doi:10.1016/0047-259X(82)90077-X; of a network's features: Heusel et al., "GANs Trained by a Two Time-Scale Update
Rule Converge to a Local Nash Equilibrium", NIPS 2017, arXiv:1706.08500, equation 6.
"""

import torch
from torch import Tensor

from genlab.metrics.evaluation import Evaluation, Score


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_features()


def measure(evaluation: Evaluation) -> list[Score]:
    """``fd_<network>``: 0 if both are alike; falls with the number of images, so only equal numbers compare."""
    return [evaluation.distance("fd", frechet_distance)]


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """``|m - n|² + tr(C + D - 2 (C D)^(1/2))`` of two means and (unbiased) covariances.

    Never negative, and defined for constant features and for fewer rows than columns: with the centred features as
    ``A`` and ``B``, so that ``C = A'A`` and ``D = B'B``, the last trace is the sum of the singular values of ``A B'``.
    No matrix root is taken, which could be complex.

    Shapes:
        real: ``(N, D)`` float64, N at least 2.
        fake: ``(M, D)`` float64, M at least 2.
    """
    spreads = []
    for features in (real, fake):
        centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
        # A = QR has the covariance R'R, and R has no more rows than there are features.
        spreads.append(torch.linalg.qr(centred, mode="r").R)
    shift = (real.mean(0) - fake.mean(0)).square().sum()
    spread = spreads[0].square().sum() + spreads[1].square().sum()
    overlap = torch.linalg.svdvals(spreads[0] @ spreads[1].T).sum()
    return max(0.0, (shift + spread - 2 * overlap).item())  # two equal sets differ by rounding alone
