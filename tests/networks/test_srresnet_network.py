"""Sizes and resolutions of the networks of SRGAN."""

from typing import Literal

import pytest
import torch
from torch import nn

from genlab.networks.srresnet import Discriminator, Generator, enlarged, reduced


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_well_known_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert count(Generator(3, 4, 64, 16, True, "none")) == 1_549_462
        assert count(Discriminator(64, (3, 96, 96))) == 23_565_505


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("skip", ["none", "bicubic"])
def test_any_size_is_enlarged(scale: int, batch_norm: bool, skip: Literal["none", "bicubic"]) -> None:
    network = Generator(1, scale, 4, 2, batch_norm, skip)
    assert network(torch.zeros(2, 1, 9, 7)).shape == (2, 1, 9 * scale, 7 * scale)


def test_with_the_skip_the_network_is_what_differs_from_bicubic() -> None:
    torch.manual_seed(0)
    plain, skipping = (Generator(3, 2, 4, 1, False, skip) for skip in ("none", "bicubic"))
    skipping.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(skipping(images) - plain(images), enlarged(images, 2))


def test_a_slope_a_prelu() -> None:
    slopes = [module for module in Generator(3, 4, 8, 5, True, "none").modules() if isinstance(module, nn.PReLU)]
    assert len(slopes) == 1 + 5 + 2
    assert {module.num_parameters for module in slopes} == {1}


def test_reducing_keeps_flat_images_and_leaves_no_frequency_that_does_not_fit() -> None:
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(reduced(flat, 2), torch.full((1, 3, 4, 4), 0.3))
    torch.testing.assert_close(enlarged(flat, 4), torch.full((1, 3, 32, 32), 0.3))
    stripes = torch.tensor([1.0, -1.0]).repeat(16).expand(1, 1, 32, 32)
    assert reduced(stripes, 4)[..., 1:-1].abs().max() < 0.02  # every fourth column alone would be all white


def test_rows_that_make_no_whole_pixel_are_left_out() -> None:
    images = torch.rand(1, 3, 11, 14) * 2 - 1
    assert torch.equal(reduced(images, 4), reduced(images[:, :, :8, :12], 4))
    assert reduced(images, 4).shape == (1, 3, 2, 3)


@pytest.mark.parametrize("side", [16, 30, 64, 96])
def test_the_discriminator_gives_one_logit_an_image(side: int) -> None:
    assert Discriminator(2, (3, side, side))(torch.randn(4, 3, side, side)).shape == (4,)
