"""Pieces of large pictures at their own resolution: random ones to train on, a fixed grid to evaluate on."""

import torch
from torch import Tensor

from genlab.datasets.base import SPLIT_SEED
from genlab.datasets.batches import LabelledImages
from genlab.datasets.images import ImagesInMemory, centred
from genlab.datasets.loader import Chosen, augmentation

Size = tuple[int, int]


class RandomCrops:
    """A source of crops with label 0, where each picture is cropped so many times in an epoch.

    Which crops they are depends on seed, epoch and item alone; outside training they are the same for every seed.

    Shapes:
        pictures: each ``(C, H, W)`` uint8, of any height and width that hold a crop.

    Args:
        size: ``(height, width)`` of a crop.
        flip: mirrors half of the crops of training.
    """

    def __init__(self, pictures: list[Tensor], size: Size, crops_per_picture: int, flip: bool, seed: int) -> None:
        self.pictures = pictures
        self.size = size
        self.crops_per_picture = crops_per_picture
        self.flip = flip
        self.seed = seed
        self._chance = (-2, torch.zeros(0))

    def __len__(self) -> int:
        return len(self.pictures) * self.crops_per_picture

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        chances = self._chances(chosen.epoch)
        crops = []
        for item in chosen.items.tolist():
            down, right, mirror = chances[item].tolist()
            crop = self._crop(self.pictures[item // self.crops_per_picture], down, right)
            crops.append(crop.flip(2) if self.flip and chosen.epoch >= 0 and mirror < 0.5 else crop)
        return LabelledImages(centred(torch.stack(crops)), torch.zeros(len(crops), dtype=torch.int64))

    def _crop(self, picture: Tensor, down: float, right: float) -> Tensor:
        height, width = self.size
        top, left = int(down * (picture.shape[1] - height + 1)), int(right * (picture.shape[2] - width + 1))
        return picture[:, top : top + height, left : left + width]

    def _chances(self, epoch: int) -> Tensor:
        if self._chance[0] != epoch:
            self._chance = (epoch, augmentation(self.seed if epoch >= 0 else SPLIT_SEED, epoch, len(self)))
        return self._chance[1]


def grid_of_crops(picture: Tensor, size: Size) -> Tensor:
    """All crops of a centred grid that does not overlap, row by row.

    Shapes: ``(C, H, W)`` -> ``(H // height * (W // width), C, height, width)``.
    """
    height, width = size
    rows, columns = picture.shape[1] // height, picture.shape[2] // width
    top, left = (picture.shape[1] - rows * height) // 2, (picture.shape[2] - columns * width) // 2
    grid = picture[:, top : top + rows * height, left : left + columns * width]
    cells = grid.unflatten(2, (columns, width)).unflatten(1, (rows, height))
    return cells.permute(1, 3, 0, 2, 4).reshape(-1, picture.shape[0], height, width)


def on_a_grid(pictures: list[Tensor], size: Size) -> ImagesInMemory:
    """A source of the grid's crops of each picture, in their order, with label 0."""
    crops = torch.cat([grid_of_crops(picture, size) for picture in pictures])
    return ImagesInMemory(crops, torch.zeros(len(crops), dtype=torch.int64))
