"""Photographs with a part of themselves pasted in that another light fell on, and what to blend on unseen ones."""

import hashlib
import io
import json
import zipfile
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor
from torch.nn.functional import interpolate, pad

from genlab.datasets.base import SPLIT_SEED, Dataset, held_out
from genlab.datasets.batches import PairedImages
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import centred
from genlab.datasets.loader import Chosen, Source, mixed_seed
from genlab.datasets.photos import photographs

CUTOUTS = "cutouts.zip"
NUM_VALIDATION_PHOTOGRAPHS = 4

SCALES = (1.1, 1.6, 2.4, 3.6)
"""The shorter side of a photograph over the side of a crop."""

GAMMA, CONTRAST, GAIN = 1.8, 1.35, 1.3
"""The most that another light changes: the power of values in [0, 1], their distance from 1/2, and each colour."""


def in_another_light(images: Tensor, draws: Tensor) -> Tensor:
    """The same scene as if at another time: another gamma, contrast and colour of the light.

    Shapes:
        images: ``(N, 3, H, W)`` in [-1, 1]; the result, too.
        draws: ``(N, 5)`` in [0, 1], of the gamma, the contrast and red, green and blue; 1/2 changes nothing.
    """
    most = torch.tensor([GAMMA, CONTRAST, GAIN, GAIN, GAIN])
    factors = (most ** (2 * draws - 1))[:, :, None, None]
    values = ((images + 1) / 2) ** factors[:, :1]
    values = ((values - 0.5) * factors[:, 1:2] + 0.5) * factors[:, 2:]
    return values.clamp(0, 1) * 2 - 1


class PastedCrops:
    """Random crops of photographs: source is the crop with its centre in another light, target the crop itself.

    Args:
        photos: ``(3, H, W)`` uint8, each at one scale or more.
        size: of a crop; the centre is half as high and wide.
        count: items; others in each epoch, in evaluation the same.
        seed: of all that is random.
    """

    def __init__(self, photos: list[Tensor], size: tuple[int, int], count: int, seed: int) -> None:
        self.photos = photos
        self.size = size
        self.count = count
        self.seed = seed
        self._draws = (-2, torch.zeros(0))

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, chosen: Chosen) -> PairedImages:
        draws = self._drawn(chosen.epoch)[chosen.items]
        background = centred(torch.stack([self._crop(*row) for row in draws[:, :4].tolist()]))
        foreground = in_another_light(background, draws[:, 4:])
        height, width = self.size
        rows, columns = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
        composite = background.clone()
        composite[:, :, rows, columns] = foreground[:, :, rows, columns]
        return PairedImages(composite, background)

    def _drawn(self, epoch: int) -> Tensor:
        """All that is random in an epoch, ``(count, 9)`` in [0, 1)."""
        if self._draws[0] != epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, "composites", epoch))
            self._draws = (epoch, torch.rand(self.count, 9, generator=generator))
        return self._draws[1]

    def _crop(self, photo: float, down: float, right: float, mirror: float) -> Tensor:
        whole = self.photos[int(photo * len(self.photos))]
        height, width = self.size
        top = int(down * (whole.shape[1] - height + 1))
        left = int(right * (whole.shape[2] - width + 1))
        crop = whole[:, top : top + height, left : left + width]
        return crop.flip(2) if mirror < 0.5 else crop


