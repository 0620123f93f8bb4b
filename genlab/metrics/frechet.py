"""Fréchet distance between two distributions of features, each taken for a Gaussian.

Dowson & Landau, "The Fréchet Distance between Multivariate Normal Distributions", Journal of Multivariate Analysis 12,
1982, doi:10.1016/0047-259X(82)90077-X; of a network's features: Heusel et al., "GANs Trained by a Two Time-Scale Update
Rule Converge to a Local Nash Equilibrium", NIPS 2017, arXiv:1706.08500, equation 6.
"""

import math

import torch
from torch import Tensor

from genlab.metrics.bootstrap import NUM_RESAMPLES, drawn
from genlab.metrics.evaluation import Evaluation, Score

MOST_DIMENSIONS = 256
"""Features up to which all resamples are measured; of more, whose distance takes up to seconds, ``FEW_RESAMPLES``."""

FEW_RESAMPLES = 8
"""Their standard deviation is itself uncertain by a quarter."""

TOLERANCE = 1e-7
"""Relative error of a distance that the fast way may have at worst; most often it has a thousandth of it."""

COLUMNS = 256
"""Of a symmetric matrix that are computed at a time, from the diagonal down: half of the products are left out."""


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_features()


def measure(evaluation: Evaluation) -> list[Score]:
    """``fd_<network>``: 0 if both are alike; falls with the number of images, so only equal numbers compare."""
    scores = evaluation.comparison({"fd": math.inf}, 2, resampled_distances)
    fewest = min(len(evaluation.real_features), len(evaluation.fake_features))
    if fewest > (num_features := evaluation.real_features.shape[1]):
        return scores
    few = {"few": f"{fewest} images for {num_features} features, so it compares with distances of as many images alone"}
    return [Score(score.name, score.value, score.how | few) for score in scores]


def resampled_distances(real: Tensor, fake: Tensor, generator: torch.Generator) -> list[Tensor]:
    """The distance and those of resamples, ``[(1 + R,)]``."""
    num_resamples = NUM_RESAMPLES if real.shape[1] <= MOST_DIMENSIONS else FEW_RESAMPLES
    values = [frechet_distance(real, fake)]
    values += [frechet_distance(drawn(real, generator), drawn(fake, generator)) for _ in range(num_resamples)]
    return [torch.tensor(values, dtype=torch.float64)]


def frechet_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """``|m - n|² + tr(C + D - 2 (C D)^(1/2))`` of two means and (unbiased) covariances, computed in float64.

    Never negative, and defined for constant features and for fewer rows than columns. No root of a matrix is taken,
    which could be complex and takes longest.

    Shapes:
        real_features: ``(N, D)``, N at least 2.
        fake_features: ``(M, D)``, M at least 2.

    Raises:
        ValueError: the shapes are others.
    """
    shapes = [tuple(features.shape) for features in (real_features, fake_features)]
    if any(len(shape) != 2 or shape[0] < 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"features of shapes {shapes[0]} and {shapes[1]}; expected (N, D) and (M, D), N and M above 1")
    real, fake = real_features.double(), fake_features.double()
    a, b = ((features - features.mean(0)) / (len(features) - 1) ** 0.5 for features in (real, fake))
    apart = ((real.mean(0) - fake.mean(0)).square().sum() + a.square().sum() + b.square().sum()).item()
    # A feature that is constant in one set adds nothing to the root, and would make a covariance singular.
    varies = a.any(0) & b.any(0)
    if not varies.all():
        a, b = a[:, varies], b[:, varies]
    root, uncertainty = by_eigenvalues(a, b)
    if not 2 * uncertainty <= TOLERANCE * (apart - 2 * root):
        root = by_singular_values(a, b)
    return max(0.0, apart - 2 * root)  # two equal sets differ by rounding alone


def by_eigenvalues(a: Tensor, b: Tensor) -> tuple[float, float]:
    """``tr (C D)^(1/2)`` of ``C = A'A`` and ``D = B'B``, and how far rounding may put it off; NaN if one is singular.

    With ``C = LL'`` the eigenvalues of ``C D`` are those of ``L'D L``, which is symmetric. Each is uncertain by the
    rounding of the largest, and its root by that over twice the root, so small ones are not known this way.
    """
    if min(len(a), len(b)) <= a.shape[1]:
        return math.nan, math.nan
    c, d = covariance(a), covariance(b)
    factor, fault = torch.linalg.cholesky_ex(c)
    if fault:
        return math.nan, math.nan
    product = torch.zeros_like(c)
    for first in range(0, len(c), COLUMNS):
        below, columns = slice(first, None), slice(first, first + COLUMNS)
        # The factor is 0 above its diagonal.
        product[below, columns] = factor[below, below].T @ (d[below, below] @ factor[below, columns])
    eigenvalues = torch.linalg.eigvalsh(product).clamp(min=0)  # which reads it from the diagonal down
    roots = eigenvalues.sqrt()
    rounding = torch.finfo(torch.float64).eps * c.norm() * d.norm()
    return roots.sum().item(), (rounding / (2 * roots)).sum().item()


def by_singular_values(a: Tensor, b: Tensor) -> float:
    """``tr (A'A B'B)^(1/2)``: the sum of the singular values of ``A B'``, which is exact for singular covariances."""
    # A = QR has the covariance R'R, and R has no more rows than there are features.
    a, b = (torch.linalg.qr(rows, mode="r").R if rows.shape[0] > rows.shape[1] else rows for rows in (a, b))
    return torch.linalg.svdvals(a @ b.T).sum().item()


def covariance(rows: Tensor) -> Tensor:
    """``A'A``."""
    product = rows.new_zeros(rows.shape[1], rows.shape[1])
    for first in range(0, len(product), COLUMNS):
        columns = slice(first, first + COLUMNS)
        product[first:, columns] = rows[:, first:].T @ rows[:, columns]
    return product.tril() + product.tril(-1).T
