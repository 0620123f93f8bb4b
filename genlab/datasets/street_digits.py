"""Digits of the street and handwritten ones of MNIST: two domains without pairs, of which the first has labels."""

import hashlib
import io
import json
import zipfile

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, check_labels, held_out
from genlab.datasets.batches import LabelledUnpairedImages
from genlab.datasets.embedded import Embedded, asset, index
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.loader import Chosen, Source, mixed_seed
from genlab.datasets.torchvision_sets import TorchvisionSet

FILE = "street_digits.zip"


class LabelledUnpaired:
    """Each labelled image of the first domain once an epoch, with one of the second; in training others each epoch.

    Args:
        second: more images than the first or fewer; none comes much oftener in an epoch than others.
        seed: of which meet; in evaluation those in one place do.
    """

    def __init__(self, first: ImagesInMemory, second: ImagesInMemory, seed: int) -> None:
        self.first = first
        self.second = second
        self.seed = seed
        self._order = (-1, torch.arange(len(first)) % len(second))

    def __len__(self) -> int:
        return len(self.first)

    def __getitems__(self, chosen: Chosen) -> LabelledUnpairedImages:
        first = self.first.__getitems__(chosen)
        second = self.second.__getitems__(Chosen(-1, self._met(chosen.epoch)[chosen.items]))
        return LabelledUnpairedImages(first.images, first.labels, second.images)

    def _met(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.arange(max(len(self.first), len(self.second)))
            if epoch >= 0:
                generator = torch.Generator().manual_seed(mixed_seed(self.seed, "second domain", epoch))
                order = torch.randperm(len(order), generator=generator)
            self._order = (epoch, order[: len(self.first)] % len(self.second))
        return self._order[1]


def with_mnist(first: dict[str, Source], mnist: Embedded, seed: int) -> dict[str, Source]:
    """The parts of the first domain with those of MNIST."""
    second, found = mnist.load(), dict[str, Source]()
    for split, digits in first.items():
        written = second[split]
        assert isinstance(digits, ImagesInMemory)
        assert isinstance(written, ImagesInMemory)
        if len(digits):
            found[split] = LabelledUnpaired(digits, written, seed)
    return found


class StreetDigitsAndMNIST(Dataset):
    """8,192 + 1,024 digits drawn as on house numbers, in colour, and MNIST.

    The test has fonts and, behind the digits, photographs that training has not.

    Args:
        data_shape: of both domains; MNIST has a border, larger street digits are interpolated.
        batch_size: images of each domain.
        num_validation: images of each domain.
    """

    batch_type = LabelledUnpairedImages
    num_classes = 10
    features = "digit"

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
        self.mnist = Embedded(name, "mnist", data_shape, batch_size, num_validation, seed)

    def load(self) -> dict[str, Source]:
        train, test = street_digits(self.shape)
        kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
        first: dict[str, Source] = {
            "train": ImagesInMemory(train.images[kept], train.labels[kept]),
            "validation": ImagesInMemory(train.images[validation], train.labels[validation]),
            "test": test,
        }
        found = with_mnist(first, self.mnist, self.seed)
        self.class_names = self.mnist.class_names
        return found

    def digest(self) -> str:
        """SHA-256 of those of both files, which ``load`` has verified."""
        return hashlib.sha256(f"{index()[FILE]['sha256']} {self.mnist.digest()}".encode()).hexdigest()


class SVHNAndMNIST(Dataset):
    """Street View House Numbers by torchvision, downloaded when they are first used, and MNIST.

    Args:
        data_shape: of both domains; MNIST has a border, larger house numbers are interpolated.
        batch_size: images of each domain.
        num_validation: images of each domain.
        path: the folder that torchvision calls root; ``~`` is the home folder.
        download: whether missing files may be fetched.
    """

    batch_type = LabelledUnpairedImages
    num_classes = 10
    features = "digit"

    def __init__(
        self,
        name: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        path: str,
        download: bool,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        self.svhn = TorchvisionSet(
            name=name,
            dataset="SVHN",
            subset="train",
            data_shape=data_shape,
            batch_size=batch_size,
            num_validation=num_validation,
            enlarge="resize",
            flip=False,
            path=path,
            download=download,
            num_workers=0,
            seed=seed,
        )
        self.mnist = Embedded(name, "mnist", data_shape, batch_size, num_validation, seed)

    def load(self) -> dict[str, Source]:
        found = with_mnist(self.svhn.load(), self.mnist, self.seed)
        self.class_names = self.svhn.class_names
        return found

    def digest(self) -> str:
        """Covers all training images and labels of both."""
        return hashlib.sha256(f"{self.svhn.digest()} {self.mnist.digest()}".encode()).hexdigest()


def street_digits(data_shape: tuple[int, int, int]) -> tuple[ImagesInMemory, ImagesInMemory]:
    """The drawn digits, training and test, cut out of their mosaics."""
    with zipfile.ZipFile(io.BytesIO(asset(FILE))) as archive:
        contents = json.loads(archive.read("index.json"))
        side, rows = contents["size"], contents["rows"]
        sources = []
        for split in ("train", "test"):
            labels = torch.tensor([int(label) for label in contents["labels"][split]])
            check_labels(labels, 10, FILE)
            names = [f"{split}_{number}.webp" for number in range(len(labels) // rows**2)]
            mosaics = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
            cells = torch.from_numpy(np.stack(mosaics)).reshape(len(names), rows, side, rows, side, 3)
            images = cells.permute(0, 1, 3, 5, 2, 4).reshape(-1, 3, side, side)
            sources.append(ImagesInMemory(fit(images, 255, data_shape, "resize")[0], labels))
    return sources[0], sources[1]
