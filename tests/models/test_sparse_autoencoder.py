"""Facts of the sparse autoencoder."""

import math
from typing import Any

import pytest
import torch
from conftest import trained

from genlab.config import check, compose
from genlab.errors import UsageError
from genlab.models.capabilities import Reconstructs, Samples
from genlab.models.sparse_autoencoder import SparseAutoencoder, kl_penalty, l1_penalty


def sparse(**changed: Any) -> SparseAutoencoder:
    settings: dict[str, Any] = {
        "image_shape": (1, 8, 8),
        "latent_dim": 10,
        "network": "mlp",
        "hidden_dims": (),
        "latent_activation": "relu",
        "penalty": "l1",
        "weight": 0.5,
        "target_activation": 0.05,
        "optimizer": torch.optim.Adam,
    }
    return SparseAutoencoder(**(settings | changed))


def test_l1_is_the_sum_over_units_in_the_mean_over_images() -> None:
    assert l1_penalty(torch.tensor([[1.0, -2.0], [0.0, 3.0]])).item() == pytest.approx((3 + 3) / 2)


def test_kl_is_0_only_at_its_target() -> None:
    latent = torch.tensor([[0.0, 0.1], [0.1, 0.0]], dtype=torch.float64)  # the mean of each is 0.05
    assert kl_penalty(latent, 0.05).item() == pytest.approx(0, abs=1e-12)
    assert kl_penalty(latent + 0.01, 0.05).item() > 0
    assert kl_penalty((latent - 0.01).clamp(min=0), 0.05).item() > 0


def test_kl_is_that_of_bernoulli_distributions() -> None:
    latent = torch.rand(7, 3, dtype=torch.float64)
    given, target = latent.mean(0), torch.tensor(0.2, dtype=torch.float64)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(target.expand(3)), torch.distributions.Bernoulli(given)
    ).sum()
    torch.testing.assert_close(kl_penalty(latent, 0.2), expected)


def test_kl_of_units_that_are_never_on_is_finite_and_has_a_gradient() -> None:
    latent = torch.full((2, 3), 1e-6, requires_grad=True)
    penalty = kl_penalty(latent, 0.05)
    penalty.backward()
    assert math.isfinite(penalty.item())
    assert latent.grad is not None
    assert (latent.grad < 0).all()  # more activity would lower it


def test_the_share_of_units_that_are_on() -> None:
    rectified, logistic = sparse(), sparse(latent_activation="sigmoid")
    assert rectified.active_share(torch.tensor([[0.0, 0.1], [0.0, 0.0]])).item() == 0.25
    assert logistic.active_share(torch.tensor([[0.4, 0.6], [0.7, 0.9]])).item() == 0.75


def test_it_reconstructs_and_draws_nothing() -> None:
    assert isinstance(sparse(), Reconstructs)
    assert not isinstance(sparse(), Samples)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.penalty=kl"], "latent_activation=relu with penalty=kl: give sigmoid"),
        (["model.target_activation=1.0"], "target_activation=1.0: give a number between 0 and 1"),
        (["model.weight=-1.0"], "model.weight=-1.0: expected at least 0"),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(compose("train", ["model=sparse_autoencoder", *words]))


def metrics(folder: Any, *words: str) -> dict[str, float]:
    recipe = ["model=sparse_autoencoder", "dataset=optdigits", "model.latent_dim=64", "trainer.max_epochs=25"]
    recipe += [
        "dataset.batch_size=32",
        "optimizer.lr=3e-3",
        "checkpoint.every_n_epochs=25",
        "trainer.check_val_every_n_epoch=25",
    ]
    quiet = ["accelerator=cpu", "threads=1", "callbacks=none", "trainer.enable_progress_bar=false"]
    return trained(folder, compose("train", [*recipe, *quiet, *words]).config)["genlab"]["metrics"]


@pytest.mark.slow
def test_the_penalty_turns_units_off(tmp_path: Any) -> None:
    free = metrics(tmp_path / "free", "model.weight=0.0")
    penalized = metrics(tmp_path / "penalized", "model.weight=0.5")
    assert penalized["val/active_share"] < 0.6 * free["val/active_share"]
    assert penalized["val/reconstruction"] < free["val/reconstruction"] + 6


@pytest.mark.slow
def test_kl_brings_the_mean_activation_to_its_target(tmp_path: Any) -> None:
    """From about a half, which logistic units begin with."""
    words = ["model.penalty=kl", "model.latent_activation=sigmoid", "model.weight=10.0", "model.target_activation=0.1"]
    assert metrics(tmp_path / "run", *words)["train/mean_activation"] == pytest.approx(0.1, abs=0.03)
