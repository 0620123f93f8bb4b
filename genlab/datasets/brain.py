"""Slices of a healthy brain to train on, slices with and without a lesion to test on."""

import io
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import ImagesInMemory, fit
from genlab.datasets.loader import Source

FILE = "brain.npz"
LEVELS = 252
"""The largest grey value of the file: it has the 64 multiples of 4 up to this."""


class Brain(Dataset):
    """Axial T1 slices without the skull, 2.9 mm a pixel, of the average of 27 scans of one man.

    Trained on and validated with healthy slices; the test has as many healthy ones, label 0, as ones with a synthetic
    lesion, label 1: a bright blob, a dark cyst, a ring or a change of texture. Test slices lie at least 1.5 mm from
    every training slice, validation images are other views of training slices.

    Args:
        data_shape: ``[1, H, W]``; larger than 64x64 adds a border of background, smaller averages areas.
    """

    batch_type = LabelledImages
    num_classes = 2
    has_anomalies = True

    def __init__(
        self,
        name: str,
        data_shape: tuple[Annotated[int, Field(ge=1, le=1)], PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        self.shape = data_shape
        self.class_names = ["healthy", "anomalous"]

    def load(self) -> dict[str, Source]:
        with np.load(io.BytesIO(asset(FILE))) as arrays:
            healthy, levels = fit(torch.from_numpy(arrays["train"]), LEVELS, self.shape, "pad")
            parts = [torch.from_numpy(arrays[name]) for name in ("test_healthy", "test_anomalous")]
            lesions = np.unpackbits(arrays["test_mask"], axis=1).reshape(arrays["test_anomalous"].shape)
        labels = torch.arange(2).repeat_interleave(torch.tensor([len(part) for part in parts]))
        masks = torch.cat([torch.zeros(parts[0].shape, dtype=torch.uint8), torch.from_numpy(lesions)])
        # Of areas that are averaged, one that holds any of the lesion counts, so that no lesion vanishes.
        self.test_masks = fit(masks, 1, self.shape, "pad")[0] > 0
        kept, validation, _ = held_out(len(healthy), self.num_validation, 0, self.name)
        return {
            "train": ImagesInMemory(healthy[kept], torch.zeros(len(kept), dtype=torch.int64), levels),
            "validation": ImagesInMemory(healthy[validation], torch.zeros(len(validation), dtype=torch.int64), levels),
            "test": ImagesInMemory(fit(torch.cat(parts), LEVELS, self.shape, "pad")[0], labels, levels),
        }

    def digest(self) -> str:
        """The file's own SHA-256, which ``load`` has verified."""
        return index()[FILE]["sha256"]
