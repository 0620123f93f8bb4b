"""Masked convolutions: what they hide, which channels belong to which colour, and the same done pixel by pixel."""

from typing import Any

import pytest
import torch

from genlab.networks.masked import CachedConvolution, MaskedConv2d, colour_of_channels


def test_channels_are_divided_among_the_colours() -> None:
    assert colour_of_channels(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert colour_of_channels(8, 3).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert colour_of_channels(8, 2, num_parts=2).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]


def test_mask_a_hides_the_pixel_itself_and_mask_b_does_not() -> None:
    first, later = MaskedConv2d(1, 1, 3, "A"), MaskedConv2d(1, 1, 3, "B")
    assert first.mask[0, 0].tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert later.mask[0, 0].tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]


def test_masks_of_three_colours() -> None:
    first, later = MaskedConv2d(3, 3, 1, "A", 3), MaskedConv2d(3, 3, 1, "B", 3)
    assert first.mask[:, :, 0, 0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert later.mask[:, :, 0, 0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size=4: a mask has a middle, so the sides are odd"):
        MaskedConv2d(1, 1, 4, "A")


@pytest.mark.parametrize("kernel_size", [1, 5, (1, 5), (3, 1)])
@pytest.mark.parametrize("mask_type", ["A", "B"])
def test_it_is_the_convolution_with_the_masked_kernel(kernel_size: int | tuple[int, int], mask_type: Any) -> None:
    torch.manual_seed(0)
    layer = MaskedConv2d(6, 9, kernel_size, mask_type, 3).double()
    images = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(images, layer.weight * layer.mask, layer.bias, padding=layer.padding)
    torch.testing.assert_close(layer(images), expected)


@pytest.mark.parametrize("num_colours", [1, 3])
@pytest.mark.parametrize("kernel_size", [1, 5, (1, 3), (3, 3)])
@torch.no_grad()
def test_pixel_by_pixel_it_is_the_same_convolution(kernel_size: int | tuple[int, int], num_colours: int) -> None:
    torch.manual_seed(0)
    layer = MaskedConv2d(6, 9, kernel_size, "B", num_colours).double()
    images = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    whole, cached = layer(images), CachedConvolution(layer, 2, 5)
    for row in range(4):
        cached.start_row()
        for column in range(5):
            for colour in range(num_colours):
                mine = images[:, layer.input_places[colour], row, column]
                expected = whole[:, layer.output_places[colour], row, column]
                torch.testing.assert_close(cached(mine, column, colour), expected)
