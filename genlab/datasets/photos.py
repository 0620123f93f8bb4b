"""46 photographs with free licences, in crops."""

import io
import json
import zipfile
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.crops import RandomCrops, on_a_grid
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import check_channels, fit
from genlab.datasets.loader import Source

FILE = "photos.zip"

LEAST_SIDE = 300
"""Pixels of the shortest side of any of the photographs."""


def photographs(split: Literal["train", "test"]) -> dict[str, Tensor]:
    """The 38 photographs of training or the 8 of the test by their names, in alphabetical order.

    Returns: each ``(3, H, W)`` uint8, sides from 300 to 768 pixels.
    """
    with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
        items = json.loads(archive.read("index.json"))["items"]
        names = sorted(item["name"] for item in items if item["split"] == split)
        opened = {name: Image.open(io.BytesIO(archive.read(f"{name}.webp"))) for name in names}
        return {name: torch.from_numpy(np.array(image)).permute(2, 0, 1) for name, image in opened.items()}


class Photos(Dataset):
    """Crops of photographs at their own resolution; the test's are of photographs that training has not.

    Args:
        data_shape: of a crop, at most 300x300; one channel makes it grey.
        num_validation: photographs of training that are held out; their crops lie on a grid and do not overlap, as
            those of the test do.
        crops_per_photo: random crops of each photograph in an epoch; each epoch has others.
        flip: mirrors half of the training crops.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        name: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        crops_per_photo: PositiveInt,
        flip: bool,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        check_channels(data_shape)
        if max(data_shape[1:]) > LEAST_SIDE:
            raise ValueError(f"data_shape {list(data_shape)} is larger than a photograph: at most {LEAST_SIDE} pixels")
        self.channels, self.size = data_shape[0], data_shape[1:]
        self.crops_per_photo = crops_per_photo
        self.flip = flip

    def load(self) -> dict[str, Source]:
        train, test = (self._pictures(split) for split in ("train", "test"))
        kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
        chosen = [train[number] for number in kept.tolist()]
        found: dict[str, Source] = {
            "train": RandomCrops(chosen, self.size, self.crops_per_photo, self.flip, self.seed),
            "test": on_a_grid(test, self.size),
        }
        if len(validation):
            found["validation"] = on_a_grid([train[number] for number in validation.tolist()], self.size)
        return found

    def _pictures(self, split: Literal["train", "test"]) -> list[Tensor]:
        pictures = photographs(split).values()
        return [fit(picture[None], 255, (self.channels, *picture.shape[1:]), "resize")[0][0] for picture in pictures]

    def digest(self) -> str:
        """The file's own SHA-256, which ``load`` has verified."""
        return index()[FILE]["sha256"]
