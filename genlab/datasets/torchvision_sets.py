"""Public data sets by torchvision's readers, downloaded when they are first used."""

import hashlib
import socket
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, check_labels, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.layout import draw
from genlab.datasets.loader import Source
from genlab.datasets.pictures import BROKEN, BadPictureError, PicturesInStream
from genlab.errors import DataError, UsageError

MNIST_LIKE = ("MNIST", "FashionMNIST", "KMNIST", "EMNIST")
SUBSETS = {
    "EMNIST": ("byclass", "bymerge", "balanced", "letters", "digits", "mnist"),
    "SVHN": ("train", "extra"),
    "STL10": ("train", "unlabeled"),
}
SCENES = ("bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen")
SCENES += ("living_room", "restaurant", "tower")
TIMEOUT = 30.0
"""Seconds that a server may be silent; torchvision itself would wait for ever."""

FAILURES = (*BROKEN, RuntimeError, zipfile.BadZipFile, zlib.error, ImportError, AssertionError)
"""What torchvision raises when a file is missing, damaged, not to be had, or needs a package."""


@dataclass(frozen=True)
class Archive:
    """A file to download: below the root folder, its MD5 and where it comes from, as torchvision knows them."""

    path: str
    md5: str
    url: str


@dataclass(frozen=True)
class TorchvisionPictures:
    """Pictures of a torchvision data set that does not fit into memory."""

    dataset: Any

    def name(self, item: int) -> str:
        files = getattr(self.dataset, "filename", None)
        return files[item] if files else f"item {item}"

    def open(self, item: int, size: int) -> Image.Image:
        try:
            image = self.dataset[item][0]
            image.load()
        except BROKEN as error:
            raise BadPictureError(f"is damaged ({error})") from error
        return image


