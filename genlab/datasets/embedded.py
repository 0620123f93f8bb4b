"""The data sets that come with genlab: no network, no files of the user."""

import hashlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset, check_labels, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.loader import Source
from genlab.errors import DataError

ASSETS = Path(__file__).parent / "assets"


@cache
def index() -> dict[str, dict[str, str]]:
    """Licence, attribution, source and SHA-256 of each embedded file."""
    return json.loads((ASSETS / "index.json").read_text(encoding="utf-8"))


def asset(name: str) -> bytes:
    """An embedded file, checked against its SHA-256.

    Raises:
        DataError: it is missing or damaged.
    """
    path = ASSETS / name
    again = "install genlab again"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"the embedded file {path} cannot be read ({error.strerror})\n{again}") from error
    if hashlib.sha256(data).hexdigest() != index()[name]["sha256"]:
        raise DataError(f"the embedded file {path} is damaged: its SHA-256 is not {index()[name]['sha256']}\n{again}")
    return data


class Embedded(Dataset):
    """Images of 10 classes kept in memory.

    Args:
        file: the ``.npz`` in ``assets`` without its suffix.
        data_shape: larger than the images adds a border of background, smaller averages areas.
        normal_class: trains on this class alone and labels all others anomalous; None trains on all ten.
    """

    batch_type: ClassVar[Any] = LabelledImages
    num_classes = 10

    def __init__(
        self,
        name: str,
        file: Literal["mnist", "fashion_mnist", "optdigits"],
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
        normal_class: Annotated[int, Field(ge=0, le=9)] | None = None,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        check_channels(data_shape)
        self.shape = data_shape
        self.file = f"{file}.npz"
        self.features = {"mnist": "digit", "fashion_mnist": "fashion"}.get(file)
        self.levels = 16 if file == "optdigits" else 255
        self.normal_class = normal_class
        if normal_class is not None:
            self.num_classes = 2
            self.has_anomalies = True

    def load(self) -> dict[str, Source]:
        with np.load(io.BytesIO(asset(self.file))) as arrays:
            train = self._source(arrays["train_images"], arrays["train_labels"])
            test = self._source(arrays["test_images"], arrays["test_labels"])
            self.class_names = (
                arrays["classes"].tolist() if "classes" in arrays else [str(digit) for digit in range(10)]
            )
        if self.normal_class is not None:
            self.class_names = ["normal", "anomalous"]
            normal = train.images[train.labels == self.normal_class]
            train = ImagesInMemory(normal, torch.zeros(len(normal), dtype=torch.int64), train.levels)
            test = ImagesInMemory(test.images, (test.labels != self.normal_class).long(), test.levels)
        kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
        return {
            "train": ImagesInMemory(train.images[kept], train.labels[kept], train.levels),
            "validation": ImagesInMemory(train.images[validation], train.labels[validation], train.levels),
            "test": test,
        }

    def _source(self, images: NDArray, labels: NDArray) -> ImagesInMemory:
        classes = torch.from_numpy(labels).long()
        check_labels(classes, 10, self.file)
        fitted, levels = fit(torch.from_numpy(images), self.levels, self.shape, "pad")
        return ImagesInMemory(fitted, classes, levels)

    def digest(self) -> str:
        """The file's own SHA-256, which ``load`` has verified; of one class, the SHA-256 of that and of the class."""
        sha256 = index()[self.file]["sha256"]
        if self.normal_class is None:
            return sha256
        return hashlib.sha256(f"{sha256} {self.normal_class}".encode()).hexdigest()
