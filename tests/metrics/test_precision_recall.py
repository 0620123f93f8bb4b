"""Precision, recall, density and coverage: cases worked by hand, a slow reference, what they can tell."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import LinearGaussian, Repeats, Silent, Splits, data_of, evaluation
from torch import Tensor

from genlab.metrics import precision_recall as metric
from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.precision_recall import precision_recall, shares


def draw(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def line(*places: float) -> Tensor:
    return torch.tensor(places).double()[:, None]


def one_by_one(real: NDArray, fake: NDArray, k: int) -> tuple[float, float, float, float]:
    """The equations as they are printed, pair by pair."""

    def radius(rows: NDArray, number: int) -> float:
        return sorted(np.linalg.norm(rows[number] - row) for i, row in enumerate(rows) if i != number)[k - 1]

    def inside(centres: NDArray, points: NDArray) -> NDArray:
        radii = [radius(centres, i) for i in range(len(centres))]
        return np.array([[np.linalg.norm(x - c) <= r for c, r in zip(centres, radii, strict=True)] for x in points])

    of_real, of_fake = inside(real, fake), inside(fake, real)
    return (
        float(np.mean([row.any() for row in of_real])),
        float(np.mean([row.any() for row in of_fake])),
        float(np.sum(of_real) / (k * len(fake))),
        float(np.mean([column.any() for column in of_real.T])),
    )


def test_points_on_a_line_by_hand() -> None:
    real = line(0, 1, 10, 12)  # [-1, 1], [0, 2], [8, 12], [10, 14]
    fake = line(0.5, 11, 20, 21)  # [-10, 11], [1.5, 20.5], [19, 21], [20, 22]
    precision, recall, density, coverage = precision_recall(real, fake, 1)
    assert precision == 2 / 4  # 0.5 and 11
    assert recall == 4 / 4  # the balls about 0.5 and 11 hold all
    assert density == (2 + 2) / 4  # 0.5 is in the first two balls, 11 in the last two
    assert coverage == 4 / 4


def test_the_radius_is_to_the_kth_neighbour() -> None:
    real, fake = line(0, 1, 3, 6), line(8.9, 9.1, 100, 200)
    # About 6, the second neighbour is 1: a radius of 5; the first, 3: a radius of 3, which ends before 9.1.
    assert precision_recall(real, fake, 1)[0] == 1 / 4
    assert precision_recall(real, fake, 2)[0] == 2 / 4
    assert precision_recall(real, fake, 2)[2] == 2 / (2 * 4)
    assert precision_recall(real, fake, 2)[3] == 1 / 4


@pytest.mark.parametrize(("columns", "k"), [(1, 1), (2, 3), (8, 5)])
def test_they_equal_the_equations_pair_by_pair(columns: int, k: int) -> None:
    real, fake = draw(40, columns, 1), draw(30, columns, 2) * 0.7 + 0.3
    assert precision_recall(real, fake, k) == pytest.approx(one_by_one(real.numpy(), fake.numpy(), k), rel=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(50, 3, 1), draw(40, 3, 2) * 0.5
    whole = precision_recall(real, fake)
    monkeypatch.setattr(metric, "ROWS", 7)
    assert precision_recall(real, fake) == whole


def test_rows_that_are_not_drawn_take_their_balls_with_them() -> None:
    real, fake = draw(30, 2, 1), draw(40, 2, 2)
    counts = drawn_counts(30, torch.Generator().manual_seed(0)), drawn_counts(40, torch.Generator().manual_seed(1))
    found = torch.stack(shares(real, fake, *counts, 3))
    near = torch.cdist(fake, real) <= metric.distances_to_neighbour(real, 3)
    for resample in (0, 1, 50):
        of_real, of_fake = (part[resample].long() for part in counts)
        drawn = near.repeat_interleave(of_real, 1).repeat_interleave(of_fake, 0).double()
        expected = [drawn.amax(1).mean(), drawn.sum() / (3 * 40), drawn.amax(0).mean()]
        torch.testing.assert_close(found[[0, 2, 3], resample], torch.stack(expected))


def test_the_bootstrap_is_about_as_wide_as_the_scores_vary_over_other_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [(draw(200, 4, 2 * i), 0.8 * draw(200, 4, 2 * i + 1) + 0.5) for i in range(60)]
    found = [torch.stack(metric.resampled_shares(*pair, generator)) for pair in pairs]
    deviations = torch.stack([values[:, 0] for values in found]).std(0)
    ratios = torch.stack([values[:, 1:].std(1) for values in found]).mean(0) / deviations
    assert ((ratios > 0.75) & (ratios < 2)).all()


def test_a_model_that_has_collapsed_is_precise_and_covers_little() -> None:
    real = draw(500, 2, 1)
    precision, recall, _, coverage = precision_recall(real, 0.05 * draw(500, 2, 2))
    assert precision == 1
    assert recall < 0.05
    assert coverage < 0.2


def test_one_image_over_and_over_recalls_nothing() -> None:
    real = draw(100, 3, 1)
    precision, recall, density, coverage = precision_recall(real, real[:1].expand(80, -1))
    assert precision == 1
    assert recall == 1 / 100
    assert density >= 1 / 5
    assert coverage < 0.2


def test_equal_and_constant_sets_are_alike() -> None:
    real = draw(60, 4)
    assert precision_recall(real, real.clone())[0:2] == (1, 1)
    point = torch.full((9, 3), 0.1)
    assert precision_recall(point, point) == (1, 1, 9 / 5, 1)


def test_images_that_are_the_neighbours_of_others_lie_on_their_balls() -> None:
    real = draw(200, 6, 1) + 100
    # Each copy is on the edge of the balls that end at it, so in as many as the original has neighbours, and its own.
    assert precision_recall(real, real.clone(), 3) == (1, 1, (3 + 1) / 3, 1)


def test_a_perfect_model_has_a_density_of_one_and_covers_nearly_all() -> None:
    precision, recall, density, coverage = precision_recall(draw(1000, 4, 1), draw(1000, 4, 2))
    assert precision == pytest.approx(recall, abs=0.03)
    assert density == pytest.approx(1, abs=0.05)
    # Naeem et al., section 3.3: on average coverage is 1 - (N-1)…(N-k) / ((2N-1)…(2N-k)) for sets of N.
    expected = 1 - math.prod(1000 - i for i in range(1, 6)) / math.prod(2000 - i for i in range(1, 6))
    assert coverage == pytest.approx(expected, abs=0.03)


def test_outliers_sway_precision_more_than_density() -> None:
    real, fake = draw(500, 2, 1), draw(500, 2, 2) * 0.1 + 4
    outlier = torch.tensor([[12.0, 12.0]]).double()
    before, after = precision_recall(real, fake), precision_recall(torch.cat([real, outlier]), fake)
    assert after[0] - before[0] > 0.9
    assert after[2] - before[2] < 0.25


def test_the_scores_are_named_after_the_network_and_say_how_they_were_had() -> None:
    model = LinearGaussian()
    images = data_of(model, 150)
    dataset = Splits(train=images[:1], test=images)
    scores = metric.measure(evaluation(model, dataset, num_samples=200))
    assert [score.name for score in scores] == [
        f"{kind}_pixels" for kind in ("precision", "recall", "density", "coverage")
    ]
    for score in scores:
        assert score.value is not None
        low, high = score.how["interval"]
        assert 0 <= low < score.value < high
        assert high - low < 0.4
        assert (score.how["neighbours"], score.how["num_real"], score.how["num_samples"]) == (5, 150, 200)
    assert all(score.how["interval"][1] <= 1 for score in scores if not score.name.startswith("density"))
    again = metric.measure(evaluation(model, dataset, num_samples=200, batch_size=7))
    assert [score.value for score in again] == [score.value for score in scores]


def test_too_few_images_for_neighbours_leave_them_undefined() -> None:
    images = torch.zeros(5, 1, 2, 2)
    scores = metric.measure(evaluation(Repeats(images), Splits(train=images[:1], test=images), num_samples=9))
    assert [score.value for score in scores] == [None] * 4
    assert scores[0].how["undefined"] == "there are 5 of at least 6 held-out images"


def test_they_apply_to_models_that_draw_images() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert metric.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert metric.unfit(evaluation(Silent(), dataset)) == "Silent draws no samples"
