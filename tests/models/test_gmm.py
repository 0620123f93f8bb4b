"""Facts of EM for mixtures of Gaussians, against scikit-learn, torch.distributions and closed forms."""

import json
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from conftest import short_config, trained
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genlab.datasets.vectors import VectorsInMemory
from genlab.errors import DataError, UsageError
from genlab.models.gmm import GMM, read_start
from genlab.networks.gaussian_mixture import GaussianMixture as Mixture
from genlab.networks.gaussian_mixture import SingularCovarianceError, criteria
from genlab.networks.quadratic import Covariance

COVARIANCES: tuple[Covariance, ...] = get_args(Covariance)


def small(
    covariance: Covariance, num_components: int = 3, dim: int = 2, num_restarts: int = 1, regularization: float = 1e-6
) -> GMM:
    return GMM((dim,), num_components, covariance, "k-means++", num_restarts, 1e-3, regularization)


def blobs(num_items: int = 600, dim: int = 2, seed: int = 0) -> Tensor:
    """Three Gaussians, 10 apart, each with its own covariance."""
    generator = torch.Generator().manual_seed(seed)
    shapes = torch.eye(dim) + 0.4 * torch.randn(3, dim, dim, generator=generator)
    centres = 10 * torch.eye(3, dim) - 5
    which = torch.arange(num_items) % 3
    noise = torch.randn(num_items, dim, 1, generator=generator)
    return centres[which] + (shapes[which] @ noise)[..., 0]


def started(model: GMM, items: Tensor, seed: int = 0) -> GMM:
    torch.manual_seed(seed)
    model.begin(VectorsInMemory(items))
    return model


def one_pass(model: GMM, items: Tensor, batch_size: int = 100) -> Tensor:
    """The lower bounds of the restarts before the M-step, ``(R,)``."""
    for batch in items.split(batch_size):
        model.em.add(batch)
    model.em.end_pass(lambda total: total)
    return model.em.lower_bounds.clone()


def em(model: GMM, items: Tensor, iterations: int, tol: float = 0, batch_size: int = 100) -> list[float]:
    """The lower bound of the first restart before each M-step, the last of which is taken too."""
    model.em.tol = tol
    bounds = [one_pass(model, items, batch_size)[0].item() for _ in range(iterations)]
    model.mixture.maximize(model.em.is_open)
    model.mixture.expectation.clear()
    model.em.pass_is_complete.fill_(False)
    model.em.coefficients = None
    return bounds


