"""Downloading torchvision's data sets from a server on this computer, and every way in which that fails."""

import gzip
import io
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

import pytest
from torchvision import datasets
from torchvision_files import (
    COLOURS,
    IMAGES,
    LABELS,
    MNIST_FILES,
    Patch,
    cifar10,
    everything,
    md5,
    mnist_like,
    pairs,
    ready,
    refusal,
    write,
)

from genlab.datasets import downloads, torchvision_sets
from genlab.errors import DataError


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
        for path in (*server.iterdir(), *root.rglob("*.gz")):
            path.unlink()
        return real(root)

    monkeypatch.setattr(torchvision_sets, "one_at_a_time", after_another)
    assert ready(root, download=True).sizes()["train"] == 32


def test_a_root_that_cannot_be_a_folder(server: Path, tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    assert "it could not be fetched: [Errno" in refusal(tmp_path / "root", download=True)


def test_cifar10_comes_as_one_archive(web: tuple[Path, str], tmp_path: Path, monkeypatch: Patch) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.add(cifar10(tmp_path, monkeypatch) / "cifar-10-batches-py", "cifar-10-batches-py")
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
