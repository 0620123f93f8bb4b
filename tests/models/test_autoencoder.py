"""Facts of the autoencoder."""

import math
from typing import Any

import pytest
import torch
from conftest import short_config, trained

from genlab.config import check, compose
from genlab.errors import UsageError
from genlab.models.autoencoder import Autoencoder
from genlab.models.capabilities import HasPrior, Reconstructs, Samples


def autoencoder(**changed: Any) -> Autoencoder:
    settings: dict[str, Any] = {
        "image_shape": (1, 28, 28),
        "latent_dim": 300,
        "network": "mlp",
        "hidden_dims": (),
        "latent_activation": "relu",
        "optimizer": torch.optim.RMSprop,
    }
    return Autoencoder(**(settings | changed))


def test_the_recipe_has_471_484_parameters() -> None:
    # 784·300 + 300 + 300·784 + 784
    assert sum(weight.numel() for weight in autoencoder().parameters()) == 471_484


def test_the_papers_network_for_mnist() -> None:
    # 784-1000-500-250-30 and back
    model = autoencoder(hidden_dims=(1000, 500, 250), latent_dim=30, latent_activation="linear")
    weights = 2 * (784 * 1000 + 1000 * 500 + 500 * 250 + 250 * 30)
    assert sum(weight.numel() for weight in model.parameters()) == weights + 2 * (1000 + 500 + 250) + 30 + 784


def test_the_cost_is_the_cross_entropy_summed_over_pixels() -> None:
    model = autoencoder(image_shape=(1, 2, 2), latent_dim=3)
    images = torch.rand(5, 1, 2, 2) * 2 - 1
    grey, given = (images + 1) / 2, (model.decode(model.encode(images)) + 1) / 2
    expected = -(grey * given.log() + (1 - grey) * (1 - given).log()).flatten(1).sum(1)
    torch.testing.assert_close(model.reconstruction_cost(images), expected)


def test_a_decoder_that_knows_nothing_pays_log_2_a_pixel() -> None:
    model = autoencoder()
    last: Any = model.decoder[0]
    torch.nn.init.zeros_(last.weight)
    cost = model.reconstruction_cost(torch.rand(2, 1, 28, 28) * 2 - 1)
    torch.testing.assert_close(cost, torch.full((2,), 784 * math.log(2)))


def test_what_the_encoder_sees_may_differ_from_what_the_decoder_must_give() -> None:
    torch.manual_seed(0)  # three rectified latents may all be silent
    model = autoencoder(image_shape=(1, 4, 4), latent_dim=3)
    images, seen = torch.rand(2, 5, 1, 4, 4) * 2 - 1
    assert not torch.equal(model.reconstruction_cost(images, seen), model.reconstruction_cost(images))
    torch.testing.assert_close(model.reconstruction_cost(images, images), model.reconstruction_cost(images))


def test_it_reconstructs_and_draws_nothing() -> None:
    assert isinstance(autoencoder(), Reconstructs)
    assert not isinstance(autoencoder(), HasPrior)
    assert not isinstance(autoencoder(), Samples)


def test_a_convolutional_network_without_convolutions_is_refused() -> None:
    with pytest.raises(UsageError, match=r"hidden_dims=\[\] with network=convolutional"):
        check(compose("train", ["model=autoencoder", "model.network=convolutional"]))


@pytest.mark.parametrize(
    "words", [["model.hidden_dims=[30,10]"], ["model.network=convolutional", "model.hidden_dims=[8]"]]
)
def test_deep_and_convolutional_by_configuration(words: list[str], tmp_path: Any) -> None:
    config = short_config("autoencoder", "model.latent_dim=2", "model.latent_activation=linear", *words)
    checkpoint = trained(tmp_path / "run", config)
    first, *_ = checkpoint["genlab"]["metrics"].values()
    assert 0 < first < 784


@pytest.mark.slow
def test_it_learns_digits_with_few_latents(tmp_path: Any) -> None:
    words = ["dataset=optdigits", "model.latent_dim=16", "dataset.batch_size=32", "trainer.max_epochs=60"]
    words += ["optimizer.lr=2e-3", "checkpoint.every_n_epochs=60", "trainer.check_val_every_n_epoch=60"]
    quiet = ["accelerator=cpu", "threads=1", "callbacks=none", "trainer.enable_progress_bar=false"]
    config = compose("train", ["model=autoencoder", *words, *quiet]).config
    metrics = trained(tmp_path / "run", config)["genlab"]["metrics"]
    assert metrics["val/reconstruction"] < 22