def parameters(model: GMM) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and covariances of the best restart."""
    mixture, best = model.mixture, int(model.best)
    return mixture.weights[best], mixture.means[best], mixture.covariances[best]


def reference(model: GMM, items: Tensor, **settings: Any) -> GaussianMixture:
    """Scikit-learn's mixture, fitted in float64 from the parameters of ``model``."""
    weights, means, covariances = parameters(model)
    precisions = torch.linalg.inv(covariances) if covariances.ndim == 3 else covariances.reciprocal()
    kind = model.mixture.covariance
    precisions = {"tied": precisions[0], "spherical": precisions.flatten()}.get(kind, precisions)
    fitted = GaussianMixture(
        len(means),
        covariance_type=kind,
        reg_covar=model.mixture.regularization,
        weights_init=(weights / weights.sum()).numpy(),
        means_init=means.numpy(),
        precisions_init=precisions.numpy(),
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fitted.fit(items.double().numpy())


def assert_equal_parameters(model: GMM, fitted: GaussianMixture, rtol: float, atol: float) -> None:
    weights, means, covariances = parameters(model)
    kind = model.mixture.covariance
    covariances = {"tied": covariances[0], "spherical": covariances.flatten()}.get(kind, covariances)
    np.testing.assert_allclose(weights, fitted.weights_, rtol, atol)
    np.testing.assert_allclose(means, fitted.means_, rtol, atol)
    np.testing.assert_allclose(covariances, fitted.covariances_, rtol, atol)


def vector_run(folder: Path, items: Tensor, *words: str) -> tuple[dict[str, Any], dict[str, float]]:
    """The last checkpoint and the metrics of a training on all of ``items``."""
    np.save(folder / "items.npy", items.numpy())
    data = ["dataset=vector_file", f"dataset.path={folder / 'items.npy'}", f"dataset.data_shape=[{items.shape[1]}]"]
    small_mixture = ["model.num_components=3", "model.covariance=full", "trainer.limit_train_batches=1.0"]
    words = (*data, *small_mixture, "dataset.batch_size=100", "trainer.max_epochs=50", *words)
    checkpoint = trained(folder / "run", short_config("gmm", *words))
    return checkpoint, json.loads((folder / "run" / "metrics.json").read_text())


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("iterations", [1, 25])
def test_in_float64_it_equals_scikit_learn(covariance: Covariance, iterations: int) -> None:
    items = blobs(dim=4).double()
    model = started(small(covariance, 4, 4), items)
    fitted = reference(model, items, tol=0, max_iter=iterations)
    bounds = em(model, items, iterations)
    np.testing.assert_allclose(bounds, fitted.lower_bounds_, rtol=1e-9)
    assert_equal_parameters(model, fitted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("far", [0, 1000])
def test_in_float32_the_lower_bound_equals_scikit_learns(covariance: Covariance, far: int) -> None:
    items = blobs(dim=4) + far
    model = started(small(covariance, 4, 4), items)
    fitted = reference(model, items, tol=0, max_iter=25)
    np.testing.assert_allclose(em(model, items, 25), fitted.lower_bounds_, rtol=1e-5)
    assert_equal_parameters(model, fitted, rtol=1e-3, atol=1e-3)


def test_a_training_converges_when_scikit_learn_does_and_reports_the_criteria_of_the_model_it_keeps(
    tmp_path: Path,
) -> None:
    items = blobs(num_items=350)  # the last batch is smaller
    words = ["model.num_components=4", "model.num_restarts=1", "model.regularization=1e-6"]
    (tmp_path / "start").mkdir()
    with pytest.warns(UserWarning, match="EM has not converged"):
        start, _ = vector_run(tmp_path / "start", items, *words, "trainer.max_steps=1")
    checkpoint, metrics = vector_run(tmp_path, items, *words)
    model = small("full", 4)
    model.load_state_dict(start["state_dict"])
    fitted = reference(model, items, tol=1e-3, max_iter=50)
    assert fitted.converged_
    assert checkpoint["genlab"]["step"] == 4 * fitted.n_iter_
    assert metrics["train/lower_bound"] == pytest.approx(fitted.lower_bound_, rel=1e-6)
    kept = reference(model, items, tol=0, max_iter=fitted.n_iter_ - 1)
    model.load_state_dict(checkpoint["state_dict"])
    assert_equal_parameters(model, kept, rtol=1e-4, atol=1e-4)
    assert metrics["train/bic"] == pytest.approx(kept.bic(items.double().numpy()), rel=1e-6)
    assert metrics["train/aic"] == pytest.approx(kept.aic(items.double().numpy()), rel=1e-6)
    assert model.log_likelihood(items).mean().item() == pytest.approx(metrics["train/lower_bound"], rel=1e-6)


@pytest.mark.parametrize(("covariance", "count"), [("full", 659), ("tied", 164), ("diag", 209), ("spherical", 119)])
def test_ten_components_in_ten_dimensions_have_this_many_free_parameters(covariance: Covariance, count: int) -> None:
    assert small(covariance, 10, 10).num_free_parameters == count


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_criteria_are_scikit_learns(covariance: Covariance) -> None:
    items = blobs().double()
    model = started(small(covariance), items)
    fitted = reference(model, items, tol=0, max_iter=5)
    em(model, items, 5)
    mean = model.log_likelihood(items).mean()
    bic, aic = criteria(mean.item(), len(items), model.num_free_parameters)
    assert bic == pytest.approx(fitted.bic(items.numpy()), rel=1e-9)
    assert aic == pytest.approx(fitted.aic(items.numpy()), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    covariance=st.sampled_from(COVARIANCES),
    seed=st.integers(0, 10_000),
    num_components=st.integers(1, 6),
    dim=st.integers(1, 4),
    size=st.sampled_from([0.01, 1.0, 1000.0]),
)
def test_em_never_lowers_the_likelihood(
    covariance: Covariance, seed: int, num_components: int, dim: int, size: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    items = size * torch.randn(60, dim, generator=generator).double() ** 3
    # Of smaller variances, as scikit-learn adds by default, the density itself is less exact than the bound below.
    regularization = 1e-6 * size**2
    model = started(small(covariance, num_components, dim, regularization=regularization), items, seed)
    bounds = em(model, items, 15)
    # Regularized variances are not those that are most likely; of a component of a few items it shows.
    least = torch.linalg.eigvalsh(model.mixture.components(0)[2]).min()
    assume(least > 1e4 * regularization)
    assert np.diff(bounds).min() > -1e-6


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_density_is_that_of_torch_distributions(covariance: Covariance) -> None:
    items = blobs(dim=3)
    model = started(small(covariance, dim=3), items)
    em(model, items, 3)
    weights, means, covariances = parameters(model)
    matrices = covariances if covariances.ndim == 3 else torch.diag_embed(covariances.expand(3, 3))
    gaussians = MultivariateNormal(means, matrices.expand(3, 3, 3))
    expected = MixtureSameFamily(Categorical(weights), gaussians).log_prob(items.double())
    torch.testing.assert_close(model.log_likelihood(items), expected, rtol=1e-9, atol=1e-9)


def test_the_density_integrates_to_one() -> None:
    items = blobs()
    model = started(small("full"), items)
    em(model, items, 10)
    axis = torch.linspace(-20, 20, 801)
    plane = torch.cartesian_prod(axis, axis)
    volume = model.log_likelihood(plane).exp().sum() * (40 / 800) ** 2
    assert volume.item() == pytest.approx(1, abs=1e-4)


def test_responsibilities_sum_to_one_even_for_the_farthest_outlier() -> None:
    items = torch.cat([blobs(), torch.tensor([[1e6, -1e6]])])
    model = small("full")
    started(model, items[:-1])
    em(model, items[:-1], 5)
    responsibilities = model.responsibilities(items)
    assert responsibilities.shape == (601, 3)
    torch.testing.assert_close(responsibilities.sum(1), torch.ones(601).double())
    log_likelihood = model.log_likelihood(items)
    assert torch.isfinite(log_likelihood).all()
    assert log_likelihood[-1] < -1e10  # exp of it is 0 in any precision


def test_three_blobs_are_found_and_bic_counts_them(tmp_path: Path) -> None:
    items = blobs()
    criteria = {}
    for num_components in (1, 2, 3, 4):
        folder = tmp_path / str(num_components)
        folder.mkdir()
        words = [f"model.num_components={num_components}", "model.regularization=1e-6", "model.num_restarts=3"]
        checkpoint, metrics = vector_run(folder, items, *words)
        criteria[num_components] = metrics["train/bic"]
        if num_components == 3:
            means = checkpoint["state_dict"]["em.mixture.means"][checkpoint["state_dict"]["best"]]
            distances = torch.cdist(10 * torch.eye(3, 2).double() - 5, means)
            assert sorted(distances.argmin(1).tolist()) == [0, 1, 2]
            assert distances.min(1).values.max() < 0.3
    assert min(criteria, key=lambda count: criteria[count]) == 3


def test_the_likeliest_restart_is_the_model_once_all_have_converged(tmp_path: Path) -> None:
    checkpoint, metrics = vector_run(tmp_path, blobs(), "model.num_components=5", "model.num_restarts=4")
    bounds = checkpoint["state_dict"]["em.lower_bounds"]
    assert len(set(bounds.tolist())) > 1
    assert checkpoint["state_dict"]["best"] == bounds.argmax()
    assert metrics["train/lower_bound"] == bounds.max()
    assert (checkpoint["state_dict"]["em.changes"] < 1e-3).all()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_restarts_side_by_side_are_fitted_as_if_alone(covariance: Covariance) -> None:
    items = blobs().double()
    together = started(small(covariance, num_restarts=3), items)
    for restart in range(3):
        alone = small(covariance)
        alone.mixture.expectation.offset.copy_(together.mixture.expectation.offset)
        for name in ("weights", "means", "covariances"):
            getattr(alone.mixture, name).copy_(getattr(together.mixture, name)[restart : restart + 1])
        em(alone, items, 5)
        fitted = started(small(covariance, num_restarts=3), items)
        em(fitted, items, 5)
        torch.testing.assert_close(alone.mixture.means[0], fitted.mixture.means[restart])
        torch.testing.assert_close(alone.mixture.covariances[0], fitted.mixture.covariances[restart])


def test_a_restart_that_has_converged_stays_as_it_is() -> None:
    items = blobs()
    model = started(small("full", num_restarts=3), items)
    em(model, items, 1)
    model.em.changes[1] = 0.9e-3
    before = model.mixture.means.clone()
    em(model, items, 1, tol=1e-3)
    assert torch.equal(model.mixture.means[1], before[1])
    assert not torch.equal(model.mixture.means[0], before[0])
    assert not torch.equal(model.mixture.means[2], before[2])


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("dim", [2, 12])
def test_the_order_of_the_items_and_their_batches_do_not_show(covariance: Covariance, dim: int) -> None:
    """Although the products are in float32: a parameter has the bits of its data, not those of their places."""
    items = blobs(700, dim)
    one, other = (started(small(covariance, 4, dim, regularization=1), items) for _ in range(2))
    em(one, items, 20)
    em(other, items.flip(0), 20, batch_size=71)
    mixture = one.mixture
    used = mixture.expectation.rounded(mixture.coefficients(), mixture.means, mixture.covariances)
    assert used.dtype == torch.float32
    for mine, others in zip(parameters(one), parameters(other), strict=True):
        torch.testing.assert_close(mine, others, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_sums_of_two_shares_add_up(covariance: Covariance) -> None:
    items = blobs()
    whole, first, second = (started(small(covariance), items).em for _ in range(3))
    for em, share in ((whole, items), (first, items[:100]), (second, items[100:])):
        em.add(share)
    sums = [em.mixture.expectation for em in (first, second)]
    together = whole.mixture.expectation
    torch.testing.assert_close(sums[0].sums + sums[1].sums, together.sums, rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(sum(part.log_normalizers for part in sums), together.log_normalizers)
    assert sum(part.num_items.item() for part in sums) == len(items)


@pytest.mark.parametrize(("rank", "processes", "share"), [(0, 2, 1.0), (1, 2, 2.0), (0, 1, 3.0), (1, 3, 0.0)])
def test_a_pass_under_way_goes_on_with_as_many_processes_or_another_number(
    rank: int, processes: int, share: float
) -> None:
    em = small("diag").em
    totals = em.state(lambda total: torch.stack([torch.full_like(total, 1), torch.full_like(total, 2)]))
    em.load_state(totals, False, rank, processes)
    expectation = em.mixture.expectation
    for total in (expectation.sums, expectation.log_normalizers, expectation.num_items):
        assert total.unique().tolist() == [share]


@pytest.mark.parametrize(("rank", "processes"), [(0, 1), (1, 2), (2, 3)])
def test_after_a_whole_pass_each_process_has_the_sums_of_all(rank: int, processes: int) -> None:
    em = small("diag").em
    totals = em.state(lambda total: torch.stack([torch.full_like(total, 5)] * 2))
    em.load_state(totals, True, rank, processes)
    assert em.mixture.expectation.num_items.unique().tolist() == [5]


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_moments_of_samples_are_those_of_the_parameters(covariance: Covariance) -> None:
    items = blobs()
    model = started(small(covariance), items)
    em(model, items, 10)
    samples = model.sample(20_000, generator=torch.Generator().manual_seed(0)).double()
    weights, means, within = parameters(model)
    within = within if within.ndim == 3 else torch.diag_embed(within.expand(3, 2))
    mean = weights @ means
    second = torch.einsum("k,kij->ij", weights, within.expand(3, 2, 2) + means[:, :, None] * means[:, None])
    torch.testing.assert_close(samples.mean(0), mean, rtol=0, atol=0.2)
    torch.testing.assert_close(samples.T.cov(), second - mean[:, None] * mean, rtol=0.03, atol=0.5)


def test_duplicates_and_a_constant_column_give_a_finite_model_and_a_warning(tmp_path: Path) -> None:
    items = torch.tensor([[0.0, 7.0], [1.0, 7.0]]).repeat(60, 1)
    with pytest.warns(UserWarning, match="only 2 distinct ones for 3 components; some will be equal"):
        checkpoint, metrics = vector_run(tmp_path, items)
    assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_without_regularization_a_collapse_is_refused(covariance: Covariance) -> None:
    items = torch.tensor([[0.0, 7.0], [1.0, 7.0]]).repeat(60, 1)
    with pytest.raises(SingularCovarianceError):
        em(started(small(covariance, 2, regularization=0.0), items), items, 2)


def test_more_components_than_items_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"100 training items are fewer than model\.num_components=101"):
        vector_run(tmp_path, blobs(100), "model.num_components=101")


def test_mixed_precision_does_not_touch_em() -> None:
    items = blobs()
    for covariance in COVARIANCES:
        plain, mixed = (started(small(covariance), items) for _ in range(2))
        one_pass(plain, items)
        with torch.autocast("cpu", torch.bfloat16):
            one_pass(mixed, items)
        assert torch.equal(plain.mixture.expectation.sums, mixed.mixture.expectation.sums)


@pytest.mark.parametrize("noise", [1e-2, 1e-3, 1e-4])
def test_columns_that_nearly_follow_from_others_cost_no_accuracy(noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    column, rest = torch.randn(1000, 1, generator=generator), torch.randn(1000, 1, generator=generator)
    items = torch.cat([column, column + noise * rest], dim=1)
    model = started(small("full", 1, 2, regularization=0), items)
    bound = em(model, items, 2)[1]
    exact = started(small("full", 1, 2, regularization=0), items)
    assert bound == pytest.approx(em(exact, items.double(), 2)[1], abs=1e-5)


def test_a_start_is_read_from_a_file(tmp_path: Path) -> None:
    means, weights = np.arange(6.0).reshape(3, 2), np.array([0.2, 0.3, 0.5])
    np.savez(tmp_path / "start.npz", means=means, weights=weights)
    found = read_start(tmp_path / "start.npz", Mixture(1, 3, 2, "diag", 0.0))
    assert found.keys() == {"means", "weights"}
    assert np.array_equal(found["means"], means)
    assert np.array_equal(found["weights"], weights)


@pytest.mark.parametrize(
    ("weights", "wrong"),
    [
        ([5.0, 5.0, 5.0], r"weights \[5.0, 5.0, 5.0\], not above 0 and 1 together"),
        ([-0.5, 0.5, 1.0], r"weights \[-0.5, 0.5, 1.0\], not above 0 and 1 together"),
        ([0.5, 0.5], r"weights \[2\], not \[3\]"),
    ],
)
def test_weights_of_a_start_that_are_none_are_refused(tmp_path: Path, weights: list[float], wrong: str) -> None:
    np.savez(tmp_path / "start.npz", means=np.zeros((3, 2)), weights=np.array(weights))
    with pytest.raises(DataError, match=f"does not fit this mixture: {wrong}"):
        read_start(tmp_path / "start.npz", Mixture(1, 3, 2, "diag", 0.0))


@pytest.mark.parametrize("model", ["gmm", "vi_gmm"])
def test_a_table_of_small_numbers_is_told_that_regularization_hides_them(model: str, tmp_path: Path) -> None:
    np.save(tmp_path / "rates.npy", np.random.default_rng(0).normal(scale=0.01, size=(100, 2)))
    words = ("dataset=vector_file", f"dataset.path={tmp_path}/rates.npy", "model.num_components=2")
    with pytest.warns(
        UserWarning, match=r"a column has a variance of .*e-05, in which model.regularization=0.0013 hides"
    ):
        trained(tmp_path / "run", short_config(model, *words))