class Composites(Dataset):
    """Pairs of a composite, to be blended, and the photograph that it was made of.

    Four of the training photographs are for validation, and the test has those that nothing is trained on.

    Args:
        data_shape: ``[3, H, W]`` of a crop.
        num_items: training crops of an epoch, which are others in the next.
        num_validation: crops of the photographs for validation.
        num_test: crops of the unseen photographs.
    """

    batch_type = PairedImages

    def __init__(
        self,
        name: str,
        data_shape: tuple[Annotated[int, Field(ge=3, le=3)], PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_items: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        if min(data_shape[1:]) < 4:
            raise ValueError(f"data_shape={list(data_shape)}: crops have sides of at least 4")
        self.size = data_shape[1:]
        self.num_items = num_items
        self.num_test = num_test

    def load(self) -> dict[str, Source]:
        photos = list(photographs("train").values())
        kept, validation, _ = held_out(len(photos), NUM_VALIDATION_PHOTOGRAPHS, 0, self.name)
        test = list(photographs("test").values())
        return {
            "train": self._source([photos[number] for number in kept.tolist()], self.num_items, self.seed),
            "validation": self._source([photos[number] for number in validation.tolist()], self.num_validation),
            "test": self._source(test, self.num_test),
        }

    def _source(self, photos: list[Tensor], count: int, seed: int = SPLIT_SEED) -> PastedCrops:
        scaled = [at_scale(photo, scale, self.size) for photo in photos for scale in SCALES]
        return PastedCrops(scaled, self.size, count, seed)

    def digest(self) -> str:
        """SHA-256 of the file's own, which reading it has verified, and of the number of training crops."""
        return hashlib.sha256(f"{index()['photos.zip']['sha256']} {self.num_items}".encode()).hexdigest()


def at_scale(photo: Tensor, scale: float, size: tuple[int, int]) -> Tensor:
    """A photograph that a crop of ``size`` fits into ``scale`` times, one way at least; ``(3, H, W)`` uint8."""
    factor = scale * max(size[0] / photo.shape[1], size[1] / photo.shape[2])
    return resized(photo, (round(photo.shape[1] * factor), round(photo.shape[2] * factor)))


def resized(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """``(C, H, W)`` uint8 -> ``(C, *size)`` uint8, by averaging where it becomes smaller."""
    return interpolate(photo[None], size, mode="bilinear", antialias=True)[0]


class Compositions(NamedTuple):
    """What is to be blended.

    Shapes:
        source, destination: ``(N, 3, H, W)`` float32 in [-1, 1].
        mask: ``(N, 1, H, W)`` bool, where the source is to appear.
    """

    source: Tensor
    destination: Tensor
    mask: Tensor


def cutouts_on_photographs(side: int) -> Compositions:
    """The cut-outs of the test split, half as large as the image and in its middle, on the unseen photographs in turn.

    The mask is where their opacity is at least one half.
    """
    with zipfile.ZipFile(io.BytesIO(asset(CUTOUTS))) as archive:
        items: list[dict[str, Any]] = json.loads(archive.read("index.json"))["items"]
        names = [f"{item['code']}.webp" for item in items if item["split"] == "test"]
        rgba = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
    cutouts = torch.from_numpy(rgba).permute(0, 3, 1, 2)
    half = torch.stack([resized(cutout, (side // 2, side // 2)) for cutout in cutouts])
    before = (side - side // 2) // 2
    after = side - side // 2 - before
    whole = pad(half, (before, after, before, after))
    photos = unseen_squares(side)
    return Compositions(centred(whole[:, :3]), photos[torch.arange(len(whole)) % len(photos)], whole[:, 3:] >= 128)


def photographs_on_photographs(side: int) -> Compositions:
    """A disc of each unseen photograph, of a little more than half the image's side, on the next one."""
    photos = unseen_squares(side)
    from_middle = torch.arange(side) - (side - 1) / 2
    disc = from_middle.square()[:, None] + from_middle.square() <= (70 / 256 * side) ** 2
    return Compositions(photos, photos.roll(-1, 0), disc.expand(len(photos), 1, -1, -1))


def unseen_squares(side: int) -> Tensor:
    """The middle of each photograph of the test split, as large as it goes, ``(N, 3, side, side)`` in [-1, 1]."""
    squares = []
    for photo in photographs("test").values():
        edge = min(photo.shape[1:])
        top, left = (photo.shape[1] - edge) // 2, (photo.shape[2] - edge) // 2
        squares.append(resized(photo[:, top : top + edge, left : left + edge], (side, side)))
    return centred(torch.stack(squares))
