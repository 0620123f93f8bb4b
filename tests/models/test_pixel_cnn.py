"""PixelCNN: parameters of the paper's network, what a pixel sees, and that drawing needs each pixel once."""

from functools import partial
from typing import Any

import pytest
import torch
from pixels import (
    assert_all_images_have_probability_1,
    assert_cached_equals_naive,
    assert_nothing_later_is_seen,
    assert_sums_and_logits_are_float32_under_autocast,
    earlier,
    seen_by,
)

from genlab.models.pixel_cnn import PixelCNN


def pixel_cnn(image_shape: tuple[int, int, int], num_levels: int = 2, **changes: Any) -> PixelCNN:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 6, "num_blocks": 2, "first_kernel": 5, "kernel": 3, "head_width": 9} | changes
    binarization = "threshold" if num_levels == 2 else "none"
    return PixelCNN(image_shape, num_levels, binarization, optimizer=partial(torch.optim.Adam), **sizes)


def test_parameters_of_the_network_for_cifar() -> None:
    model = pixel_cnn((3, 32, 32), 256, width=128, num_blocks=15, first_kernel=7, head_width=1024)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_340_416


@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 5, 4), 2), ((3, 3, 4), 4), ((3, 4, 3), 2)])
def test_nothing_later_is_seen(image_shape: tuple[int, int, int], num_levels: int) -> None:
    assert_nothing_later_is_seen(pixel_cnn(image_shape, num_levels))


def test_colours_of_a_pixel_see_those_before_them() -> None:
    model = pixel_cnn((3, 3, 3), 4, width=24, head_width=36)  # so many that not all are cut off by a ReLU
    for colour in range(3):
        assert seen_by(model, 1, 1, colour)[:, 1, 1].tolist() == [other < colour for other in range(3)]


@pytest.mark.parametrize(("first_kernel", "num_blocks", "num_seen", "num_earlier"), [(3, 4, 50, 60), (7, 15, 564, 684)])
def test_the_blind_spot_of_masked_convolutions(
    first_kernel: int, num_blocks: int, num_seen: int, num_earlier: int
) -> None:
    radius = first_kernel // 2 + num_blocks
    model = pixel_cnn((1, radius + 1, 2 * radius + 1), first_kernel=first_kernel, num_blocks=num_blocks)
    seen, before = seen_by(model, radius, radius, 0), earlier(model.image_shape, radius, radius, 0)
    assert (int(seen.sum()), int(before.sum())) == (num_seen, num_earlier)


@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 6, 5), 2), ((3, 4, 5), 5), ((2, 3, 3), 2)])
def test_drawing_with_rows_kept_is_drawing_with_the_whole_network(
    image_shape: tuple[int, int, int], num_levels: int
) -> None:
    assert_cached_equals_naive(pixel_cnn(image_shape, num_levels))


@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 3, 3), 2), ((3, 1, 2), 3)])
def test_all_images_have_probability_1(image_shape: tuple[int, int, int], num_levels: int) -> None:
    assert_all_images_have_probability_1(pixel_cnn(image_shape, num_levels))


def test_logits_are_float32_under_autocast() -> None:
    model = pixel_cnn((3, 5, 5), 256)
    assert_sums_and_logits_are_float32_under_autocast(model, model.head[-1])
