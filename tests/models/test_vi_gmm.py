"""Facts of variational inference for mixtures of Gaussians, against scikit-learn."""

import json
import warnings
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from conftest import short_config, trained
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from torch import Tensor

from genlab.datasets.vectors import VectorsInMemory
from genlab.errors import UsageError
from genlab.models.vi_gmm import VIGMM
from genlab.networks.bayesian_mixture import moments_of
from genlab.networks.quadratic import Covariance, Quadratic

COVARIANCES: tuple[Covariance, ...] = get_args(Covariance)
Prior = Literal["process", "dirichlet"]
PRIORS: tuple[Prior, ...] = get_args(Prior)


def blobs(num_items: int = 300, dim: int = 3) -> Tensor:
    """Three Gaussians, 10 apart."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.eye(dim) + 0.4 * torch.randn(3, dim, dim, generator=generator)
    noise = torch.randn(num_items, dim, 1, generator=generator)
    return 10 * torch.eye(3, dim)[torch.arange(num_items) % 3] + (shapes.repeat(num_items // 3, 1, 1) @ noise)[..., 0]


def started(
    items: Tensor, covariance: Covariance, prior: Prior, num_components: int = 5, concentration: float | None = None
) -> VIGMM:
    torch.manual_seed(0)
    dim = (items.shape[1],)
    model = VIGMM(dim, num_components, covariance, prior, concentration, "random", 1, 0, 1e-6)
    model.begin(VectorsInMemory(items))
    return model


def bounds(model: VIGMM, items: Tensor, passes: int) -> list[float]:
    found = []
    for _ in range(passes):
        for batch in items.split(100):
            model.em.add(batch)
        model.em.end_pass(lambda total: total)
        found.append(model.em.lower_bounds[0].item())
    return found


def reference(model: VIGMM, items: Tensor, iterations: int) -> BayesianGaussianMixture:
    """Scikit-learn's mixture after as many updates from the posterior of ``model``."""
    mixture = model.mixture
    rows = items.double().numpy()
    fitted = BayesianGaussianMixture(
        n_components=mixture.weights.shape[1],
        covariance_type=mixture.covariance,
        weight_concentration_prior_type=f"dirichlet_{mixture.weights_prior}".replace(
            "dirichlet_dirichlet", "dirichlet_distribution"
        ),
        weight_concentration_prior=mixture.concentration,
        reg_covar=mixture.regularization,
        max_iter=1,
        init_params="random",
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(rows)
    responsibilities = model.responsibilities(items).clamp(min=1e-300).log().numpy()
    for _ in range(iterations):
        fitted._m_step(rows, responsibilities)
        fitted.lower_bound_ = fitted._compute_lower_bound(responsibilities, 0.0)
        _, responsibilities = fitted._e_step(rows)
    fitted._set_parameters(fitted._get_parameters())
    return fitted


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("passes", [1, 15])
def test_posterior_and_bound_equal_scikit_learns(covariance: Covariance, prior: Prior, passes: int) -> None:
    items = blobs().double()
    model = started(items, covariance, prior)
    fitted = reference(model, items, passes)
    bound = bounds(model, items, passes)[-1]
    mixture = model.mixture
    covariances = mixture.covariances[0]
    covariances = {"tied": covariances[0], "spherical": covariances.flatten()}.get(covariance, covariances)
    np.testing.assert_allclose(mixture.weights[0], fitted.weights_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(mixture.means[0], fitted.means_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(covariances, fitted.covariances_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mixture.mean_precisions[0], fitted.mean_precision_, rtol=1e-6)
    np.testing.assert_allclose(bound, fitted.lower_bound_, rtol=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_in_float32_the_bound_is_near_float64s(covariance: Covariance) -> None:
    items = blobs()
    single, double = (bounds(started(rows, covariance, "process"), rows, 10) for rows in (items, items.double()))
    # Float32 tells 1e-7 of a number; where a component empties, the bound changes by a fifth in a pass and shows more.
    np.testing.assert_allclose(single, double, rtol=5e-6)


@settings(max_examples=30, deadline=None)
@given(
    covariance=st.sampled_from(COVARIANCES),
    prior=st.sampled_from(PRIORS),
    seed=st.integers(0, 10_000),
    num_components=st.integers(1, 6),
    dim=st.integers(1, 4),
    concentration=st.sampled_from([1e-3, 1.0, 1000.0]),
)
def test_the_evidence_bound_never_falls(
    covariance: Covariance, prior: Prior, seed: int, num_components: int, dim: int, concentration: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    items = torch.randn(60, dim, generator=generator).double() ** 3
    model = started(items, covariance, prior, num_components, concentration)
    model.mixture.regularization = 0.0
    found = bounds(model, items, 15)
    assert np.diff(found).min() > -1e-9 * abs(found[-1])


def finished(folder: Path, *words: str) -> dict[str, Any]:
    np.save(folder / "items.npy", blobs().numpy())
    data = ["dataset=vector_file", f"dataset.path={folder / 'items.npy'}", "dataset.data_shape=[3]"]
    words = (*data, "model.num_components=10", "model.regularization=1e-6", "trainer.limit_train_batches=1.0", *words)
    trained(folder / "run", short_config("vi_gmm", "trainer.max_epochs=300", "dataset.batch_size=100", *words))
    return json.loads((folder / "run" / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("prior", "concentration", "clusters"),
    [("process", "1e-3", 3), ("process", "null", 3), ("dirichlet", "1000", 10), ("process", "1000", 3)],
)
def test_three_blobs_need_three_components_but_a_heavy_dirichlet_prior_keeps_all(
    prior: str, concentration: str, clusters: int, tmp_path: Path
) -> None:
    words = [f"model.weights_prior={prior}", f"model.concentration={concentration}"]
    assert finished(tmp_path, *words)["train/num_clusters"] == clusters


def test_the_samples_come_from_the_clusters_that_are_left() -> None:
    items = blobs()
    model = started(items, "full", "process", 10)
    bounds(model, items, 100)
    samples = model.sample(200, generator=torch.Generator().manual_seed(0))
    nearest = torch.cdist(samples, 10 * torch.eye(3))
    assert nearest.min(1).values.max() < 10
    assert torch.bincount(nearest.argmin(1)).min() > 40
    assert model.component_means.shape == (3, 3)
    torch.testing.assert_close(model.component_means.sum(0), torch.full((3,), 10.0), rtol=0, atol=1)


def test_the_likelihood_is_that_of_the_posterior_means() -> None:
    items = blobs().double()
    model = started(items, "diag", "process")
    bounds(model, items, 5)
    mixture = model.mixture
    normal = torch.distributions.Normal(mixture.means[0][:, None], mixture.covariances[0].sqrt()[:, None])
    expected = (normal.log_prob(items).sum(-1) + mixture.weights[0].log()[:, None]).logsumexp(0)
    torch.testing.assert_close(model.log_likelihood(items), expected)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag"])
def test_without_regularization_constant_columns_end_in_advice(tmp_path: Path, covariance: str) -> None:
    words = ("model.regularization=0.0", f"model.covariance={covariance}", "model.num_components=3")
    simpler = "" if covariance == "diag" else ", or model.covariance=diag"
    with pytest.raises(UsageError) as refused:
        trained(tmp_path / "run", short_config("vi_gmm", *words))
    assert str(refused.value) == (
        "with model.regularization=0 a covariance is not positive definite: columns are constant or follow from "
        f"others\ngive a larger one{simpler}"
    )


def test_one_item_has_no_covariance() -> None:
    mean, variances = moments_of([torch.tensor([[1.0, 3.0]])], Quadratic(2, has_products=False))
    assert mean.tolist() == [1, 3]
    assert variances.tolist() == [0, 0]
