"""PSNR of filled holes in closed form."""

import pytest
import torch
from test_restoration import Brightens, splits
from tiny import Silent, evaluation
from torch import Tensor

from genlab.metrics import hole, restoration


class Fills(Brightens):
    """The two left columns are the hole; they are 0.8 off where the baseline is 1.6 off."""

    stride = 1

    def hole(self, degraded: Tensor) -> Tensor:
        masks = torch.zeros_like(degraded[:, :1], dtype=torch.bool)
        masks[..., :2] = True
        return masks

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.where(self.hole(images), images - 1.6, images)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        return torch.where(self.hole(images), images + 0.8, images)


def test_it_is_of_the_pixels_of_the_hole_alone() -> None:
    images = torch.full((5, 3, 9, 9), 0.7)
    images[..., 2] = 0.6
    [score] = hole.measure(evaluation(Fills(), splits(images)))
    assert score.name == "hole_psnr"
    assert score.value == pytest.approx(-20 * torch.tensor(0.4).log10().item(), abs=1e-4)
    assert score.how["baseline"] == pytest.approx(-20 * torch.tensor(0.8).log10().item(), abs=1e-4)
    assert score.how["num_images"] == 5
    assert "standard_error" not in score.how


def test_the_mean_of_the_ring_stands_beside_it() -> None:
    images = torch.full((2, 1, 12, 12), 0.9)
    images[..., :2] = 0.5
    images[..., 2:6] = -0.1  # what is at most 4 pixels away from the hole
    [score] = hole.measure(evaluation(Fills(), splits(images)))
    assert score.how["ring_mean"] == pytest.approx(-20 * torch.tensor(0.3).log10().item(), abs=1e-4)
    mask = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    mask[..., :2] = True
    made = hole.ring_mean(images[:1], mask)
    torch.testing.assert_close(made[..., :2], torch.full((1, 1, 12, 2), -0.1))
    assert torch.equal(made[..., 2:], images[:1, :, :, 2:])


def test_it_is_measured_of_models_that_fill_holes() -> None:
    assert hole.unfit(evaluation(Fills(), splits())) is None
    assert hole.unfit(evaluation(Silent(), splits())) == "Silent fills no holes"
    assert hole.unfit(evaluation(Brightens(), splits())) == "Brightens fills no holes"
    assert hole.unfit(evaluation(Fills(), splits(torch.zeros(4, 2)))) == "'tiny' holds no single images"


def test_pixels_that_are_copied_are_not_measured_as_restored() -> None:
    assert restoration.unfit(evaluation(Fills(), splits())) == (
        "Fills copies what is not in a hole; hole_psnr is of the rest"
    )
