"""Emoji as two companies draw them."""

import hashlib
import io
import json
import zipfile
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.loader import Source

FILE = "emoji_styles.zip"

GENDERS = {"1f468", "1f469", "1f9d1", "2640", "2642", "200d", "fe0f"}
"""Man, woman, person, the signs of both sexes, and what joins them to a role: the same drawing but for the hair."""

STYLES = {"google": ["google"], "twitter": ["twitter"], "both": ["google", "twitter"]}


class Emoji(Dataset):
    """1,869 emoji without skin tones, drawn by Google, by Twitter or by both, with the nine groups of Unicode.

    All drawings of an emoji, and of the genders of a person in one role, are in the same split, so that no test image
    has a near copy among the training images. The test split is fixed.

    Args:
        style: whose drawings; ``both`` has each emoji twice.
        data_shape: smaller than 64x64 averages areas, larger interpolates; one channel makes them grey.
        num_validation: emoji of the training split that are held out, with all their drawings and genders.
    """

    batch_type = LabelledImages
    num_classes = 9

    def __init__(
        self,
        name: str,
        style: Literal["google", "twitter", "both"],
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        check_channels(data_shape)
        self.style = style
        self.shape = data_shape

    def load(self) -> dict[str, Source]:
        with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
            items = json.loads(archive.read("index.json"))["items"]
            self.class_names = sorted({item["category"] for item in items})
            test = [item for item in items if item["split"] == "test"]
            train = [item for item in items if item["split"] == "train"]
            roles = list(dict.fromkeys(role(item["code"]) for item in train))
            _, held, _ = held_out(len(roles), self.num_validation, 0, self.name)
            chosen = {roles[number] for number in held.tolist()}
            kept = [item for item in train if role(item["code"]) not in chosen]
            validation = [item for item in train if role(item["code"]) in chosen]
            parts = {"train": kept, "validation": validation, "test": test}
            return {split: self._source(archive, part) for split, part in parts.items() if part}

    def _source(self, archive: zipfile.ZipFile, items: list[dict[str, Any]]) -> ImagesInMemory:
        names = [f"{style}/{item['code']}.webp" for style in STYLES[self.style] for item in items]
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
        assert self.class_names is not None
        labels = torch.tensor([self.class_names.index(item["category"]) for item in items])
        fitted, levels = fit(torch.from_numpy(images).permute(0, 3, 1, 2), 255, self.shape, "resize")
        return ImagesInMemory(fitted, labels.repeat(len(STYLES[self.style])), levels)

    def digest(self) -> str:
        """SHA-256 of the file's own, which ``load`` has verified, and of the style."""
        return hashlib.sha256(f"{index()[FILE]['sha256']} {self.style}".encode()).hexdigest()


def role(code: str) -> str:
    """A sequence of code points, in hexadecimal with hyphens, without those of gender; itself if nothing is left."""
    return "-".join(point for point in code.split("-") if point not in GENDERS) or code
