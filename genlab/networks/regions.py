"""Connected regions of label maps, and what is the same throughout each."""

import torch
from torch import Tensor

LABEL_DISTANCE = 10.0
"""Between regions of different labels, more than any other difference of their places."""


def regions_of(labels: Tensor) -> Tensor:
    """The region of each pixel: neighbours to the left and right, above and below, with one label are in one region.

    Every pixel takes over the lowest number near it, and then the number which that pixel has, until nothing changes:
    Shiloach & Vishkin, "An O(log n) Parallel Connectivity Algorithm", 1982, doi:10.1016/0196-6774(82)90008-6.

    Shapes: ``(N, H, W)`` int64 -> ``(N, H, W)`` int64, the number of the first pixel of the region in its image.
    """
    count, height, width = labels.shape
    numbers = torch.arange(height * width, device=labels.device).view(1, height, width).repeat(count, 1, 1)
    while True:
        lowest = numbers.clone()
        for axis in (1, 2):
            before, after = shifted(numbers, axis)
            joined = torch.eq(*shifted(labels, axis))
            for mine, its in zip(shifted(lowest, axis), (after, before), strict=True):
                mine.copy_(torch.where(joined, torch.minimum(mine, its), mine))
        # What any pixel of a region has found is told to the pixel that gave the region its number.
        told = numbers.flatten(1).scatter_reduce(1, numbers.flatten(1), lowest.flatten(1), "amin")
        told = torch.minimum(told, lowest.flatten(1))
        found = told.gather(1, told).view_as(numbers)
        if torch.equal(found, numbers):
            return numbers
        numbers = found


def shifted(maps: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """All but the last and all but the first along an axis: neighbours in the same place; both are views."""
    length = maps.shape[axis] - 1
    return maps.narrow(axis, 0, length), maps.narrow(axis, 1, length)


def boundaries(regions: Tensor) -> Tensor:
    """Where a pixel has a neighbour of another region, ``(N, H, W)`` -> ``(N, 1, H, W)`` bool.

    Wang et al., 2018, arXiv:1711.11585, section 3.3.
    """
    found = torch.zeros_like(regions, dtype=torch.bool)
    for axis in (1, 2):
        differ = torch.ne(*shifted(regions, axis))
        for mine in shifted(found, axis):
            mine |= differ
    return found[:, None]


def region_means(maps: Tensor, regions: Tensor) -> Tensor:
    """Every value becomes the mean of its channel over its region.

    Shapes: ``(N, C, H, W)``, ``(N, H, W)`` -> ``(N, C, H, W)``, at least float32.
    """
    count, channels, height, width = maps.shape
    first = torch.arange(count, device=regions.device)[:, None] * height * width
    numbers = (regions.flatten(1) + first).flatten()
    precise = torch.promote_types(maps.dtype, torch.float32)
    rows = maps.to(precise).movedim(1, 3).reshape(-1, channels)
    sums = torch.zeros_like(rows).index_add(0, numbers, rows)
    sizes = torch.bincount(numbers, minlength=len(rows)).clamp(min=1)
    return (sums / sizes[:, None])[numbers].view(count, height, width, channels).movedim(3, 1)


def places_of(regions: Tensor, labels: Tensor) -> Tensor:
    """By what regions are compared: label, centre and the root of the size; near regions have near numbers.

    Shapes: ``(N, H, W)`` int64, both -> ``(N, 4, H, W)``: 10 times the label, the others in [0, 1].
    """
    count, height, width = regions.shape
    rows = torch.linspace(0, 1, height, device=regions.device)[:, None].expand(height, width)
    columns = torch.linspace(0, 1, width, device=regions.device).expand(height, width)
    centres = region_means(torch.stack([rows, columns]).expand(count, -1, -1, -1), regions)
    sizes = torch.zeros(count, height * width, device=regions.device)
    sizes = sizes.scatter_add(1, regions.flatten(1), torch.ones_like(sizes)).gather(1, regions.flatten(1))
    roots = (sizes / (height * width)).sqrt().view(count, 1, height, width)
    return torch.cat([LABEL_DISTANCE * labels[:, None].to(centres), centres, roots], 1)
