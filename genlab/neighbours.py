"""The nearest training images of samples, by which a model that has learned its images by heart is found out."""

import torch
from torch import Tensor

from genlab.datasets.loader import Chosen, Source

BLOCK_NUMBERS = 2**22
"""Pixels of the images that are compared at a time: 32 MB as float64."""


def nearest(images: Tensor, source: Source, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` items of ``source`` nearest to each image by the Euclidean distance of their pixels.

    All are compared, a block at a time, so the memory does not grow with the source. In float64, where the expanded
    square of the distance loses nothing that could be seen.

    Shapes:
        images: ``(N, C, H, W)`` on the CPU.
        returns: distances ``(N, count)`` float32, ascending, and the items' numbers ``(N, count)`` int64.
    """
    queries = images.flatten(1).double()
    best = torch.full((len(queries), 0), torch.inf, dtype=torch.float64)
    items = torch.zeros((len(queries), 0), dtype=torch.int64)
    for block in torch.arange(len(source)).split(max(1, BLOCK_NUMBERS // queries.shape[1])):
        others = source.__getitems__(Chosen(-1, block)).images.flatten(1).double()
        squares = queries.square().sum(1, keepdim=True) - 2 * queries @ others.T + others.square().sum(1)
        candidates = torch.cat([best, squares], dim=1)
        best, places = candidates.topk(min(count, candidates.shape[1]), dim=1, largest=False)
        items = torch.cat([items, block.expand(len(queries), -1)], dim=1).gather(1, places)
    return best.clamp(min=0).sqrt().float(), items
