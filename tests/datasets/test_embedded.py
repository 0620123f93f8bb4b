"""The data sets that come with genlab: what they hold, where it is from, and that damage is found."""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from genlab.config import check, compose
from genlab.datasets import embedded
from genlab.datasets.embedded import ASSETS, Embedded, asset, index
from genlab.errors import DataError, UsageError

NAMES = sorted(path.name for path in ASSETS.iterdir() if path.suffix in (".npz", ".safetensors", ".zip"))

File = Literal["mnist", "fashion_mnist", "optdigits"]


def loaded(file: File, side: int, num_validation: int = 0) -> Embedded:
    dataset = Embedded(file, file, (1, side, side), 128, num_validation, seed=0)
    dataset.setup()
    return dataset


@pytest.fixture(scope="module")
def optdigits() -> Embedded:
    return loaded("optdigits", 8, 200)


def everything(dataset: Embedded) -> tuple[torch.Tensor, torch.Tensor]:
    """All training and validation images, and their labels."""
    batches = [*dataset.train_dataloader(), *dataset.val_dataloader()]
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches])


@pytest.mark.parametrize(
    ("file", "side", "training", "test"),
    [("mnist", 28, 60_000, 10_000), ("fashion_mnist", 28, 12_000, 2_000), ("optdigits", 8, 1_437, 360)],
)
def test_counts(file: File, side: int, training: int, test: int) -> None:
    dataset = loaded(file, side)
    assert dataset.sizes() == {"train": training, "test": test}
    assert dataset.class_names is not None
    assert len(dataset.class_names) == dataset.num_classes == 10
    assert dataset.check() == []


def test_the_digits_of_mnist_are_the_well_known_ones() -> None:
    with np.load(ASSETS / "mnist.npz") as arrays:
        images, labels, test_labels = (arrays[name] for name in ("train_images", "train_labels", "test_labels"))
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    share, values = np.bincount(images.ravel()) / images.size, np.arange(256) / 255
    mean = share @ values
    assert mean == pytest.approx(0.1307, abs=1e-4)
    assert (share @ (values - mean) ** 2) ** 0.5 == pytest.approx(0.3081, abs=1e-4)


def test_each_piece_of_clothing_is_as_frequent() -> None:
    with np.load(ASSETS / "fashion_mnist.npz") as arrays:
        assert np.bincount(arrays["train_labels"]).tolist() == [1200] * 10
        assert np.bincount(arrays["test_labels"]).tolist() == [200] * 10
        assert arrays["classes"][[0, 7, 9]].tolist() == ["T-shirt/top", "sneaker", "ankle boot"]


def test_the_small_digits_are_those_of_scikit_learn() -> None:
    with np.load(ASSETS / "optdigits.npz") as arrays:
        images = np.concatenate([arrays["train_images"], arrays["test_images"]])
        labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    assert np.array_equal(images, load_digits().images)
    assert np.array_equal(labels, load_digits().target)


def test_batches_are_float32_in_the_whole_range_with_int64_labels(optdigits: Embedded) -> None:
    batch = next(iter(optdigits.train_dataloader()))
    assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
    assert batch.images.shape == (128, 1, 8, 8)
    assert (batch.images.min(), batch.images.max()) == (-1, 1)


def test_validation_images_are_held_out_of_the_training_images(optdigits: Embedded) -> None:
    assert optdigits.sizes() == {"train": 1237, "validation": 200, "test": 360}
    with np.load(ASSETS / "optdigits.npz") as arrays:
        original = sorted(map(bytes, arrays["train_images"].reshape(1437, 64)))
    images, _ = everything(optdigits)
    assert sorted(map(bytes, (images + 1).mul(8).round().byte().reshape(1437, 64).numpy())) == original


def test_labels_stay_with_their_images(optdigits: Embedded) -> None:
    with np.load(ASSETS / "optdigits.npz") as arrays:
        pairs = zip(arrays["train_images"].reshape(1437, 64), arrays["train_labels"].tolist(), strict=True)
        original = {(bytes(image), label) for image, label in pairs}
    images, labels = everything(optdigits)
    flat = (images + 1).mul(8).round().byte().reshape(1437, 64).numpy()
    assert {(bytes(image), label) for image, label in zip(flat, labels.tolist(), strict=True)} == original


