"""torchvision's data sets from folders and archives that are written here: reading, downloading, and every failure."""

import gzip
import hashlib
import io
import pickle
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from genlab.datasets import downloads, torchvision_sets
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


# Reading


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


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: Patch) -> Path:
    """CIFAR-10 as torchvision reads it: pickled batches of flat rows, planes of red, green and blue."""
    rows = COLOURS.transpose(0, 3, 1, 2).reshape(40, 3072)
    batch = pickle.dumps({"data": rows, "labels": LABELS.tolist()})
    meta = pickle.dumps({"label_names": [f"class {label}" for label in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", md5(batch)]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(batch)]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", datasets.CIFAR10.meta | {"md5": md5(meta)})
    files = {"data_batch_1": batch, "test_batch": batch, "batches.meta": meta}
    return write(tmp_path / "root", {f"cifar-10-batches-py/{name}": data for name, data in files.items()})


def test_cifar10(cifar10: Path) -> None:
    dataset = ready(cifar10, "CIFAR10", data_shape=(3, 32, 32))
    assert dataset.sizes() == {"train": 32, "validation": 8, "test": 40}
    assert dataset.class_names is not None
    assert dataset.class_names[3] == "class 3"
    assert pairs(*everything(dataset)) == pairs(COLOURS.transpose(0, 3, 1, 2), LABELS)


def test_images_are_mirrored_brought_to_shape_and_made_grey(cifar10: Path) -> None:
    grey = ready(cifar10, "CIFAR10", data_shape=(1, 16, 16), flip=True)
    assert next(iter(grey.train_dataloader())).images.shape == (8, 1, 16, 16)
    upright = ready(cifar10, "CIFAR10", data_shape=(1, 16, 16))
    a, b = (next(iter(dataset.train_dataloader())).images for dataset in (grey, upright))
    mirrored = [not torch.equal(one, two) for one, two in zip(a, b, strict=True)]
    assert 0 < sum(mirrored) < 8
    assert all(torch.equal(one, two.flip(2) if flip else two) for one, two, flip in zip(a, b, mirrored, strict=True))
    larger = ready(cifar10, "CIFAR10", data_shape=(3, 48, 48), enlarge="resize")
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


# Downloading


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; of the files named in ``cut`` half is sent, as when a connection breaks."""

    cut: ClassVar[set[str]] = set()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        data = source.read()
        outputfile.write(data[: len(data) // 2] if self.path.lstrip("/") in self.cut else data)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def server(web: tuple[Path, str], monkeypatch: Patch) -> Path:
    """The folder that MNIST is downloaded from."""
    folder, address = web
    write(folder, {f"{name}.gz": gzip.compress(data) for name, data in mnist_like().items()})
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    listed = [(f"{name}.gz", md5((folder / f"{name}.gz").read_bytes())) for name in MNIST_FILES]
    monkeypatch.setattr(datasets.MNIST, "resources", listed)
    return folder


def left(root: Path) -> list[str]:
    """All files below a folder but the lock."""
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def test_what_is_missing_is_downloaded_once(server: Path, tmp_path: Path) -> None:
    root = tmp_path / "made" / "here"
    assert pairs(*everything(ready(root, download=True))) == pairs(IMAGES, LABELS)
    assert left(root) == sorted(f"MNIST/raw/{name}{suffix}" for name in MNIST_FILES for suffix in ("", ".gz"))
    for path in server.iterdir():
        path.unlink()
    assert ready(root, download=True).sizes()["train"] == 32


def test_without_permission_the_message_has_file_names_and_hashes(server: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    listed = [
        f"  {root}/MNIST/raw/{file}\n    md5 {hash_}  {datasets.MNIST.mirrors[0]}{file}"
        for file, hash_ in datasets.MNIST.resources
    ]
    assert refusal(root) == "\n".join(
        [
            f"the data set 'mnist' is not in {root}: Dataset not found.",
            "let it be fetched by dataset.download=true, or",
            "download by hand, under exactly these names, and start again:",
            *listed,
            "found",
            "  root/  (empty)",
            "another folder: dataset.path=FOLDER",
        ]
    )
    assert left(root) == []


def test_archives_put_there_by_hand_are_unpacked_without_permission(server: Path, tmp_path: Path) -> None:
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.parent.mkdir(parents=True)
    server.rename(raw)
    assert pairs(*everything(ready(tmp_path / "root"))) == pairs(IMAGES, LABELS)
    assert not any(path.is_symlink() for path in raw.iterdir())


def test_complete_archives_are_not_downloaded_again(server: Path, tmp_path: Path) -> None:
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (server / f"{MNIST_FILES[0]}.gz").rename(raw / f"{MNIST_FILES[0]}.gz")
    assert ready(tmp_path / "root", download=True).sizes()["train"] == 32


def spoil(server: Path, how: str, monkeypatch: Patch) -> None:
    path = server / f"{MNIST_FILES[2]}.gz"
    if how == "blocked":
        path.unlink()
    elif how == "half":
        monkeypatch.setattr(Handler, "cut", {path.name})
    else:
        path.write_bytes(
            {
                "empty": b"",
                "page": b"\n<!DOCTYPE html><html>Log in to the hotel's network</html>",
                "other": gzip.compress(b"something else"),
            }[how]
        )


@pytest.mark.parametrize("how", ["blocked", "half", "empty", "page", "other"])
def test_a_failed_download_leaves_nothing_and_is_never_used(
    how: str, server: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    file = f"{MNIST_FILES[2]}.gz"
    whole, root = (server / file).read_bytes(), tmp_path / "root"
    spoil(server, how, monkeypatch)
    came = {
        "blocked": "HTTP Error 404",
        "half": f"{len(whole) // 2:,} bytes of md5 {md5(whole[: len(whole) // 2])}, expected md5 {md5(whole)}",
        "empty": "0 bytes of md5 d41d8cd98f00b204e9800998ecf8427e, expected",
        "page": f"came MNIST/raw/{file}: a web page of md5 ",
        "other": f", expected md5 {md5(whole)}",
    }
    for _ in range(2):
        message = refusal(root, download=True)
        assert (
            f"the data set 'mnist' is not in {root}: Dataset not found.\nit could not be fetched: Error downl"
            in message
        )
        assert came[how] in message
        assert f"  {root}/MNIST/raw/{file}\n    md5 {md5(whole)}  http://127.0.0.1:" in message
        assert left(root) == []
    monkeypatch.setattr(Handler, "cut", set())
    (server / file).write_bytes(whole)
    assert ready(root, download=True).sizes()["train"] == 32


def test_files_of_the_user_survive_a_failed_download(server: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    spoil(server, "blocked", monkeypatch)
    half = f"MNIST/raw/{MNIST_FILES[1]}.gz"
    files = {f"MNIST/raw/{MNIST_FILES[0]}": mnist_like()[MNIST_FILES[0]], half: b"half copied"}
    root = write(tmp_path / "root", files)
    for download in (False, True):
        assert f"there is {half}: 11 bytes of md5 {md5(b'half copied')}, expected" in refusal(root, download=download)
        assert {name: (root / name).read_bytes() for name in left(root)} == files


def test_damaged_files_are_replaced_by_downloaded_ones(server: Path, tmp_path: Path) -> None:
    files = mnist_like()
    root = write(tmp_path / "root", {f"MNIST/raw/{name}": data for name, data in files.items()})
    for damaged in (files[MNIST_FILES[0]][:1000], b""):
        (root / "MNIST" / "raw" / MNIST_FILES[0]).write_bytes(damaged)
        assert "is not in" in refusal(root)
    assert pairs(*everything(ready(root, download=True))) == pairs(IMAGES, LABELS)


def test_what_a_killed_download_left_is_not_used(server: Path, tmp_path: Path) -> None:
    partial = tmp_path / "root" / ".genlab.partial" / "MNIST" / "raw"
    write(partial, {f"{MNIST_FILES[0]}.gz": b"half", MNIST_FILES[0]: b"half"})
    assert pairs(*everything(ready(tmp_path / "root", download=True))) == pairs(IMAGES, LABELS)
    assert not partial.exists()


def test_ctrl_c_leaves_nothing(server: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    def interrupted(*_: object) -> None:
        assert left(tmp_path / "root")  # an archive has arrived
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.utils.extract_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ready(tmp_path / "root", download=True)
    assert left(tmp_path / "root") == []
    assert socket.getdefaulttimeout() is None


def test_a_full_disk_is_no_fault_of_the_data(server: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torchvision.datasets.utils.extract_archive", full)
    with pytest.raises(OSError, match="No space left"):
        ready(tmp_path / "root", download=True)
    assert left(tmp_path / "root") == []


def test_a_server_that_says_nothing_is_given_up(server: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        with pytest.raises(DataError, match="could not be fetched: timed out"):
            ready(tmp_path / "root", download=True)


def test_of_two_processes_one_downloads(server: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    """The second finds the data when the lock is free: what it would download is gone by then."""
    root, real = tmp_path / "root", torchvision_sets.one_at_a_time

    def after_another(root: Path) -> Any:
        monkeypatch.setattr(torchvision_sets, "one_at_a_time", real)
        ready(root, download=True)
        for path in server.iterdir():
            path.unlink()
        return real(root)

    monkeypatch.setattr(torchvision_sets, "one_at_a_time", after_another)
    assert ready(root, download=True).sizes()["train"] == 32


def test_a_root_that_cannot_be_a_folder(server: Path, tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    assert "it could not be fetched: [Errno" in refusal(tmp_path / "root", download=True)


def archive(kind: str, cifar10: Path) -> bytes:
    file = io.BytesIO()
    if kind == "tar.gz":
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            tar.add(cifar10 / "cifar-10-batches-py", "cifar-10-batches-py")
    else:
        with zipfile.ZipFile(file, "w") as zipped:
            for name, data in mnist_like(("emnist-digits-train", "emnist-digits-test")).items():
                zipped.writestr(f"gzip/{name}.gz", gzip.compress(data))
    return file.getvalue()


def test_cifar10_comes_as_one_archive(cifar10: Path, web: tuple[Path, str], tmp_path: Path, monkeypatch: Patch) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(cifar10 / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{web[1]}cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(file.getvalue()))
    write(web[0], {"cifar-10-python.tar.gz": file.getvalue()[:1000]})
    changes = {"data_shape": (3, 32, 32), "download": True}
    assert "cifar-10-python.tar.gz: 1,000 bytes of md5" in refusal(tmp_path / "new", "CIFAR10", **changes)
    assert left(tmp_path / "new") == []
    write(web[0], {"cifar-10-python.tar.gz": file.getvalue()})
    dataset = ready(tmp_path / "new", "CIFAR10", **changes)
    assert pairs(*everything(dataset)) == pairs(COLOURS.transpose(0, 3, 1, 2), LABELS)


def test_emnist_comes_as_one_zip_of_zips(web: tuple[Path, str], tmp_path: Path, monkeypatch: Patch) -> None:
    with zipfile.ZipFile(web[0] / "gzip.zip", "w") as zipped:
        for name, data in mnist_like(("emnist-digits-train", "emnist-digits-test")).items():
            zipped.writestr(f"gzip/{name}.gz", gzip.compress(data))
    monkeypatch.setattr(datasets.EMNIST, "url", f"{web[1]}gzip.zip")
    monkeypatch.setattr(datasets.EMNIST, "md5", md5((web[0] / "gzip.zip").read_bytes()))
    dataset = ready(tmp_path / "new", "EMNIST", subset="digits", download=True)
    assert pairs(*everything(dataset)) == pairs(IMAGES.swapaxes(1, 2), LABELS)
    assert "EMNIST/raw/gzip.zip" in left(tmp_path / "new")


@pytest.mark.parametrize(
    ("kind", "subset", "files"),
    [
        ("MNIST", None, ["MNIST/raw/train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"]),
        ("KMNIST", None, ["KMNIST/raw/t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"]),
        ("EMNIST", "balanced", ["EMNIST/raw/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e"]),
        ("CIFAR10", None, ["cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"]),
        ("CIFAR100", None, ["cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"]),
        ("SVHN", "extra", ["extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7", "test_32x32.mat"]),
        ("STL10", "train", ["stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb"]),
        ("CelebA", None, ["celeba/img_align_celeba.zip", "00d2c5bc6d35e252742224ab0c1e8fcb", "and unpack img_align"]),
    ],
)
def test_every_set_says_what_to_download_by_hand(
    kind: str, subset: str | None, files: list[str], tmp_path: Path
) -> None:
    message = refusal(tmp_path, kind, subset=subset)
    assert all(part in message for part in files)
    assert f"  {tmp_path}/{files[0]}\n    md5 {files[1]}  http" in message


def test_lsun_says_which_folders_are_expected(tmp_path: Path, monkeypatch: Patch) -> None:
    def missing(root: Path, classes: list[str]) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(root / classes[0]))

    monkeypatch.setattr(torchvision_sets, "find_spec", lambda name: name)
    monkeypatch.setattr(datasets, "LSUN", missing)
    message = refusal(tmp_path, "LSUN", subset=["tower"], download=True)
    assert "genlab does not download it" in message
    assert f"  {tmp_path}/\n    tower_train_lmdb/\n    tower_val_lmdb/\nfound" in message


def test_failures_of_other_packages_are_known_where_they_are_installed(monkeypatch: Patch) -> None:
    class RefusedError(Exception):
        """As of gdown."""

    packages = {"gdown.exceptions": SimpleNamespace(FileURLRetrievalError=RefusedError)}
    monkeypatch.setattr(torchvision_sets, "import_module", lambda name: packages.get(name, SimpleNamespace()))
    assert RefusedError in torchvision_sets.failures()
    packages.clear()
    assert RefusedError not in torchvision_sets.failures()