class TorchvisionSet(Dataset):
    """One of torchvision's data sets of images.

    Sets of small images are kept in memory; CelebA and LSUN are read while training.

    Args:
        dataset: the class in ``torchvision.datasets``.
        subset: which of its training sets or, for LSUN, a list of scenes; None where there is but one.
        enlarge: ``pad`` surrounds images smaller than ``data_shape`` by black, ``resize`` interpolates.
        flip: mirrors half of the training images, others each epoch.
        path: the folder that torchvision calls root; ``~`` is the home folder.
        download: whether missing files may be fetched.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        name: str,
        dataset: Literal[
            "MNIST", "FashionMNIST", "KMNIST", "EMNIST", "CIFAR10", "CIFAR100", "SVHN", "STL10", "CelebA", "LSUN"
        ],
        subset: str | list[str] | None,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        enlarge: Literal["pad", "resize"],
        flip: bool,
        path: str,
        download: bool,
        num_workers: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed, num_workers)
        check_channels(data_shape)
        accepted = SCENES if dataset == "LSUN" else SUBSETS.get(dataset, (None,))
        for given in subset if isinstance(subset, list) and dataset == "LSUN" else [subset]:
            if given not in accepted:
                raise ValueError(f"subset {given} of {dataset}; accepted: {', '.join(map(str, accepted))}")
        self.kind = dataset
        self.features = {"MNIST": "digit", "FashionMNIST": "fashion"}.get(dataset)
        self.subset = subset
        self.shape = data_shape
        self.enlarge: Literal["pad", "resize"] = enlarge
        self.flip_seed = seed if flip else None
        self.root = Path(path).expanduser()
        self.download = download

    def prepare_data(self) -> None:
        """Downloads what is missing; Lightning calls it in one process only.

        Raises:
            DataError: says which file to put where. No partial file is left behind.
        """
        try:
            self._open(train=True, download=False)
        except FAILURES as missing:
            self._remove_damaged()
            if not self.download or self.kind == "LSUN":
                raise self._unavailable(missing) from missing
            try:
                with _impatient():
                    self._open(train=True, download=True)
            except FAILURES as error:
                self._remove_damaged()
                raise self._unavailable(error) from error
            except BaseException:
                self._remove_damaged()
                raise

    def load(self) -> dict[str, Source]:
        try:
            train, test = self._open(train=True, download=False), self._open(train=False, download=False)
        except FAILURES as error:
            raise self._unavailable(error) from error
        kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
        if hasattr(train, "data"):
            images, labels, levels = self._in_memory(train)
            self._hash(images, labels)
            return {
                "train": ImagesInMemory(images[kept], labels[kept], levels, self.flip_seed),
                "validation": ImagesInMemory(images[validation], labels[validation], levels),
                "test": ImagesInMemory(*self._in_memory(test)),
            }
        self._hash(_stream_labels(train), torch.tensor(len(test)))
        return {
            "train": self._stream(train, kept, self.flip_seed is not None),
            "validation": self._stream(train, validation, False),
            "test": self._stream(test, torch.arange(len(test)), False),
        }

    def digest(self) -> str:
        """Covers all training images and labels; of CelebA and LSUN their number and labels only."""
        return self._digest

    def _hash(self, *tensors: Tensor) -> None:
        total = hashlib.sha256(self.kind.encode())
        for tensor in tensors:
            total.update(repr(tuple(tensor.shape)).encode() + tensor.numpy().tobytes())
        self._digest = total.hexdigest()

    def _open(self, train: bool, download: bool) -> Any:
        """torchvision's own data set of one part."""
        from torchvision import datasets

        kind, root = getattr(datasets, self.kind), self.root
        if self.kind == "LSUN":
            scenes = self.subset if isinstance(self.subset, list) else [self.subset]
            return kind(root, classes=[f"{scene}_{'train' if train else 'val'}" for scene in scenes])
        if self.kind == "EMNIST":
            return kind(root, split=self.subset, train=train, download=download)
        if self.kind in ("SVHN", "STL10"):
            if train and download and self.kind == "SVHN":
                kind(root, split="test", download=True)
            return kind(root, split=self.subset if train else "test", download=download)
        if self.kind == "CelebA":
            return kind(root, split="train" if train else "test", download=download)
        return kind(root, train=train, download=download)

    def _in_memory(self, opened: Any) -> tuple[Tensor, Tensor, int]:
        images = torch.as_tensor(np.ascontiguousarray(opened.data))
        if images.shape[-1] == 3 and images.dim() == 4:
            images = images.permute(0, 3, 1, 2)
        labels = torch.as_tensor(opened.targets if hasattr(opened, "targets") else opened.labels).long()
        if self.kind == "EMNIST":
            images = images.transpose(1, 2)  # stored with rows and columns exchanged
            if self.subset == "letters":
                labels = labels - 1  # stored from 1
        if self.subset == "unlabeled":
            labels = torch.zeros_like(labels)
        else:
            names = getattr(opened, "classes", None) or [str(label) for label in range(10)]
            self.class_names = [name for name in names if name != "N/A"]
            self.num_classes = len(self.class_names)
            check_labels(labels, self.num_classes, f"'{self.name}' in {self.root}")
        return (*_swapped(fit(images, 255, self.shape, self.enlarge), labels),)

    def _stream(self, opened: Any, items: Tensor, flip: bool) -> PicturesInStream:
        labels = _stream_labels(opened)
        if self.kind == "LSUN":
            self.class_names = self.subset if isinstance(self.subset, list) else [str(self.subset)]
            self.num_classes = len(self.class_names)
        pictures = TorchvisionPictures(opened)
        return PicturesInStream(pictures, items.tolist(), labels[items], self.shape, 1.0, False, flip, self.seed)

    def archives(self) -> list[Archive]:
        """The files that torchvision downloads, where it names them."""
        from torchvision import datasets

        kind = getattr(datasets, self.kind)
        if self.kind == "EMNIST":
            return [Archive("EMNIST/raw/gzip.zip", kind.md5, kind.url)]
        if self.kind in MNIST_LIKE:
            raw = f"{self.kind}/raw"
            return [Archive(f"{raw}/{file}", md5, f"{kind.mirrors[0]}{file}") for file, md5 in kind.resources]
        if self.kind == "SVHN":
            parts = [kind.split_list[str(self.subset)], kind.split_list["test"]]
            return [Archive(file, md5, url) for url, file, md5 in parts]
        if self.kind == "CelebA":
            drive = "https://drive.google.com/uc?id="
            return [Archive(f"{kind.base_folder}/{file}", md5, f"{drive}{key}") for key, md5, file in kind.file_list]
        if self.kind == "LSUN":
            return []
        return [Archive(kind.filename, kind.tgz_md5, kind.url)]

    def _remove_damaged(self) -> None:
        """Removes what a broken download left: archives of another MD5, and what was unpacked without a check of its own."""
        for archive in self.archives():
            path = self.root / archive.path
            if path.is_file() and _md5(path) != archive.md5:
                path.unlink()
        if self.kind in MNIST_LIKE:
            for path in (self.root / self.kind / "raw").glob("**/*ubyte*"):
                if path.is_file() and path.name not in {Path(archive.path).name for archive in self.archives()}:
                    path.unlink()

    def _unavailable(self, error: BaseException) -> DataError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        lines = [f"the data set '{self.name}' is not in {self.root} and could not be fetched: {reason}"]
        if isinstance(error, ImportError):
            return DataError(f"the data set '{self.name}' needs a package that is not installed: {error}")
        if self.kind == "LSUN":
            lines = [f"the data set '{self.name}' is not in {self.root}: {reason}"]
            scenes = self.subset if isinstance(self.subset, list) else [self.subset]
            wanted = [f"{scene}_{part}_lmdb/" for scene in scenes for part in ("train", "val")]
            lines += [
                "it is not downloaded by genlab; unpack the archives of https://github.com/fyu/lsun there, expected"
            ]
            lines += [f"  {self.root}/", *(f"    {folder}" for folder in wanted)]
        else:
            if not self.download:
                lines = [
                    f"the data set '{self.name}' is not in {self.root} ({reason})",
                    "let it be fetched, dataset.download=true, or",
                ]
            lines += ["download by hand, under exactly these names:"]
            lines += [f"  {self.root / file.path}\n    md5 {file.md5}  {file.url}" for file in self.archives()]
        if self.root.is_dir():
            lines += ["found", draw(self.root)]
        return DataError("\n".join([*lines, "another folder: dataset.path=FOLDER"]))

    def check(self) -> list[str]:
        """As of every set, and each image of CelebA and LSUN on its own."""
        problems = []
        try:
            self.setup()
            for source in self.sources.values():
                if isinstance(source, PicturesInStream):
                    problems += _bad_pictures(source)
        except (DataError, UsageError) as error:
            problems.append(str(error))
        return problems


def _bad_pictures(source: PicturesInStream) -> list[str]:
    from genlab.datasets.pictures import read_all

    return list(
        read_all(
            len(source),
            lambda place: source.array(place, -1),
            lambda place: source.pictures.name(source.items[place]),
            2,
        ).values()
    )


def _swapped(fitted: tuple[Tensor, int], labels: Tensor) -> tuple[Tensor, Tensor, int]:
    return fitted[0], labels, fitted[1]


def _stream_labels(opened: Any) -> Tensor:
    """LSUN's scenes in their order; CelebA has attributes and no classes."""
    if hasattr(opened, "indices"):
        ends = torch.tensor(opened.indices)
        return torch.searchsorted(ends, torch.arange(len(opened)), right=True)
    return torch.zeros(len(opened), dtype=torch.int64)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
