"""Cartoon faces with binary attributes, and pairs of faces that differ in one of them."""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import ImagesWithAttributes
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import centred, check_channels, fit
from genlab.datasets.loader import Chosen, Source

FILE = "avatars.zip"


class AttributedImagesInMemory:
    """A source of images ``(N, C, H, W)`` uint8 with attributes ``(N, A)`` float32, 0 or 1."""

    def __init__(self, images: Tensor, attributes: Tensor) -> None:
        self.images = images
        self.attributes = attributes

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> ImagesWithAttributes:
        images = centred(self.images.index_select(0, chosen.items))
        return ImagesWithAttributes(images, self.attributes.index_select(0, chosen.items))


class Counterfactuals(NamedTuple):
    """What a face looks like if one thing about it is changed and all else is drawn as before.

    Away from the change pixels differ a little, by what lossy compression makes of it.

    A change of the hair's colour moves two attributes, the old colour's and the new one's; ``edits`` has the new one's.

    Shapes:
        originals: ``(M, C, H, W)`` float32 in [-1, 1]; each face comes once for each of its edits.
        edited: the same after the edit.
        edits: ``(M,)`` int64 in [0, A), the attribute that was changed.
        attributes: ``(M, A)`` float32, 0 or 1, of the originals.
        edited_attributes: ``(M, A)`` float32, 0 or 1, of the edited images.
    """

    originals: Tensor
    edited: Tensor
    edits: Tensor
    attributes: Tensor
    edited_attributes: Tensor


class Avatars(Dataset):
    """8,000 faces, no two with the same features; the last 500 are the test.

    Args:
        data_shape: smaller than 64x64 averages areas, larger interpolates; one channel makes them grey.
    """

    batch_type = ImagesWithAttributes
    attribute_names: list[str]
    """What the columns of ``attributes`` mean; known once the data are loaded."""

    def __init__(
        self,
        name: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        check_channels(data_shape)
        self.shape = data_shape

    def load(self) -> dict[str, Source]:
        with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
            contents = self._contents(archive)
            self.attribute_names = contents["attributes"]
            train, test = (
                (self._images(archive, contents[split]["images"]), torch.tensor(contents[split]["y"]).float())
                for split in ("train", "test")
            )
        kept, validation, _ = held_out(len(train[0]), self.num_validation, 0, self.name)
        return {
            "train": AttributedImagesInMemory(train[0][kept], train[1][kept]),
            "validation": AttributedImagesInMemory(train[0][validation], train[1][validation]),
            "test": AttributedImagesInMemory(*test),
        }

    def counterfactuals(self) -> Counterfactuals:
        """Six edits each of 300 faces that belong to no split."""
        with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
            faces = self._contents(archive)["edits"]
            edits = [edit for face in faces for edit in face["flips"].values()]
            edited = centred(self._images(archive, [edit["image"] for edit in edits]))
            originals = centred(self._images(archive, [face["orig"] for face in faces]))
        counts = torch.tensor([len(face["flips"]) for face in faces])
        attributes = torch.tensor([face["y"] for face in faces]).float().repeat_interleave(counts, 0)
        edited_attributes = torch.tensor([edit["y"] for edit in edits]).float()
        change = edited_attributes - attributes
        return Counterfactuals(
            originals=originals.repeat_interleave(counts, 0),
            edited=edited,
            edits=(2 * change.abs() + change).argmax(1),  # one that appears is worth 3, one that goes 1
            attributes=attributes,
            edited_attributes=edited_attributes,
        )

    def _contents(self, archive: zipfile.ZipFile) -> dict[str, Any]:
        return json.loads(archive.read("index.json"))

    def _images(self, archive: zipfile.ZipFile, names: Sequence[str]) -> Tensor:
        """``(len(names), *data_shape)`` uint8."""
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
        return fit(torch.from_numpy(images).permute(0, 3, 1, 2), 255, self.shape, "resize")[0]

    def digest(self) -> str:
        """The file's own SHA-256, which ``load`` has verified."""
        return index()[FILE]["sha256"]
