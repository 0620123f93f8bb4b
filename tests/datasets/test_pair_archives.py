"""The known archives, of small pictures written here: fetched, unpacked, refused, and put there by hand."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genlab.datasets import pair_archives
from genlab.datasets.pair_archives import CycleGANArchive, Pix2PixArchive
from genlab.errors import DataError

ARGUMENTS: dict[str, Any] = {
    "data_shape": (3, 8, 8),
    "batch_size": 2,
    "num_validation": 0,
    "resize": 1.0,
    "crop": "center",
    "flip": False,
    "direction": "a_to_b",
    "num_workers": 0,
    "seed": 0,
}


def horses(path: Path, download: bool = True) -> CycleGANArchive:
    return CycleGANArchive("cyclegan_archive", "horse2zebra", str(path), download, **ARGUMENTS)


def facades(path: Path, download: bool = True, kind: Any = "facades") -> Pix2PixArchive:
    return Pix2PixArchive("pix2pix_archive", kind, str(path), download, **ARGUMENTS)


def png(width: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((10, width, 3), 77, np.uint8)).save(out, "PNG")
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            # A fixed date: by the clock, tests that are named by the bytes would have other names in each process.
            archive.writestr(zipfile.ZipInfo(name), png(10))
    return out.getvalue()


HORSES = zipped(
    *(f"horse2zebra/{part}/{number}.png" for part in ("trainA", "trainB", "testA", "testB") for number in "12")
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the authors' server."""
    folder = tmp_path / "server"
    for kind in ("cyclegan", "pix2pix"):
        (folder / kind / "datasets").mkdir(parents=True)
    monkeypatch.setattr(pair_archives, "HOST", folder.as_uri())
    return folder


def refusal(dataset: CycleGANArchive | Pix2PixArchive) -> str:
    with pytest.raises(DataError) as caught:
        dataset.setup()
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_an_archive_is_fetched_once_and_its_checksum_written_down(server: Path, tmp_path: Path) -> None:
    archive = server / "cyclegan" / "datasets" / "horse2zebra.zip"
    archive.write_bytes(HORSES)
    dataset = horses(tmp_path / "cache")
    dataset.setup()
    assert dataset.sizes() == {"train": 2, "test": 2}
    folder = tmp_path / "cache" / "cyclegan"
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        "horse2zebra",
        "horse2zebra.zip.sha256",
    ]
    sha256 = hashlib.sha256(HORSES).hexdigest()
    assert (folder / "horse2zebra.zip.sha256").read_text(encoding="ascii") == f"{sha256}  horse2zebra.zip\n"
    archive.unlink()
    horses(tmp_path / "cache").setup()


def test_a_tar_of_pairs_side_by_side(server: Path, tmp_path: Path) -> None:
    with tarfile.open(server / "pix2pix" / "datasets" / "facades.tar.gz", "w:gz") as archive:
        for name in ("train/1.png", "train/2.png", "val/1.png", "test/1.png"):
            member = tarfile.TarInfo(f"facades/{name}")
            member.size = len(png(20))
            archive.addfile(member, io.BytesIO(png(20)))
    dataset = facades(tmp_path / "cache")
    dataset.setup()
    assert dataset.sizes() == {"train": 2, "validation": 1, "test": 1}


def test_without_a_network_it_says_what_to_do_by_hand(server: Path, tmp_path: Path) -> None:
    message = refusal(horses(tmp_path / "cache"))
    place = tmp_path / "cache" / "cyclegan"
    url = f"{server.as_uri()}/cyclegan/datasets/horse2zebra.zip"
    assert message.splitlines()[0] == f"the data set 'cyclegan_archive, horse2zebra' is not in {place}/horse2zebra"
    assert "it could not be fetched and unpacked: " in message
    assert (
        f"download by hand, under exactly this name, and start again:\n  {place}/horse2zebra.zip\n    {url}\n"
        in message
    )
    assert "  ├── trainA/" in message
    assert [path.name for path in place.iterdir()] in ([], [".genlab.lock"])


def test_an_archive_that_was_put_there_by_hand_is_unpacked_and_kept(server: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache" / "cyclegan"
    place.mkdir(parents=True)
    (place / "horse2zebra.zip").write_bytes(HORSES)
    dataset = horses(tmp_path / "cache", download=False)
    dataset.setup()
    assert dataset.sizes() == {"train": 2, "test": 2}
    assert (place / "horse2zebra.zip").is_file()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><p>blocked", "horse2zebra.zip: is a web page of 25 bytes"),
        (HORSES[: len(HORSES) // 2], "File is not a zip file"),
        (zipped("zebra/trainA/1.png"), "does not hold what is expected"),
        (zipped("horse2zebra/trainA/1.png"), "horse2zebra has no trainB"),
    ],
)
def test_what_is_no_such_archive_is_refused_and_nothing_of_it_kept(
    data: bytes, what: str, server: Path, tmp_path: Path
) -> None:
    (server / "cyclegan" / "datasets" / "horse2zebra.zip").write_bytes(data)
    assert what in refusal(horses(tmp_path / "cache"))
    assert [path.name for path in (tmp_path / "cache" / "cyclegan").iterdir()] in ([], [".genlab.lock"])


def test_another_archive_than_the_first_time_is_refused(server: Path, tmp_path: Path) -> None:
    (server / "cyclegan" / "datasets" / "horse2zebra.zip").write_bytes(HORSES)
    written = tmp_path / "cache" / "cyclegan" / "horse2zebra.zip.sha256"
    written.parent.mkdir(parents=True)
    written.write_text(f"{'0' * 64}  horse2zebra.zip\n", encoding="ascii")
    message = refusal(horses(tmp_path / "cache"))
    assert (
        f"has the SHA-256 {hashlib.sha256(HORSES).hexdigest()} and had {'0' * 64} when it was first fetched" in message
    )
    assert not (tmp_path / "cache" / "cyclegan" / "horse2zebra").exists()


def test_download_false_fetches_nothing(server: Path, tmp_path: Path) -> None:
    (server / "cyclegan" / "datasets" / "horse2zebra.zip").write_bytes(HORSES)
    assert "let it be fetched by dataset.download=true, or" in refusal(horses(tmp_path / "cache", download=False))
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("server")
def test_what_only_its_owners_give_away_is_not_asked_for(tmp_path: Path) -> None:
    message = refusal(facades(tmp_path / "cache", kind="cityscapes"))
    assert "only its owners give it away, to those who register: https://www.cityscapes-dataset.com" in message
    assert "download by hand" not in message
    assert "  ├── train/" in message
