"""The files of torchvision's data sets, small: 40 images of 10 classes."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from genlab.datasets.torchvision_sets import TorchvisionSet
from genlab.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(40, dtype=np.uint8) % 10
MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

Patch = pytest.MonkeyPatch


def idx(array: np.ndarray) -> bytes:
    """An array as an IDX file of unsigned bytes."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def mnist_like(prefixes: tuple[str, str] = ("train", "t10k"), labels: np.ndarray = LABELS) -> dict[str, bytes]:
    """The four files of a set like MNIST: 40 training and 20 test images."""
    files = {}
    for prefix, part in zip(prefixes, (slice(None), slice(20)), strict=True):
        files[f"{prefix}-images-idx3-ubyte"] = idx(IMAGES[part])
        files[f"{prefix}-labels-idx1-ubyte"] = idx(labels[part])
    return files


def torchvision_set(path: Path, kind: str = "MNIST", **changes: Any) -> TorchvisionSet:
    arguments: dict[str, Any] = {
        "name": kind.lower(),
        "dataset": kind,
        "subset": None,
        "data_shape": (1, 28, 28),
        "batch_size": 8,
        "num_validation": 8,
        "enlarge": "pad",
        "flip": False,
        "path": str(path),
        "download": False,
        "num_workers": 0,
        "seed": 0,
    }
    return TorchvisionSet(**arguments | changes)


def ready(path: Path, kind: str = "MNIST", **changes: Any) -> TorchvisionSet:
    dataset = torchvision_set(path, kind, **changes)
    dataset.setup()
    return dataset


def everything(dataset: TorchvisionSet) -> tuple[torch.Tensor, torch.Tensor]:
    """All training and validation images as uint8, and their labels."""
    batches = [*dataset.train_dataloader(), *dataset.val_dataloader()]
    images = torch.cat([batch.images for batch in batches])
    assert images.dtype == torch.float32
    return ((images + 1) * 127.5).round().byte(), torch.cat([batch.labels for batch in batches])


def pairs(images: Any, labels: Any) -> list[tuple[bytes, int]]:
    return sorted((bytes(np.ascontiguousarray(image)), int(label)) for image, label in zip(images, labels, strict=True))


def refusal(path: Path, kind: str = "MNIST", **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        ready(path, kind, **changes)
    assert caught.value.exit_code == 3
    return str(caught.value)


def cifar10(folder: Path, monkeypatch: Patch) -> Path:
    """CIFAR-10 as torchvision reads it: pickled batches of flat rows, planes of red, green and blue."""
    rows = COLOURS.transpose(0, 3, 1, 2).reshape(40, 3072)
    batch = pickle.dumps({"data": rows, "labels": LABELS.tolist()})
    meta = pickle.dumps({"label_names": [f"class {label}" for label in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", md5(batch)]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(batch)]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", datasets.CIFAR10.meta | {"md5": md5(meta)})
    files = {"data_batch_1": batch, "test_batch": batch, "batches.meta": meta}
    return write(folder, {f"cifar-10-batches-py/{name}": data for name, data in files.items()})
