"""The kernel distance: a slow reference, torchmetrics, closed forms and degenerate sets."""

import pytest
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

from genlab.metrics import kernel_distance as metric
from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.kernel_distance import estimates, kernel_distance


def draw(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair_by_pair(real: Tensor, fake: Tensor) -> float:
    """Gretton et al., equation 3, as it is printed."""

    def k(x: Tensor, y: Tensor) -> float:
        return ((x @ y).item() / len(x) + 1) ** 3

    def within(rows: Tensor) -> float:
        pairs = [k(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(pairs) / len(pairs)

    across = [k(x, y) for x in real for y in fake]
    return within(real) + within(fake) - 2 * sum(across) / len(across)


def test_it_equals_the_sum_over_pairs() -> None:
    real, fake = draw(12, 5, 1), draw(9, 5, 2) + 0.8
    assert kernel_distance(real, fake) == pytest.approx(pair_by_pair(real, fake), rel=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(50, 5, 1), draw(40, 5, 2) + 0.8
    whole = kernel_distance(real, fake)
    monkeypatch.setattr(metric, "ROWS", 7)
    assert kernel_distance(real, fake) == pytest.approx(whole, rel=1e-12)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_it_equals_torchmetrics_with_one_subset_of_all() -> None:
    real, fake = draw(100, 16, 1), draw(100, 16, 2) * 1.5 + 0.2
    reference = KernelInceptionDistance(feature=nn.Flatten(), subsets=1, subset_size=100)
    reference.update(real.view(-1, 1, 4, 4), real=True)
    reference.update(fake.view(-1, 1, 4, 4), real=False)
    assert kernel_distance(real, fake) == pytest.approx(reference.compute()[0].item(), rel=1e-9)


def test_it_equals_the_formula_of_torchmetrics_on_given_features() -> None:
    real, fake = draw(100, 16, 1), draw(100, 16, 2) * 1.5 + 0.2
    assert kernel_distance(real, fake) == pytest.approx(poly_mmd(real, fake).item(), rel=1e-6)
    assert kernel_distance(real.float(), fake.float()) == pytest.approx(poly_mmd(real, fake).item(), rel=1e-5)


def test_counts_are_repeated_rows() -> None:
    real, fake, generator = draw(20, 5, 1), draw(30, 5, 2) + 0.5, torch.Generator().manual_seed(0)
    counts = drawn_counts(20, generator)[:4], drawn_counts(30, generator)[:4]
    found = estimates(real, fake, *counts)
    for value, *times in zip(found.tolist(), *counts, strict=True):
        repeated = [rows.repeat_interleave(n.long(), 0) for rows, n in zip((real, fake), times, strict=True)]
        assert value == pytest.approx(pair_by_pair(*repeated), rel=1e-10)


def test_two_points_have_a_closed_form() -> None:
    # (x·x + 1)³ - 2 (x·y + 1)³ + (y·y + 1)³ for D = 1, x = 1, y = 2.
    real, fake = torch.full((3, 1), 1.0).double(), torch.full((4, 1), 2.0).double()
    assert kernel_distance(real, fake) == pytest.approx(2**3 - 2 * 3**3 + 5**3)


def test_it_is_a_symmetric_function_of_sets() -> None:
    real, fake = draw(40, 5, 1), draw(30, 5, 2) * 2
    value = kernel_distance(real, fake)
    assert value > 0.1
    assert kernel_distance(fake, real) == pytest.approx(value, rel=1e-12)
    assert kernel_distance(real.flip(0), fake[torch.randperm(30)]) == pytest.approx(value, rel=1e-12)


def test_the_estimate_is_unbiased_for_small_sets() -> None:
    # The mean kernel of x and y from N(m, I), N(n, I) in one dimension: E (xy + 1)³ = 1 + 3 E xy + 3 E x²y² + E x³y³.
    def mean_kernel(m: float, n: float) -> float:
        second, third = [t * t + 1 for t in (m, n)], [t**3 + 3 * t for t in (m, n)]
        return 1 + 3 * m * n + 3 * second[0] * second[1] + third[0] * third[1]

    expected = mean_kernel(0, 0) + mean_kernel(2, 2) - 2 * mean_kernel(0, 2)
    many = torch.tensor([kernel_distance(draw(8, 1, 2 * i), draw(5, 1, 2 * i + 1) + 2) for i in range(2000)])
    assert many.mean().item() == pytest.approx(expected, abs=5 * many.std().item() / 2000**0.5)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (draw(30, 5), draw(30, 5)),
        (draw(2, 64), draw(2, 64)),
        (torch.ones(4, 3).double(), torch.ones(6, 3).double()),
        (torch.zeros(2, 1).double(), torch.zeros(2, 1).double()),
    ],
)
def test_equal_sets_are_no_distance_apart(real: Tensor, fake: Tensor) -> None:
    assert kernel_distance(real, fake) == 0


def test_it_is_never_negative() -> None:
    values = [kernel_distance(draw(10, 3, 2 * i), draw(10, 3, 2 * i + 1)) for i in range(50)]
    assert min(values) == 0
    assert max(values) > 0


def test_the_score_is_named_after_the_network_and_batch_size_changes_nothing() -> None:
    model = LinearGaussian()
    images = data_of(model, 100) + 0.5
    dataset = Splits(train=images[:1], test=images)
    scores = [metric.measure(evaluation(model, dataset, batch_size=size))[0] for size in (1, 7, 100, 999)]
    assert {score.name for score in scores} == {"kd_pixels"}
    values = [score.value for score in scores]
    assert values[0] is not None
    assert values[0] > 0.1
    assert values == [pytest.approx(values[0], rel=1e-9)] * 4


def test_it_applies_to_models_that_draw_images() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert metric.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert metric.unfit(evaluation(Silent(), dataset)) == "Silent draws no samples"
