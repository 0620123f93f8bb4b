"""PSNR and SSIM in closed form."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from genlab.losses.fidelity import WINDOW, brightness, hole_signal_to_noise, signal_to_noise, structural_similarity


def colour(red: float, green: float, blue: float, side: int = 12) -> Tensor:
    """Of values in [0, 1], as images have them."""
    return (torch.tensor([red, green, blue]) * 2 - 1).view(1, 3, 1, 1).expand(1, 3, side, side).clone()


@pytest.mark.parametrize(
    ("values", "level"),
    # What MATLAB's rgb2ycbcr gives of 8 bits: black, white, and the three primaries.
    [((0, 0, 0), 16), ((1, 1, 1), 235), ((1, 0, 0), 81), ((0, 1, 0), 145), ((0, 0, 1), 41)],
)
def test_the_brightness_of_colours_is_that_of_video(values: tuple[int, int, int], level: int) -> None:
    assert (255 * brightness(colour(*values), 4)).mean().round().item() == level


def test_the_brightness_of_grey_images_is_their_own() -> None:
    grey = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    torch.testing.assert_close(brightness(grey, 0), torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3))


def test_psnr_is_that_of_the_mean_squared_error_of_each_image() -> None:
    truth = torch.zeros(2, 1, 12, 12)
    images = truth.clone()
    images[0] += 0.2  # a tenth of the range
    images[1, :, 4:8, 4:8] += 0.2
    found = signal_to_noise(images, truth, 0)
    assert found[0].item() == pytest.approx(20, abs=1e-5)
    assert found[1].item() == pytest.approx(20 + 10 * math.log10(144 / 16), abs=1e-5)


def test_the_border_does_not_count_and_values_beyond_the_range_are_brought_into_it() -> None:
    truth = torch.ones(1, 3, 12, 12)
    images = truth + 5
    images[:, :, :4] = -1
    images[:, :, :, -4:] = -1
    assert signal_to_noise(images, truth, 4).item() == math.inf
    assert signal_to_noise(images, truth, 3).item() < 10


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(22, 19), (WINDOW, WINDOW)])
def test_similarity_is_the_formula_over_all_windows_that_lie_within(channels: int, shape: tuple[int, int]) -> None:
    images = torch.rand(2, channels, *shape, generator=torch.Generator().manual_seed(0))
    truth = avg_pool2d(images, 3, 1, 1)
    places = torch.arange(WINDOW, dtype=torch.float64) - 5
    weights = (-(places**2) / (2 * 1.5**2)).exp()
    kernel = (weights[:, None] * weights / weights.sum() ** 2).expand(channels, 1, -1, -1)

    def mean(values: Tensor) -> Tensor:
        return conv2d(values, kernel, groups=channels)

    x, y = images.double(), truth.double()
    variances = mean(x**2) - mean(x) ** 2 + mean(y**2) - mean(y) ** 2
    covariance = mean(x * y) - mean(x) * mean(y)
    luminance = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    expected = (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean((1, 2, 3))
    torch.testing.assert_close(structural_similarity(images, truth).double(), expected, rtol=1e-4, atol=1e-5)


def test_the_psnr_of_a_hole_is_of_its_own_pixels_and_colours() -> None:
    truth = torch.zeros(2, 3, 8, 8)
    hole = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    hole[0, :, 2:4, 2:4] = hole[1, :, 0] = True
    images = torch.where(hole, truth, truth + 0.7)
    images[0, 0, 2:4, 2:4] = 0.2
    images[1, :, 0] = -0.02
    found = hole_signal_to_noise(images, truth, hole)
    assert found[0].item() == pytest.approx(20 + 10 * math.log10(3), abs=1e-5)
    assert found[1].item() == pytest.approx(40, abs=1e-4)
