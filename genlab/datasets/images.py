"""Images in memory: brought to one shape, kept as uint8, cut into batches by index."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen, augmentation

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value: ITU-R BT.601, as Pillow has them."""


class ImagesInMemory:
    """A source of labelled images.

    Shapes:
        images: ``(N, C, H, W)`` uint8 in 0 .. levels.
        labels: ``(N,)`` int64.

    Args:
        flip_seed: of mirroring half of the images in each epoch of training; None mirrors none.
    """

    def __init__(self, images: Tensor, labels: Tensor, levels: int = 255, flip_seed: int | None = None) -> None:
        self.images = images
        self.labels = labels
        self.levels = levels
        self.flip_seed = flip_seed
        self._flips = (-1, torch.zeros(0))

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        epoch, items = chosen
        # index_select copies whole images where indexing with brackets copies values: a third of the time
        images = centred(self.images.index_select(0, items), self.levels)
        if self.flip_seed is not None and epoch >= 0:
            flipped = self._flipped(self.flip_seed, epoch).index_select(0, items)
            images[flipped] = images[flipped].flip(3)
        return LabelledImages(images, self.labels.index_select(0, items))

    def _flipped(self, seed: int, epoch: int) -> Tensor:
        if self._flips[0] != epoch:
            self._flips = (epoch, augmentation(seed, epoch, len(self))[:, 2] < 0.5)
        return self._flips[1]


def centred(images: Tensor, levels: int = 255) -> Tensor:
    """uint8 in 0 .. levels -> float32 in [-1, 1], of the same shape."""
    return images.float().mul_(2 / levels).sub_(1)


def check_channels(data_shape: tuple[int, int, int]) -> None:
    """Raises a ValueError unless images are grey or RGB."""
    if data_shape[0] not in (1, 3):
        raise ValueError(f"data_shape {list(data_shape)} has {data_shape[0]} channels; images have 1 or 3")


def fit(
    images: Tensor, levels: int, data_shape: tuple[int, int, int], enlarge: Literal["pad", "resize"]
) -> tuple[Tensor, int]:
    """Brings images to ``data_shape``.

    Channels: one becomes three equal ones, three become their grey value. A smaller height or width is reached by
    averaging areas; a larger one by a border of 0 on both sides, as 28 becomes 32 in most papers, or by interpolation.

    Shapes:
        images: ``(N, H, W)`` or ``(N, C, H, W)`` uint8 in 0 .. levels.
        result: ``(N, *data_shape)`` uint8, and the levels it has: ``levels``, or 255 if values were averaged.
    """
    images = images.unsqueeze(1) if images.dim() == 3 else images
    channels, height, width = data_shape
    smaller = (min(height, images.shape[2]), min(width, images.shape[3]))
    if enlarge == "resize" and smaller != (height, width):
        smaller = (height, width)
    if (images.shape[1] == 3 and channels == 1) or tuple(images.shape[2:]) != smaller:
        images = torch.cat([_averaged(part, channels, smaller, 255 / levels) for part in images.split(1024)])
        levels = 255
    if images.shape[1] != channels:
        images = images.expand(-1, channels, -1, -1)
    rows, columns = height - images.shape[2], width - images.shape[3]
    if rows or columns:
        images = functional.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
    return images.contiguous(), levels


def _averaged(images: Tensor, channels: int, size: tuple[int, int], scale: float) -> Tensor:
    values = images.float().mul_(scale)
    if values.shape[1] == 3 and channels == 1:
        values = (values * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if tuple(values.shape[2:]) != size:
        enlarged = size[0] > values.shape[2] or size[1] > values.shape[3]
        values = (
            functional.interpolate(values, size, mode="bilinear", antialias=True)
            if enlarged
            else functional.interpolate(values, size, mode="area")
        )
    return values.round_().clamp_(0, 255).byte()
