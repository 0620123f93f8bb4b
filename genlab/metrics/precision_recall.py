"""Fidelity and diversity apart: precision and recall, and density and coverage, which outliers sway less.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019,
arXiv:1904.06991, equations 1 and 2; Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML
2020, arXiv:2002.09797, equations 3 to 6.
"""

import math

import torch
from torch import Tensor

from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score

NUM_NEIGHBOURS = 5
"""As Naeem et al. have it (section 3.3.1); Kynkäänniemi et al. take 3."""

ROWS = 1024
"""Rows of a matrix of distances that are in memory at a time."""

ROUNDING = 1e-10
"""Relative to the squares of rows or distances: as far as equal ones may seem to differ."""


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_features()


def measure(evaluation: Evaluation) -> list[Score]:
    """``precision_<network>``, ``recall_…``, ``density_…`` and ``coverage_…``.

    Precision and recall of a perfect model are equal and below 1; its density is about 1, its coverage above 0.9. All
    depend on the numbers of images.
    """
    limits = {"precision": 1.0, "recall": 1.0, "density": math.inf, "coverage": 1.0}
    return evaluation.comparison(limits, NUM_NEIGHBOURS + 1, resampled_shares, {"neighbours": NUM_NEIGHBOURS})


def resampled_shares(real: Tensor, fake: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Precision, recall, density and coverage with those of resamples, ``(1 + R,)`` each.

    The balls keep the radius they have in the whole sets: in a resample rows would be among their own neighbours.
    """
    real_counts, fake_counts = drawn_counts(len(real), generator), drawn_counts(len(fake), generator)
    return shares(real, fake, real_counts, fake_counts, NUM_NEIGHBOURS)


def precision_recall(
    real_features: Tensor, fake_features: Tensor, num_neighbours: int = NUM_NEIGHBOURS
) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage, of closed balls that reach to the kth nearest row of the same set.

    Precision: the share of fake rows in the ball of any real row. Recall: of real rows in the ball of any fake one.
    Density: in how many balls of real rows a fake one is, over k. Coverage: the share of real rows with a fake one in
    their ball.

    Shapes:
        real_features: ``(N, D)``, N above k; computed in float64.
        fake_features: ``(M, D)``, M above k.
    """
    real, fake = real_features.double(), fake_features.double()
    found = shares(real, fake, real.new_ones(1, len(real)), fake.new_ones(1, len(fake)), num_neighbours)
    precision, recall, density, coverage = (value.item() for value in found)
    return precision, recall, density, coverage


def shares(real: Tensor, fake: Tensor, real_counts: Tensor, fake_counts: Tensor, num_neighbours: int) -> list[Tensor]:
    """Precision, recall, density and coverage, ``(R,)`` each, of sets that hold each row so many times.

    Shapes:
        real, fake: ``(N, D)`` and ``(M, D)`` float64.
        real_counts, fake_counts: ``(R, N)`` and ``(R, M)`` float64.
    """
    middle = real.mean(0)  # the nearer to 0, the less is lost to rounding
    real, fake = real - middle, fake - middle
    precision, depth, coverage = in_balls(real, fake, real_counts, fake_counts, num_neighbours)
    recall, _, _ = in_balls(fake, real, fake_counts, real_counts, num_neighbours)
    return [precision, recall, depth / num_neighbours, coverage]


def in_balls(
    centres: Tensor, points: Tensor, centre_counts: Tensor, point_counts: Tensor, num_neighbours: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The share of points in any ball, the mean number of balls a point is in, and the share of balls with a point.

    Shapes: rows and counts as of ``shares`` -> three of ``(R,)``.
    """
    radii = distances_to_neighbour(centres, num_neighbours)
    # Whether a ball or a point is in the set, and how often; float32 holds counts exactly.
    has_centre, num_centres = (centre_counts > 0).float().T, centre_counts.float().T
    has_point = (point_counts > 0).float().T
    points_inside, depth = centres.new_zeros(2, len(centre_counts))
    balls_hit = torch.zeros_like(num_centres)
    for rows, counts, present in zip(
        points.split(ROWS), point_counts.split(ROWS, 1), has_point.split(ROWS), strict=True
    ):
        is_inside = (distances(rows, centres) <= radii * (1 + ROUNDING)).float()
        points_inside += (counts * (is_inside @ has_centre > 0).T).sum(1)
        depth += (counts * (is_inside @ num_centres).T).sum(1)
        balls_hit += is_inside.T @ present
    covered = (centre_counts * (balls_hit > 0).T).sum(1)
    return points_inside / len(points), depth / len(points), covered / len(centres)


def distances_to_neighbour(rows: Tensor, num_neighbours: int) -> Tensor:
    """The distance of each row to its kth nearest other row, ``(N, D)`` -> ``(N,)``."""
    found = []
    for numbers in torch.arange(len(rows)).split(ROWS):
        between = distances(rows[numbers], rows)
        between[torch.arange(len(numbers)), numbers] = math.inf
        found.append(between.kthvalue(num_neighbours, 1).values)
    return torch.cat(found)


def distances(x: Tensor, y: Tensor) -> Tensor:
    """``(N, D)`` and ``(M, D)`` -> ``(N, M)``; 0 where the rounding of a matrix product is all that is between two."""
    sizes = x.square().sum(1)[:, None] + y.square().sum(1)
    squares = sizes - 2 * x @ y.T
    return torch.where(squares > ROUNDING * sizes, squares, 0).sqrt()
