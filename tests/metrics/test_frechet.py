"""The Fréchet distance: closed forms, degenerate sets, slow references."""

import numpy as np
import pytest
import scipy.linalg
import torch
from tiny import LinearGaussian, Silent, Splits, data_of, evaluation
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, _compute_fid

from genlab.metrics import frechet as metric
from genlab.metrics.bootstrap import interval
from genlab.metrics.frechet import by_eigenvalues, by_singular_values, frechet_distance


def draw(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(mean: Tensor, covariance: Tensor, rows: int = 50, seed: int = 0) -> Tensor:
    """Features whose sample mean and covariance are the given ones."""
    noise = draw(rows, len(mean), seed)
    noise = noise - noise.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(noise.T.cov()), noise.T, upper=False).T
    return mean + white @ torch.linalg.cholesky(covariance).T


def covariance(columns: int, seed: int) -> Tensor:
    root = draw(columns, columns, seed)
    return root @ root.T + 0.1 * torch.eye(columns)


def by_matrix_root(real: Tensor, fake: Tensor) -> float:
    """The formula as it is printed, with scipy's general square root of a matrix."""
    c, d = np.cov(real.numpy(), rowvar=False), np.cov(fake.numpy(), rowvar=False)
    shift = (real.mean(0) - fake.mean(0)).square().sum().item()
    return float(shift + np.trace(c) + np.trace(d) - 2 * np.trace(scipy.linalg.sqrtm(c @ d)).real)


def test_gaussians_that_differ_in_mean_alone_are_apart_by_its_square() -> None:
    spread = covariance(3, seed=1)
    here, there = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([3.0, 1.0, -2.0]).double()
    assert frechet_distance(exactly(here, spread), exactly(there, spread, seed=5)) == pytest.approx(25)


def test_gaussians_with_commuting_covariances_are_apart_by_their_roots() -> None:
    mean = torch.zeros(3).double()
    real = exactly(mean, torch.tensor([1.0, 4.0, 9.0]).double().diag())
    fake = exactly(mean, torch.tensor([16.0, 4.0, 0.25]).double().diag(), rows=80, seed=3)
    assert frechet_distance(real, fake) == pytest.approx((1 - 4) ** 2 + 0 + (3 - 0.5) ** 2)


@pytest.mark.parametrize("columns", [2, 10, 64])
def test_it_equals_the_printed_formula(columns: int) -> None:
    real = exactly(draw(1, columns, 1)[0], covariance(columns, 2), rows=200, seed=3)
    fake = exactly(draw(1, columns, 4)[0], covariance(columns, 5), rows=150, seed=6)
    assert frechet_distance(real, fake) == pytest.approx(by_matrix_root(real, fake), rel=1e-9)


def test_it_equals_torchmetrics() -> None:
    real, fake = draw(300, 16, 1) + 0.3, draw(200, 16, 2) @ covariance(16, 3)
    reference = FrechetInceptionDistance(feature=nn.Flatten(), input_img_size=(1, 4, 4), normalize=True)
    reference.update(real.view(-1, 1, 4, 4), real=True)
    reference.update(fake.view(-1, 1, 4, 4), real=False)
    assert frechet_distance(real, fake) == pytest.approx(reference.compute().item(), rel=1e-9)


def test_it_equals_the_formula_of_torchmetrics_on_given_features() -> None:
    for real, fake in (
        (draw(300, 16, 1) + 0.3, draw(200, 16, 2) @ covariance(16, 3)),
        (draw(90, 30, 4).relu(), 2 * draw(80, 30, 5).relu()),
    ):
        reference = _compute_fid(real.mean(0), real.T.cov(), fake.mean(0), fake.T.cov()).item()
        assert frechet_distance(real, fake) == pytest.approx(reference, rel=1e-6)


def test_float32_features_are_computed_in_float64() -> None:
    real, fake = (draw(200, 8, 1) + 1000).float(), (draw(200, 8, 2) + 1001).float()
    assert frechet_distance(real, fake) == frechet_distance(real.double(), fake.double())


def test_both_ways_agree_and_the_fast_one_knows_how_exact_it_is() -> None:
    mixing = torch.linalg.qr(draw(60, 60, 1)).Q
    for decay, is_certain in ((0, True), (-2, True), (-6, False)):
        scales = torch.logspace(0, decay, 60, dtype=torch.float64)
        a, b = (draw(500, 60, seed) * scales @ mixing for seed in (2, 3))
        a, b = a - a.mean(0), b - b.mean(0)
        fast, uncertainty = by_eigenvalues(a, b)
        exact = by_singular_values(a, b)
        assert abs(fast - exact) <= uncertainty + 1e-12 * exact
        assert (uncertainty < 1e-9 * exact) == is_certain


def test_blocks_of_columns_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = draw(200, 50, 1) @ covariance(50, 3), draw(150, 50, 2) @ covariance(50, 4) + 1
    whole = frechet_distance(real, fake)
    a, b = real - real.mean(0), fake - fake.mean(0)
    product = by_eigenvalues(a, b)[0]
    monkeypatch.setattr(metric, "COLUMNS", 7)
    assert frechet_distance(real, fake) == pytest.approx(whole, rel=1e-10)
    assert by_eigenvalues(a, b)[0] == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize(
    "shapes", [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5, 3), (0, 3)), ((5,), (5,)), ((5, 3, 1),) * 2]
)
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, D\) and \(M, D\), N and M above 1"):
        frechet_distance(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_it_is_a_symmetric_function_of_sets() -> None:
    real, fake = draw(40, 5, 1), draw(30, 5, 2) * 2
    value = frechet_distance(real, fake)
    assert value > 1
    assert frechet_distance(fake, real) == pytest.approx(value, rel=1e-12)
    assert frechet_distance(real.flip(0), fake[torch.randperm(30)]) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (2, 64), (40, 5), (30, 64), (500, 64)])
