"""Connected regions against a flood fill, and means over them."""

import pytest
import torch
from torch import Tensor

from genlab.networks.regions import boundaries, places_of, region_means, regions_of


def flooded(labels: Tensor) -> Tensor:
    """The regions of one map ``(H, W)``, pixel by pixel."""
    height, width = labels.shape
    found = torch.full((height * width,), -1)
    for start in range(height * width):
        waiting = [start] if found[start] < 0 else []
        while waiting:
            pixel = waiting.pop()
            if found[pixel] >= 0:
                continue
            found[pixel] = start
            row, column = divmod(pixel, width)
            for near_row, near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                is_inside = 0 <= near_row < height and 0 <= near < width
                if is_inside and labels[near_row, near] == labels[row, column]:
                    waiting.append(near_row * width + near)
    return found.view(height, width)


@pytest.mark.parametrize("num_labels", [1, 2, 3, 9])
def test_regions_are_those_of_a_flood_fill(num_labels: int) -> None:
    labels = torch.randint(num_labels, (6, 11, 13), generator=torch.Generator().manual_seed(num_labels))
    assert torch.equal(regions_of(labels), torch.stack([flooded(one) for one in labels]))


def test_a_spiral_is_one_region_however_long() -> None:
    wall = torch.zeros(33, 33, dtype=torch.int64)
    for depth in range(1, 16, 2):
        wall[depth, depth:-depth] = wall[-1 - depth, depth:-depth] = 1
        wall[depth:-depth, depth] = wall[depth:-depth, -1 - depth] = 1
        wall[depth, depth + 1] = 0  # a gate between one ring and the next
    (regions,) = regions_of(wall[None])
    assert (regions[wall == 0] == 0).all()
    assert torch.equal(regions, flooded(wall))


def test_diagonal_neighbours_do_not_touch() -> None:
    regions = regions_of(torch.eye(4, dtype=torch.int64)[None])
    assert torch.diagonal(regions[0]).tolist() == [0, 5, 10, 15]


def test_boundaries_lie_on_both_sides() -> None:
    labels = torch.zeros(1, 4, 6, dtype=torch.int64)
    labels[:, :, 3:] = 1
    (found,) = boundaries(regions_of(labels))
    assert found.squeeze(0).long().tolist() == [[0, 0, 1, 1, 0, 0]] * 4


def test_means_over_regions_are_each_image_s_own_and_let_gradients_through() -> None:
    labels = torch.randint(2, (3, 8, 8), generator=torch.Generator().manual_seed(0))
    maps = torch.randn(3, 2, 8, 8, requires_grad=True)
    regions = regions_of(labels)
    means = region_means(maps, regions)
    for image in range(3):
        for number in regions[image].unique():
            here = regions[image] == number
            expected = maps[image][:, here].mean(1, keepdim=True).expand(-1, int(here.sum()))
            torch.testing.assert_close(means[image][:, here], expected)
    torch.testing.assert_close(region_means(maps[1:2], regions[1:2]), means[1:2])
    means.sum().backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad, torch.ones_like(maps.grad))


def test_places_are_label_centre_and_size() -> None:
    labels = torch.zeros(1, 5, 5, dtype=torch.int64)
    labels[0, :, 4] = 2
    places = places_of(regions_of(labels), labels)
    torch.testing.assert_close(places[0, :, 0, 0], torch.tensor([0, 0.5, 1.5 / 4, 0.8**0.5]))
    torch.testing.assert_close(places[0, :, 2, 4], torch.tensor([20, 0.5, 1, 0.2**0.5]))
