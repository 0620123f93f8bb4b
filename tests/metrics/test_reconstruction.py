"""The cost of reconstructions as a score."""

import math
from typing import Any

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor

from genlab.metrics import reconstruction
from genlab.models.autoencoder import Autoencoder
from genlab.models.denoising_autoencoder import DenoisingAutoencoder

IMAGES = torch.rand(70, 1, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1
NETWORK: dict[str, Any] = {"image_shape": (1, 4, 4), "latent_dim": 5, "network": "mlp", "hidden_dims": ()}
SETTINGS: dict[str, Any] = NETWORK | {"latent_activation": "relu", "optimizer": torch.optim.Adam}


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def splits(images: Tensor) -> Splits:
    return Splits(train=images[:1], test=images)


def test_it_is_the_mean_over_all_held_out_images() -> None:
    model = Autoencoder(**SETTINGS)
    [score] = reconstruction.measure(evaluation(model, splits(IMAGES)))
    assert score.name == "reconstruction"
    assert score.value == pytest.approx(model.reconstruction_cost(IMAGES).double().mean().item(), rel=1e-6)
    assert score.how["unit"] == "nats an image"
    assert score.how["num_images"] == 70


def test_it_is_never_below_the_entropy_of_the_images() -> None:
    [score] = reconstruction.measure(evaluation(Autoencoder(**SETTINGS), splits(IMAGES)))
    assert score.value is not None
    assert score.value > score.how["entropy"]
    grey = torch.full((1, 1, 4, 4), 0.5)  # three quarters white
    assert reconstruction.entropy(grey).item() == pytest.approx(-16 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert reconstruction.entropy(grey.sign()).item() == 0


def test_of_a_denoising_model_from_corrupted_images_too_whatever_the_batch() -> None:
    model = DenoisingAutoencoder(**SETTINGS, corruption="masking", level=0.5)
    found = [reconstruction.measure(evaluation(model, splits(IMAGES), batch_size=size)) for size in (7, 100)]
    assert [score.name for score in found[0]] == ["reconstruction", "reconstruction_corrupted"]
    for few, many in zip(*found, strict=True):
        assert few.value == pytest.approx(many.value, rel=1e-6)
    seen = model.corrupt(IMAGES, torch.Generator().manual_seed(0))
    expected = model.reconstruction_cost(IMAGES, seen).double().mean().item()
    assert found[0][1].value == pytest.approx(expected, rel=1e-6)
    assert found[0][1].how["seed"] == 0


def test_it_applies_to_autoencoders() -> None:
    assert reconstruction.unfit(evaluation(Autoencoder(**SETTINGS), splits(IMAGES))) is None
    assert reconstruction.unfit(evaluation(Silent(), splits(IMAGES))) == "Silent has no cost of its reconstructions"