def test_a_set_is_no_distance_from_itself(rows: int, columns: int) -> None:
    features = draw(rows, columns) * 100
    value = frechet_distance(features, features.clone())
    assert 0 <= value < 1e-12 * features.square().sum().item()


def test_fewer_rows_than_columns_are_on_a_line_or_plane() -> None:
    # Two points each: variance 2 along e1, and 8 along a direction at 60 degrees to it; the mean moves by 1 along e3.
    direction = torch.tensor([0.5, 0.75**0.5, 0.0])
    real = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    fake = torch.stack([2 * direction, -2 * direction]) + torch.tensor([0.0, 0.0, 1.0])
    # tr (C D)^(1/2) of two of rank one is the product of both deviations with the cosine.
    expected = 1 + 2 + 8 - 2 * (2 * 8) ** 0.5 * 0.5
    assert frechet_distance(real.double(), fake.double()) == pytest.approx(expected)


def test_fewer_rows_than_columns_are_the_limit_of_a_regular_covariance() -> None:
    real, fake = draw(12, 30, 1), 2 * draw(9, 30, 2) + 1
    c, d = real.T.cov(), fake.T.cov()
    values = []
    for shift in (1e-4, 1e-6, 1e-8):
        root = torch.linalg.cholesky(c + shift * torch.eye(30))
        overlap = torch.linalg.eigvalsh(root.T @ (d + shift * torch.eye(30)) @ root).clamp(min=0).sqrt().sum()
        values.append(((real.mean(0) - fake.mean(0)).square().sum() + c.trace() + d.trace() - 2 * overlap).item())
    errors = [abs(frechet_distance(real, fake) - value) for value in values]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01


def test_constant_features_have_no_spread() -> None:
    point, other = torch.full((4, 3), 1.5).double(), torch.full((7, 3), -0.5).double()
    cloud = exactly(torch.full((3,), 1.5).double(), covariance(3, 1))
    assert frechet_distance(point, other) == pytest.approx(12)
    assert frechet_distance(point, point) == 0
    assert frechet_distance(point, cloud) == pytest.approx(cloud.T.cov().trace().item())
    half_constant = torch.cat([draw(20, 2), torch.ones(20, 2)], dim=1)
    assert frechet_distance(half_constant, half_constant) == pytest.approx(0, abs=1e-12)


def test_the_score_of_a_perfect_model_is_small_and_named_after_the_network() -> None:
    model = LinearGaussian()
    images = data_of(model, 3000)
    [score] = metric.measure(evaluation(model, Splits(train=images[:1], test=images), num_samples=3000))
    assert score.name == "fd_pixels"
    assert score.value is not None
    assert 0 < score.value < 0.01
    [moved] = metric.measure(evaluation(model, Splits(train=images[:1], test=images + 1), num_samples=3000))
    assert moved.value == pytest.approx(4, abs=0.3)
    assert "few" not in score.how


def test_fewer_images_than_features_are_said_to_compare_with_as_many_alone() -> None:
    model = LinearGaussian()
    images = data_of(model, 3)
    [score] = metric.measure(evaluation(model, Splits(train=images[:1], test=images)))
    assert score.how["few"].startswith("3 images for 4 features")


def test_the_bootstrap_is_as_wide_as_the_distance_varies_over_other_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [(draw(200, 3, 2 * i), 0.8 * draw(200, 3, 2 * i + 1) + 0.5) for i in range(200)]
    deviation = torch.tensor([frechet_distance(*pair) for pair in pairs]).std().item()
    found = [metric.resampled_distances(*pair, generator)[0][1:].std().item() for pair in pairs[:10]]
    assert sum(found) / 10 == pytest.approx(deviation, rel=0.25)


def test_an_interval_does_not_reach_below_0_and_many_features_have_fewer_resamples() -> None:
    values = metric.resampled_distances(draw(400, 3, 1), draw(400, 3, 2), torch.Generator().manual_seed(0))[0]
    assert interval(values, 0, float("inf"))[0] == 0
    wide = metric.resampled_distances(draw(20, 300, 1), draw(20, 300, 2), torch.Generator().manual_seed(0))[0]
    assert (len(values), len(wide)) == (101, 9)


def test_batch_size_changes_nothing_and_the_seed_does() -> None:
    model = LinearGaussian()
    images = data_of(model, 100)
    dataset = Splits(train=images[:1], test=images)
    values = [metric.measure(evaluation(model, dataset, batch_size=size))[0].value for size in (1, 7, 100, 999)]
    assert values == [pytest.approx(values[0], rel=1e-9)] * 4
    assert metric.measure(evaluation(model, dataset, seed=1))[0].value != pytest.approx(values[0], rel=1e-3)


def test_it_applies_to_models_that_draw_images() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert metric.unfit(evaluation(LinearGaussian(), dataset)) is None
    assert metric.unfit(evaluation(Silent(), dataset)) == "Silent draws no samples"
