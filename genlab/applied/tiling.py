"""An image of any size through a network that takes a piece of it at a time, without seams."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def windows(length: int, tile: int, stride: int, scale: int) -> tuple[list[int], Tensor]:
    """Tiles along a side: where they begin, and the share that each has in what it covers.

    Neighbours share a quarter of a tile at least. The outer quarter of what they share has no part in the result, as
    it saw its tile's border there; over the half in the middle one passes linearly into the other.

    Shapes:
        returns: the beginnings, multiples of ``stride``, and shares ``(tiles, scale * side of a tile)``, which sum to 1
            over the tiles at every place.

    Args:
        length: of the side, a multiple of ``stride``.
        tile: side of a tile, rounded up to a multiple of ``stride`` and to two of them.
        scale: how much larger the result is than what is covered.
    """
    units, size = length // stride, max(2, math.ceil(tile / stride))
    if units <= size:
        return [0], torch.ones(1, length * scale)
    overlap = max(1, size // 4)
    count = math.ceil((units - overlap) / (size - overlap))
    begins = [stride * (place * (units - size) // (count - 1)) for place in range(count)]
    side, shared = size * stride * scale, overlap * stride * scale
    rising = ((torch.arange(side) + 0.5 - shared / 4) / (shared / 2)).clamp(0, 1)
    shares = torch.minimum(rising, rising.flip(0)).repeat(count, 1)
    shares[0] = rising.flip(0)
    shares[-1] = rising
    total = torch.zeros(length * scale)
    places = [slice(scale * begin, scale * begin + side) for begin in begins]
    for place, share in zip(places, shares, strict=True):
        total[place] += share
    return begins, torch.stack([share / total[place] for place, share in zip(places, shares, strict=True)])


def tile_count(height: int, width: int, tile: int, stride: int) -> int:
    """How many tiles cover an image whose sides are multiples of ``stride``."""
    return len(windows(height, tile, stride, 1)[0]) * len(windows(width, tile, stride, 1)[0])


def in_bands(
    translate: Callable[[Tensor], Tensor], image: Tensor, tile: int, stride: int, scale: int
) -> Iterator[Tensor]:
    """The translation of an image from the top down, in bands; no more than one row of tiles is held.

    Shapes:
        image: ``(C, H, W)``, sides multiples of ``stride``; of whatever type ``translate`` takes.
        yields: ``(C', ·, scale * W)`` float32, ``scale * H`` rows in all.

    Args:
        translate: ``(1, C, h, w)`` -> ``(1, C', scale * h, scale * w)``.
    """
    tops, rows = windows(image.shape[1], tile, stride, scale)
    lefts, columns = windows(image.shape[2], tile, stride, scale)
    height, width = rows.shape[1] // scale, columns.shape[1] // scale
    band = torch.zeros(0)
    for top, below, down in zip(tops, [*tops[1:], image.shape[1]], rows, strict=True):
        for left, across in zip(lefts, columns, strict=True):
            made = translate(image[None, :, top : top + height, left : left + width])[0].float()
            if not len(band):
                band = made.new_zeros(len(made), scale * height, scale * image.shape[2])
            shares = (down[:, None] * across).to(made.device)
            band[:, :, scale * left : scale * (left + width)] += made * shares
        done = scale * (below - top)
        yield band[:, :done]
        band = torch.cat([band[:, done:], torch.zeros_like(band[:, :done])], dim=1)
