"""torchvision's data sets read from files that are written here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import datasets
from torchvision_files import (
    COLOURS,
    IMAGES,
    LABELS,
    MNIST_FILES,
    Patch,
    cifar10,
    everything,
    idx,
    md5,
    mnist_like,
    pairs,
    ready,
    refusal,
    torchvision_set,
    write,
)

from genlab.datasets import torchvision_sets


@pytest.mark.parametrize(
    ("kind", "names", "features"),
    [
        ("MNIST", list("0123456789"), "digit"),
        ("FashionMNIST", ["T-shirt/top", "Trouser"], "fashion"),
        ("KMNIST", ["o", "ki"], None),
    ],
)
def test_sets_like_mnist(kind: str, names: list[str], features: str | None, tmp_path: Path) -> None:
    write(tmp_path / kind / "raw", mnist_like())
    dataset = ready(tmp_path, kind)
    assert dataset.sizes() == {"train": 32, "validation": 8, "test": 20}
    assert dataset.class_names is not None
    assert dataset.class_names[: len(names)] == names
    assert (dataset.num_classes, dataset.features) == (10, features)
    assert pairs(*everything(dataset)) == pairs(IMAGES, LABELS)
    assert dataset.check() == []


@pytest.mark.parametrize(
    ("subset", "labels", "num_classes"),
    [("digits", LABELS, 10), ("letters", np.arange(40) % 26 + 1, 26), ("mnist", LABELS, 10)],
)
def test_emnist_is_stood_upright_and_its_letters_counted_from_0(
    subset: str, labels: np.ndarray, num_classes: int, tmp_path: Path
) -> None:
    files = mnist_like((f"emnist-{subset}-train", f"emnist-{subset}-test"), labels)
    if subset == "letters":  # each letter in the test part too
        files |= {
            "emnist-letters-test-images-idx3-ubyte": idx(IMAGES),
            "emnist-letters-test-labels-idx1-ubyte": idx(labels),
        }
    write(tmp_path / "EMNIST" / "raw", files)
    dataset = ready(tmp_path, "EMNIST", subset=subset)
    assert dataset.num_classes == num_classes
    assert dataset.class_names is not None
    assert dataset.class_names[0] == ("a" if subset == "letters" else "0")
    assert pairs(*everything(dataset)) == pairs(IMAGES.swapaxes(1, 2), labels - (subset == "letters"))


def test_cifar10(tmp_path: Path, monkeypatch: Patch) -> None:
    dataset = ready(cifar10(tmp_path, monkeypatch), "CIFAR10", data_shape=(3, 32, 32))
    assert dataset.sizes() == {"train": 32, "validation": 8, "test": 40}
    assert dataset.class_names is not None
    assert dataset.class_names[3] == "class 3"
    assert pairs(*everything(dataset)) == pairs(COLOURS.transpose(0, 3, 1, 2), LABELS)


def test_images_are_mirrored_brought_to_shape_and_made_grey(tmp_path: Path, monkeypatch: Patch) -> None:
    root = cifar10(tmp_path, monkeypatch)
    grey = ready(root, "CIFAR10", data_shape=(1, 16, 16), flip=True)
    assert next(iter(grey.train_dataloader())).images.shape == (8, 1, 16, 16)
    upright = ready(root, "CIFAR10", data_shape=(1, 16, 16))
    a, b = (next(iter(dataset.train_dataloader())).images for dataset in (grey, upright))
    mirrored = [not torch.equal(one, two) for one, two in zip(a, b, strict=True)]
    assert 0 < sum(mirrored) < 8
    assert all(torch.equal(one, two.flip(2) if flip else two) for one, two, flip in zip(a, b, mirrored, strict=True))
    larger = ready(root, "CIFAR10", data_shape=(3, 48, 48), enlarge="resize")
    assert next(iter(larger.train_dataloader())).images.shape == (8, 3, 48, 48)


def test_svhn_counts_its_zeros_as_zero(tmp_path: Path, monkeypatch: Patch) -> None:
    ten = np.where(LABELS == 0, 10, LABELS)
    for split in ("train", "test"):
        path = tmp_path / f"{split}_32x32.mat"
        savemat(path, {"X": COLOURS.transpose(1, 2, 3, 0), "y": ten[:, None]})
        facts = ["", path.name, md5(path.read_bytes())]
        monkeypatch.setitem(datasets.SVHN.split_list, split, facts)
    dataset = ready(tmp_path, "SVHN", subset="train", data_shape=(3, 32, 32))
    assert dataset.sizes() == {"train": 32, "validation": 8, "test": 40}
    assert pairs(*everything(dataset)) == pairs(COLOURS.transpose(0, 3, 1, 2), LABELS)


@pytest.mark.parametrize("subset", ["train", "unlabeled"])
def test_stl10_with_and_without_labels(subset: str, tmp_path: Path, monkeypatch: Patch) -> None:
    images = np.random.default_rng(2).integers(0, 256, (40, 3, 96, 96), dtype=np.uint8)
    stored = images.swapaxes(2, 3).tobytes()  # columns before rows
    labels = (LABELS + 1).tobytes()
    files = {"train_X.bin": stored, "train_y.bin": labels, "unlabeled_X.bin": stored}
    files |= {"test_X.bin": stored, "test_y.bin": labels}
    write(tmp_path / "stl10_binary", files)
    for name in ("train_list", "test_list"):
        listed = [[file, md5(files[file])] for file, _ in getattr(datasets.STL10, name)]
        monkeypatch.setattr(datasets.STL10, name, listed)
    dataset = ready(tmp_path, "STL10", subset=subset, data_shape=(3, 96, 96))
    assert dataset.num_classes == (10 if subset == "train" else None)
    assert pairs(*everything(dataset)) == pairs(images, LABELS if subset == "train" else np.zeros(40))


@pytest.fixture
def celeba(tmp_path: Path, monkeypatch: Patch) -> Path:
    """20 faces, of which the last five are for tests."""
    names = [f"{number:06}.jpg" for number in range(1, 21)]
    parts = [0] * 13 + [1] * 2 + [2] * 5
    files = {
        "list_eval_partition.txt": "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True)),
        "identity_CelebA.txt": "".join(f"{name} 1\n" for name in names),
    }
    for name in ("list_attr_celeba.txt", "list_bbox_celeba.txt", "list_landmarks_align_celeba.txt"):
        files[name] = "20\nheader\n" + "".join(f"{image} 1\n" for image in names)
    write(tmp_path / "celeba", {name: text.encode() for name, text in files.items()})
    (tmp_path / "celeba" / "img_align_celeba").mkdir()
    for name in names:
        Image.new("RGB", (178, 218), (int(name[:6]) * 10, 0, 0)).save(tmp_path / "celeba" / "img_align_celeba" / name)
    listed = [
        (key, md5(files[file].encode()) if file in files else md5_, file)
        for key, md5_, file in datasets.CelebA.file_list
    ]
    monkeypatch.setattr(datasets.CelebA, "file_list", listed)
    return tmp_path


def test_celeba_is_read_while_training_and_has_no_classes(celeba: Path) -> None:
    dataset = ready(celeba, "CelebA", data_shape=(3, 16, 16), num_validation=3)
    assert dataset.sizes() == {"train": 10, "validation": 3, "test": 5}
    assert dataset.num_classes is None
    images, labels = everything(dataset)
    reds = sorted(images[:, 0].float().mean((1, 2)).tolist())
    assert reds == pytest.approx([10.0 * number for number in range(1, 14)], abs=3)
    assert not labels.any()


def test_workers_read_celeba_as_one_process_does(celeba: Path) -> None:
    alone, by_workers = (
        list(
            ready(
                celeba, "CelebA", data_shape=(3, 16, 16), num_validation=0, flip=True, num_workers=number
            ).train_dataloader()
        )
        for number in (0, 2)
    )
    assert len(alone) == len(by_workers)
    assert all(torch.equal(a.images, b.images) for a, b in zip(alone, by_workers, strict=True))


def test_check_lists_every_bad_image_of_celeba(celeba: Path) -> None:
    folder = celeba / "celeba" / "img_align_celeba"
    (folder / "000002.jpg").unlink()
    (folder / "000018.jpg").write_bytes(b"")
    problems = torchvision_set(celeba, "CelebA", data_shape=(3, 16, 16), num_validation=0).check()
    assert len(problems) == 2
    assert problems[0].startswith("train: 000002.jpg cannot be read (No such file")
    assert problems[1] == "test: 000018.jpg is no image that Pillow can read"


class Scenes:
    """LSUN as torchvision serves it: the images of each scene after one another, ``indices`` where each ends."""

    def __init__(self, root: Path, classes: list[str]) -> None:
        self.classes = classes
        self.indices = [7 * (place + 1) for place in range(len(classes))]

    def __len__(self) -> int:
        return self.indices[-1]

    def __getitem__(self, item: int) -> tuple[Image.Image, int]:
        return Image.new("RGB", (20, 10), (item * 10, 0, 0)), item // 7


def test_the_scenes_of_lsun_are_its_classes(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(torchvision_sets, "find_spec", lambda name: name)
    monkeypatch.setattr(datasets, "LSUN", Scenes)
    dataset = ready(tmp_path, "LSUN", subset=["tower", "bridge"], data_shape=(3, 8, 8), num_validation=4)
    assert dataset.sizes() == {"train": 10, "validation": 4, "test": 14}
    assert (dataset.num_classes, dataset.class_names) == (2, ["tower", "bridge"])
    images, labels = everything(dataset)
    assert [int(red >= 70) for red in images[:, 0].float().mean((1, 2))] == labels.tolist()


def test_a_set_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(torchvision_sets, "find_spec", lambda name: None)
    for kind, subset, package in (("LSUN", ["tower"], "lmdb"), ("SVHN", "train", "scipy")):
        message = f"the data set '{kind.lower()}' needs a package that is not installed: pip install {package}"
        assert refusal(tmp_path, kind, subset=subset) == message


@pytest.mark.parametrize(
    ("kind", "subset"),
    [("MNIST", "train"), ("EMNIST", None), ("EMNIST", "letter"), ("SVHN", "test"), ("LSUN", []), ("LSUN", ["attic"])],
)
def test_unknown_subsets_are_refused(kind: str, subset: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"of {kind}; accepted: "):
        torchvision_set(tmp_path, kind, subset=subset)


def test_a_gap_in_the_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw", mnist_like(labels=np.where(LABELS == 4, 5, LABELS)))
    assert "no item has the label 4, expected each of 10 labels" in refusal(tmp_path)


def test_the_fingerprint_follows_the_data(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw", mnist_like())
    before = ready(tmp_path).fingerprint()
    assert ready(tmp_path, num_validation=0, seed=3).fingerprint() == before
    changed = IMAGES.copy()
    changed[5, 5, 5] ^= 1
    write(tmp_path / "MNIST" / "raw", {MNIST_FILES[0]: idx(changed)})
    assert ready(tmp_path).fingerprint() != before
