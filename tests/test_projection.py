"""Projection into a latent space: on a linear decoder the least squares are known."""

from typing import Any

import pytest
import torch
from torch import Tensor

from genlab.models.from_latents import FromLabels, FromLatents, uniform
from genlab.projection import project
from genlab.randomness import row_by_row


class Linear(FromLatents, torch.nn.Module):
    """``x = W z``, 3 latents and 4 pixels."""

    latent_dim = 3
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, prior: Any = torch.randn) -> None:
        super().__init__()
        self.prior = prior
        torch.manual_seed(0)
        self.generator = torch.nn.Sequential(torch.nn.Linear(3, 4, bias=False), torch.nn.Unflatten(1, (1, 2, 2)))


class OfClasses(FromLabels, torch.nn.Module):
    """A class and one number beside it; the class alone shifts the image."""

    noise_dim, num_classes, latent_dim = 1, 2, 3
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.nn.Sequential(torch.nn.Linear(3, 4, bias=False), torch.nn.Unflatten(1, (1, 2, 2)))
        self.generator[0].weight.data = torch.tensor([[1.0, 0, 5], [1, 0, 5], [1, 0, 5], [1, 0, 5]])

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        return row_by_row(num_samples, self._draw_row, generator=generator)


def projected(model: Any, images: Tensor, steps: int = 400, num_starts: int = 2) -> tuple[Tensor, Tensor]:
    with torch.no_grad():  # as commands call it
        return project(model, images, steps, num_starts, 0.05, torch.Generator().manual_seed(0))


def wanted(count: int) -> Tensor:
    return torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(1)) / 4


def test_it_finds_the_least_squares() -> None:
    model, images = Linear(), wanted(5)
    latent, errors = projected(model, images)
    weight = model.generator[0].weight.detach()
    expected = torch.linalg.lstsq(weight, images.flatten(1).T).solution.T
    torch.testing.assert_close(latent, expected, rtol=0, atol=0.02)
    torch.testing.assert_close(errors, (images.flatten(1) - expected @ weight.T).square().mean(1), rtol=0, atol=1e-4)


def test_the_networks_stay_as_they_were() -> None:
    model = Linear()
    projected(model, wanted(2), steps=3)
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_an_image_does_not_depend_on_the_others() -> None:
    model, images = Linear(), wanted(5)
    torch.testing.assert_close(projected(model, images, 30)[0][3:4], projected(model, images[3:4], 30)[0])


def test_more_starts_are_never_worse() -> None:
    model, images = Linear(), wanted(5)
    few, many = (projected(model, images, 5, num_starts)[1] for num_starts in (1, 8))
    assert (many <= few + 1e-7).all()
    assert (many < few - 1e-4).any()


def test_uniform_latents_stay_within_the_prior() -> None:
    latent, _ = projected(Linear(uniform), 20 * wanted(5))
    assert latent.abs().max() == 1


def test_a_class_stays_a_class_and_the_right_one_is_taken() -> None:
    images = torch.full((1, 1, 2, 2), 5.5)
    latent, errors = projected(OfClasses(), images, num_starts=8)
    assert latent[0, 1:].tolist() == [0, 1]
    assert latent[0, 0].item() == pytest.approx(0.5, abs=0.02)
    assert errors.item() < 1e-3
