"""Facts of the generator of residual blocks."""

import torch
from torch import nn

from genlab.networks.residual import ResidualBlock, ResidualGenerator


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_parameters_of_the_authors_networks() -> None:
    assert count(ResidualGenerator(3, 3, 64, 9)) == 11_378_179
    assert count(ResidualGenerator(3, 3, 64, 6)) == 7_837_699
    assert count(ResidualGenerator(36, 3, 64, 9, num_downsamplings=4)) == 182_546_755


def test_any_multiple_of_four_keeps_its_size() -> None:
    assert ResidualGenerator(3, 1, 4, 1)(torch.zeros(2, 3, 36, 20)).shape == (2, 1, 36, 20)


def test_a_block_without_weights_is_the_identity() -> None:
    block, maps = ResidualBlock(3), torch.rand(2, 3, 8, 8)
    for convolution in (block.layers[0], block.layers[3]):
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    assert torch.equal(block(maps), maps)


def test_borders_are_reflected() -> None:
    """A constant image stays constant, which borders of zeros would not leave it."""
    network = ResidualGenerator(1, 1, 4, 2)
    convolution = network[0]
    maps = convolution(torch.full((1, 1, 16, 16), 0.5))
    torch.testing.assert_close(maps, maps[:, :, :1, :1].expand_as(maps))


def test_no_image_sees_another() -> None:
    network, images = ResidualGenerator(1, 1, 4, 1), torch.rand(3, 1, 16, 16)
    alone = torch.cat([network(image) for image in images.split(1)])
    torch.testing.assert_close(network(images), alone)
