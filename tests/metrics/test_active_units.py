"""Latents count as active by the variance of their posterior's mean."""

import pytest
import torch
from tiny import LinearGaussian, Splits, evaluation
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.metrics import active_units
from genlab.models.base import GenerativeModel


class Scaled(GenerativeModel):
    """Four latents, each the first pixel times a number of its own."""

    batch_type = LabelledImages
    latent_dim = 4

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(num_samples, 4, generator=generator)

    def decode(self, latent: Tensor) -> Tensor:
        return latent.view(-1, 1, 2, 2)

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        # The pixel's variance is 1: variances of 0, 0.0096, 0.0104 and 4.
        return images.flatten(1)[:, :1] * torch.tensor([0.0, 0.098, 0.102, 2.0]) + 5


def images_of_variance_1(count: int) -> Tensor:
    pixels = torch.linspace(-1, 1, count)
    return (pixels / pixels.std()).view(-1, 1, 1, 1).expand(count, 1, 2, 2)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_a_latent_is_active_if_its_mean_varies_by_more_than_a_hundredth(batch_size: int) -> None:
    images = images_of_variance_1(500)
    [score] = active_units.measure(evaluation(Scaled(), Splits(train=images[:1], test=images), batch_size=batch_size))
    assert score.name == "active_units"
    assert score.value == 2
    assert score.how == {"unit": "of 4 latents", "split": "test", "num_images": 500, "threshold": 0.01}


def test_one_image_has_no_variance() -> None:
    images = torch.zeros(1, 1, 2, 2)
    [score] = active_units.measure(evaluation(Scaled(), Splits(train=images, test=images)))
    assert score.value is None
    assert score.how["undefined"] == "there is 1 image of at least 2"


def test_it_applies_to_models_with_an_encoder_and_a_prior() -> None:
    dataset = Splits(train=torch.zeros(1, 1, 2, 2))
    assert active_units.unfit(evaluation(Scaled(), dataset)) is None
    assert (
        active_units.unfit(evaluation(LinearGaussian(), dataset))
        == "LinearGaussian has no posterior of latents with a prior"
    )
