"""A folder of the user's own images, flat or with a sub-folder for each class."""

import warnings
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, check_labels, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.images import ImagesInMemory, check_channels
from genlab.datasets.layout import files_digest, find_images
from genlab.datasets.loader import Source
from genlab.datasets.pictures import PictureFiles, PicturesInStream, bad_files, read_all
from genlab.errors import DataError, UsageError

LEFT_OUT = "are left out"


class ImageFolder(Dataset):
    """Images of any size and kind that Pillow reads, cropped to one shape.

    Folders that fit into ``memory_mb`` once resized are decoded at the start and kept as uint8, unless crops are
    random; all others are read while training, by ``num_workers`` processes.

    Args:
        path: the folder; ``~`` is the home folder.
        num_test: images held out for evaluation alone.
        resize: images are scaled until they cover ``resize`` times the height and width, then cropped (at least 1).
        crop: ``random`` differs every epoch, for training images only.
        flip: mirrors half of the training images, others each epoch.
        on_bad: ``stop`` raises with the names of bad files: at the start what the head of a file shows, and all that is
            bad if the folder is kept in memory; the rest when it is met. ``skip`` reads everything at the start and
            leaves bad files out, the same ones in every run.
        memory_mb: 0 always reads from disk.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        name: str,
        path: str | None,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        resize: Annotated[float, Field(ge=1, le=8)],
        crop: Literal["center", "random"],
        flip: bool,
        on_bad: Literal["stop", "skip"],
        memory_mb: NonNegativeInt,
        num_workers: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed, num_workers)
        if path is None:
            raise UsageError(f"the data set '{name}' needs a folder of images: dataset.path=FOLDER")
        check_channels(data_shape)
        self.folder = Path(path).expanduser()
        self.shape = data_shape
        self.num_test = num_test
        self.resize = resize
        self.random_crop = crop == "random"
        self.flip = flip
        self.on_bad = on_bad
        self.threads = max(2, num_workers)
        self.in_memory_bytes = 0 if self.random_crop else memory_mb * 2**20
        self.files: list[str] = []
        self.bad: list[str] = []

    def load(self) -> dict[str, Source]:
        layout = find_images(self.folder)
        self.files, labels = layout.files, torch.tensor(layout.labels)
        self.class_names = layout.classes or None
        self.num_classes = len(layout.classes) or None
        if layout.ignored:
            names = ", ".join(layout.ignored[:3]) + (" …" if len(layout.ignored) > 3 else "")
            warnings.warn(
                f"{self.folder}: files that are no images by their suffix: {len(layout.ignored)} ({names})",
                stacklevel=2,
            )
        in_memory = len(self.files) * int(np.prod(self.shape)) <= self.in_memory_bytes
        images = torch.empty(len(self.files), *self.shape, dtype=torch.uint8) if in_memory else None
        if in_memory:
            self.num_workers = 0  # to hand images over from a worker takes longer than to cut a batch
        bad = self._bad(images) if in_memory or self.on_bad == "skip" else self._bad_heads()
        self.bad = list(bad.values())
        if bad and self.on_bad == "stop":
            raise DataError(f"{self.folder}: {bad_files(self.bad)}")
        if len(bad) == len(self.files):
            raise DataError(f"{self.folder}: none of its {len(bad)} images can be used")
        if bad:
            warnings.warn(f"{self.folder}: {len(bad)} of {len(self.files)} images {LEFT_OUT}", stacklevel=2)
            kept = [item for item in range(len(self.files)) if item not in bad]
            self.files, labels = [self.files[item] for item in kept], labels[kept]
            images = images[kept] if images is not None else None
        if self.class_names is not None:
            check_labels(labels, len(self.class_names), str(self.folder), self.class_names)
        splits = held_out(len(self.files), self.num_validation, self.num_test, self.name)
        return {
            split: self._source(items, labels[items], images)
            for split, items in zip(("train", "validation", "test"), splits, strict=True)
        }

    def _source(self, items: Tensor, labels: Tensor, images: Tensor | None) -> Source:
        if images is not None:
            return ImagesInMemory(images[items], labels, flip_seed=self.seed if self.flip else None)
        return self._stream(items.tolist(), labels)

    def _stream(self, items: list[int], labels: Tensor) -> PicturesInStream:
        pictures = PictureFiles(self.folder, self.files)
        return PicturesInStream(
            pictures, items, labels, self.shape, self.resize, self.random_crop, self.flip, self.seed
        )

    def _bad(self, images: Tensor | None) -> dict[int, str]:
        """Decodes every file, into ``images`` if given; what is bad, by item."""
        stream = self._stream(list(range(len(self.files))), torch.zeros(len(self.files)))
        return stream.bad(images, self.threads)

    def _bad_heads(self) -> dict[int, str]:
        pictures = PictureFiles(self.folder, self.files)
        return read_all(len(self.files), pictures.probe, pictures.name, self.threads)

    def check(self) -> list[str]:
        """Every file that cannot be used, then what else would keep the folder from being trained on."""
        self.on_bad = "skip"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*{LEFT_OUT}")
            try:
                self.load_once()
            except (DataError, UsageError) as error:
                return [*self.bad, str(error)]
        return self.bad

    def digest(self) -> str:
        """See ``files_digest``; of each file that is used."""
        return files_digest(self.folder, self.files)
