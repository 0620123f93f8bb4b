"""Street digits with labels and MNIST without: which meet, and what they look like."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision import datasets
from torchvision_files import COLOURS, LABELS, md5

from genlab.datasets.batches import LabelledUnpairedImages
from genlab.datasets.embedded import ASSETS
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Chosen
from genlab.datasets.street_digits import FILE, LabelledUnpaired, StreetDigitsAndMNIST, SVHNAndMNIST, street_digits
from genlab.errors import DataError


def numbered(size: int) -> ImagesInMemory:
    """Images and labels that are their number."""
    return ImagesInMemory(torch.arange(size).byte().view(-1, 1, 1, 1), torch.arange(size))


def numbers(images: torch.Tensor) -> list[int]:
    return ((images + 1) * 127.5).round().long().flatten().tolist()


@pytest.mark.parametrize(("first", "second"), [(10, 25), (25, 10)])
def test_each_labelled_image_comes_once_with_another_of_the_second_each_epoch(first: int, second: int) -> None:
    source = LabelledUnpaired(numbered(first), numbered(second), seed=0)
    assert len(source) == first
    met = []
    for epoch in (0, 1):
        batch = source.__getitems__(Chosen(epoch, torch.arange(first)))
        assert numbers(batch.first) == batch.labels.tolist() == list(range(first))
        counts = torch.bincount(torch.tensor(numbers(batch.second)), minlength=second)
        assert counts.max() - counts.min() <= 1
        met.append(numbers(batch.second))
        part = source.__getitems__(Chosen(epoch, torch.tensor([7, 2])))
        assert numbers(part.second) == [met[epoch][7], met[epoch][2]]
    assert met[0] != met[1]
    still = source.__getitems__(Chosen(-1, torch.arange(first)))
    assert numbers(still.second) == [item % second for item in range(first)]


def test_digits_are_cut_out_of_their_mosaics_row_by_row() -> None:
    train, test = street_digits((3, 32, 32))
    assert (train.images.shape, test.images.shape) == ((8192, 3, 32, 32), (1024, 3, 32, 32))
    for source in (train, test):
        counts = torch.bincount(source.labels, minlength=10)
        assert counts.max() - counts.min() <= 1
    from PIL import Image

    with zipfile.ZipFile(ASSETS / FILE) as archive, Image.open(archive.open("train_3.webp")) as mosaic:
        pixels = torch.from_numpy(np.array(mosaic))
    cell = pixels[5 * 32 : 6 * 32, 9 * 32 : 10 * 32].permute(2, 0, 1)
    assert torch.equal(train.images[3 * 1024 + 5 * 32 + 9], cell)


def test_labels_are_what_the_pictures_show() -> None:
    """The mean picture of a digit, whatever its colours, is its own: nearest means find far more than a tenth."""

    def outlines(images: torch.Tensor) -> torch.Tensor:
        grey = torch.nn.functional.avg_pool2d(images.float().mean(1, keepdim=True), 2)[:, 0]
        across, down = grey.diff(dim=2)[:, 1:].abs(), grey.diff(dim=1)[:, :, 1:].abs()
        strength = (across + down).flatten(1)
        return strength / strength.norm(dim=1, keepdim=True)

    train, test = street_digits((3, 32, 32))
    means = torch.stack([outlines(train.images[train.labels == digit]).mean(0) for digit in range(10)])
    found = (outlines(test.images) @ (means / means.norm(dim=1, keepdim=True)).T).argmax(1)
    assert (found == test.labels).float().mean() > 0.35


def test_no_font_is_in_both_splits() -> None:
    with zipfile.ZipFile(ASSETS / FILE) as archive:
        fonts = json.loads(archive.read("index.json"))["fonts"]
    families = {split: {name.split("-")[0].split(".")[0] for name in names} for split, names in fonts.items()}
    assert not families["train"] & families["test"]


def test_mnist_has_a_border_and_three_equal_channels() -> None:
    dataset = StreetDigitsAndMNIST("street_digits_and_mnist", (3, 32, 32), 64, 512, seed=0)
    dataset.setup()
    assert dataset.sizes() == {"train": 7680, "validation": 512, "test": 1024}
    batch = next(iter(dataset.train_dataloader()))
    assert isinstance(batch, LabelledUnpairedImages)
    assert batch.first.shape == batch.second.shape == (64, 3, 32, 32)
    assert batch.labels.dtype == torch.int64
    assert (batch.second[:, :, [0, 1, 30, 31]] == -1).all()
    assert torch.equal(batch.second[:, 0], batch.second[:, 2])
    assert not torch.equal(batch.first[:, 0], batch.first[:, 2])
    assert dataset.class_names == list("0123456789")


def svhn(folder: Path, download: bool = False) -> SVHNAndMNIST:
    return SVHNAndMNIST("svhn_and_mnist", (3, 32, 32), 8, 8, str(folder), download, seed=0)


def test_svhn_and_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        path = tmp_path / f"{split}_32x32.mat"
        savemat(path, {"X": COLOURS.transpose(1, 2, 3, 0), "y": np.where(LABELS == 0, 10, LABELS)[:, None]})
        monkeypatch.setitem(datasets.SVHN.split_list, split, ["", path.name, md5(path.read_bytes())])
    dataset = svhn(tmp_path)
    dataset.setup()
    assert dataset.sizes() == {"train": 32, "validation": 8, "test": 40}
    batch: Any = next(iter(dataset.test_dataloader()))
    assert batch.labels.tolist() == LABELS[:8].tolist()
    assert len(dataset.fingerprint()) == 64


def test_a_missing_svhn_is_answered_with_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)'svhn_and_mnist' is not in .*train_32x32\.mat\n +md5 [0-9a-f]{32}"):
        svhn(tmp_path).setup()
