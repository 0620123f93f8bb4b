"""Facts of the generator of residual blocks."""

from typing import get_args

import pytest
import torch
from torch import nn

from genlab.networks.residual import ReflectedConv2d, ResidualBlock, ResidualGenerator, Upsampling, doubled


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("upsampling", get_args(Upsampling))
def test_parameters_of_the_authors_networks(upsampling: Upsampling) -> None:
    assert count(ResidualGenerator(3, 3, 64, 9, 2, upsampling)) == 11_378_179
    assert count(ResidualGenerator(3, 3, 64, 6, 2, upsampling)) == 7_837_699
    assert count(ResidualGenerator(36, 3, 64, 9, 4, upsampling)) == 182_546_755


@pytest.mark.parametrize("upsampling", get_args(Upsampling))
def test_any_multiple_of_four_keeps_its_size(upsampling: Upsampling) -> None:
    assert ResidualGenerator(3, 1, 4, 1, 2, upsampling)(torch.zeros(2, 3, 36, 20)).shape == (2, 1, 36, 20)


def test_a_block_without_weights_is_the_identity() -> None:
    block, maps = ResidualBlock(3), torch.rand(2, 3, 8, 8)
    for convolution in (block.layers[0], block.layers[3]):
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    assert torch.equal(block(maps), maps)


def test_borders_are_reflected() -> None:
    """A constant image stays constant, which borders of zeros would not leave it."""
    network = ResidualGenerator(1, 1, 4, 2, 2, "transposed")
    convolution = network[0]
    maps = convolution(torch.full((1, 1, 16, 16), 0.5))
    torch.testing.assert_close(maps, maps[:, :, :1, :1].expand_as(maps))


def test_no_image_sees_another() -> None:
    network, images = ResidualGenerator(1, 1, 4, 1, 2, "transposed"), torch.rand(3, 1, 16, 16)
    alone = torch.cat([network(image) for image in images.split(1)])
    torch.testing.assert_close(network(images), alone)


def test_a_transposed_convolution_draws_grains_on_a_constant_image_and_a_repeated_pixel_none() -> None:
    image = torch.full((1, 3, 8, 8), 0.5)
    grained = nn.Sequential(*doubled(3, 2, "transposed"))(image)[..., 2:-2, 2:-2]
    assert (grained - grained[..., :1, :1]).abs().max() > 0.01
    torch.testing.assert_close(grained[..., ::2, ::2], grained[..., :1, :1].expand(1, 2, 6, 6))  # every other pixel
    smooth = nn.Sequential(*doubled(3, 2, "nearest"))(image)
    torch.testing.assert_close(smooth, smooth[..., :1, :1].expand_as(smooth))


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_borders_are_those_of_torch(kernel_size: int) -> None:
    reflected = ReflectedConv2d(2, 3, kernel_size)
    of_torch = nn.Conv2d(2, 3, kernel_size, padding=kernel_size // 2, padding_mode="reflect")
    of_torch.load_state_dict(reflected.state_dict())
    maps = torch.randn(2, 2, 8, 12)
    torch.testing.assert_close(reflected(maps), of_torch(maps))