@pytest.mark.parametrize(("file", "normal", "test"), [("mnist", 5923, 10_000), ("fashion_mnist", 1200, 2_000)])
def test_one_class_is_trained_on_and_all_are_tested(file: File, normal: int, test: int) -> None:
    every = loaded(file, 28)
    one = Embedded(file, file, (1, 28, 28), 128, 100, seed=0, normal_class=0)
    one.setup()
    assert one.sizes() == {"train": normal - 100, "validation": 100, "test": test}
    assert (one.num_classes, one.class_names, one.has_anomalies) == (2, ["normal", "anomalous"], True)
    assert (every.num_classes, every.has_anomalies) == (10, False)
    assert one.features == every.features
    images, labels = everything(one)
    assert (labels == 0).all()
    all_images, all_labels = everything(every)
    assert sorted(map(bytes, images.numpy())) == sorted(map(bytes, all_images[all_labels == 0].numpy()))
    for batch, original in zip(one.test_dataloader(), every.test_dataloader(), strict=True):
        assert torch.equal(batch.images, original.images)
        assert torch.equal(batch.labels, (original.labels != 0).long())


def test_the_fingerprint_knows_which_class_is_normal() -> None:
    sets = [Embedded("o", "optdigits", (1, 8, 8), 8, 0, seed=0, normal_class=digit) for digit in (None, 0, 1)]
    assert len({dataset.fingerprint() for dataset in sets}) == 3


@pytest.mark.parametrize("digit", [-1, 10])
def test_a_normal_class_that_is_none_is_refused(digit: int) -> None:
    words = ["model=gmm", "dataset=one_class_mnist", f"dataset.normal_class={digit}"]
    with pytest.raises(UsageError, match=rf"dataset\.normal_class={digit}: expected"):
        check(compose("train", words))


def test_a_border_makes_digits_32_pixels_wide() -> None:
    recipe = compose("train", ["model=gmm", "dataset=mnist_32"]).config["dataset"]
    dataset = Embedded(**{key: value for key, value in recipe.items() if key != "_target_"})
    dataset.setup()
    assert dataset.sizes() == {"train": 55_000, "validation": 5_000, "test": 10_000}
    images = next(iter(dataset.test_dataloader())).images
    assert images.shape == (128, 1, 32, 32)
    assert (images[:, :, [0, 1, 30, 31]] == -1).all()
    assert torch.equal(images[:, :, 2:30, 2:30], next(iter(loaded("mnist", 28).test_dataloader())).images)


def test_another_shape_adds_a_border_or_averages() -> None:
    bordered, averaged = loaded("optdigits", 12), loaded("optdigits", 4)
    images = next(iter(bordered.test_dataloader())).images
    assert images.shape == (128, 1, 12, 12)
    assert (images[:, :, :2] == -1).all()
    assert (images[:, :, :, -2:] == -1).all()
    means = next(iter(averaged.test_dataloader())).images
    inside = images[:, :, 2:10, 2:10].reshape(128, 1, 4, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(means, inside, atol=1.01 / 255, rtol=0)  # half of a level of 255


def test_the_fingerprint_is_the_hash_of_the_file(optdigits: Embedded) -> None:
    assert optdigits.fingerprint() == hashlib.sha256((ASSETS / "optdigits.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize("damage", ["one flipped bit", "truncated", "missing"])
def test_a_damaged_asset_is_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray((ASSETS / "optdigits.npz").read_bytes())
    data[20_000] ^= 1
    kept = {"one flipped bit": data, "truncated": data[:20_000]}
    if damage in kept:
        (tmp_path / "optdigits.npz").write_bytes(kept[damage])
    index()  # is read from the real folder, and kept
    monkeypatch.setattr(embedded, "ASSETS", tmp_path)
    with pytest.raises(DataError, match=r"(?s)optdigits\.npz (is damaged|cannot be read).*install genlab again"):
        loaded("optdigits", 8)


def test_every_asset_is_in_the_index_and_nothing_else() -> None:
    assert sorted(index()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_asset_says_whose_it_is_and_how_it_was_made(name: str) -> None:
    about = index()[name]
    assert hashlib.sha256(asset(name)).hexdigest() == about["sha256"]
    assert (ASSETS / name).stat().st_size == about["bytes"]
    licences = (ASSETS / "LICENCES.md").read_text(encoding="utf-8")
    part = licences.partition(f"## {name}\n")[2].partition("\n## ")[0]
    for fact in ("licence", "attribution", "source", "rebuild", "sha256"):
        assert about[fact] in part
    script = Path(__file__).parents[2] / about["rebuild"].split()[0]
    assert script.is_file()


def test_the_assets_are_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 100e6
