"""The archives that the authors of CycleGAN and of pix2pix trained on, downloaded when they are first used.

Their authors have published no checksums. So the SHA-256 of an archive is written beside its folder when it is first
fetched, what is fetched again has to have the same, and the folder has to hold the tree that is expected.
"""

import errno
import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Literal
from urllib.request import urlopen

from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.datasets.batches import PairedImages, UnpairedImages
from genlab.datasets.downloads import one_at_a_time, workshop
from genlab.datasets.layout import draw
from genlab.datasets.loader import Source
from genlab.datasets.pair_folders import PairedFolder, UnpairedFolder
from genlab.datasets.pair_layouts import PairLayout, find_domains, find_pairs
from genlab.errors import DataError

HOST = "http://efrosgans.eecs.berkeley.edu"

NOT_GIVEN_AWAY = {"cityscapes": "https://www.cityscapes-dataset.com"}
"""What only its owners give away, to those who register, and where."""

TREE_OF_DOMAINS = """\
    ├── trainA/  pictures of the first domain
    ├── trainB/  pictures of the second
    ├── testA/
    └── testB/"""

TREE_OF_PAIRS = """\
    ├── train/  files that hold two pictures side by side
    ├── val/    may be missing
    └── test/   may be missing"""

FAILURES = (OSError, HTTPException, zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError)
"""What is raised when an archive is not to be had or cannot be unpacked."""


@dataclass(frozen=True)
class PairArchive:
    """An archive of pictures.

    Attributes:
        name: of the data set, for messages.
        root: where its folder will lie.
        kind: the name of the folder, which is the one in the archive, and of the archive.
        suffix: of the archive.
        url: of the folder that the archive lies in.
        tree: what the folder has to hold, for messages.
        find: raises a DataError if it does not.
    """

    name: str
    root: Path
    kind: str
    suffix: str
    url: str
    tree: str
    find: Callable[[Path], PairLayout]

    @property
    def file(self) -> str:
        return f"{self.kind}{self.suffix}"

    def provide(self, download: bool) -> None:
        """Sees that the folder is there: it is, or an archive put there by hand is unpacked, or it is fetched.

        Raises:
            DataError: nothing of that succeeds; says what to do by hand. Nothing half-done is left.
        """
        by_hand = self.root / self.file
        if (self.root / self.kind).exists():
            return
        if not by_hand.is_file() and (not download or self.kind in NOT_GIVEN_AWAY):
            raise self._absent([], download)
        arrived: list[str] = []
        try:
            with one_at_a_time(self.root):
                if (self.root / self.kind).exists():
                    return  # another process has fetched it while this one waited
                with workshop(self.root, []) as folder:
                    archive = by_hand
                    if not by_hand.is_file():
                        archive = folder / self.file
                        fetch(f"{self.url}/{self.file}", archive)
                    arrived = self._unlike(archive)
                    self._unpack(archive, folder)
                    if archive != by_hand:
                        archive.unlink()
        except FAILURES as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise self._absent([f"it could not be fetched and unpacked: {reason}", *arrived], download) from error

    def _unlike(self, archive: Path) -> list[str]:
        """A line if an archive is a web page, which a proxy may send instead."""
        with archive.open("rb") as file:
            is_page = file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html"))
        return [f"{archive.name}: is a web page of {archive.stat().st_size:,} bytes"] if is_page else []

    def _unpack(self, archive: Path, folder: Path) -> None:
        """Unpacks into a folder, if the archive is what it was, and writes down what it is.

        Raises:
            ValueError: it is not, or holds another tree.
        """
        with archive.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        written = self.root / f"{self.file}.sha256"
        if written.is_file() and (before := written.read_text(encoding="ascii").split()[0]) != sha256:
            raise ValueError(
                f"{self.file} has the SHA-256 {sha256} and had {before} when it was first fetched; "
                f"remove {written} to take it"
            )
        if self.suffix == ".zip":
            with zipfile.ZipFile(archive) as pictures:
                pictures.extractall(folder)
        else:
            with tarfile.open(archive) as files:
                files.extractall(folder, filter="data")
        try:
            self.find(folder / self.kind)
        except DataError as error:
            found = str(error).splitlines()[0]
            raise ValueError(f"{self.file} does not hold what is expected: {found}") from error
        (folder / written.name).write_text(f"{sha256}  {self.file}\n", encoding="ascii")

    def _absent(self, tried: list[str], download: bool) -> DataError:
        """What is missing, what was tried, and how to get it by hand."""
        lines = [f"the data set '{self.name}' is not in {self.root / self.kind}", *tried]
        if owner := NOT_GIVEN_AWAY.get(self.kind):
            lines.append(f"only its owners give it away, to those who register: {owner}")
        else:
            if not download:
                lines.append("let it be fetched by dataset.download=true, or")
            lines.append("download by hand, under exactly this name, and start again:")
            lines.append(f"  {self.root / self.file}\n    {self.url}/{self.file}")
            lines.append("its authors have published no checksum; the SHA-256 is written beside it once it is unpacked")
        lines += ["or lay the pictures out yourself, expected", f"  {self.root / self.kind}/", self.tree]
        if self.root.is_dir():
            lines += ["found", draw(self.root)]
        return DataError("\n".join([*lines, "another folder: dataset.path=FOLDER"]))


def fetch(url: str, path: Path) -> None:
    """Downloads a file.

    Raises:
        OSError, HTTPException: it is not to be had, or ends early.
    """
    with urlopen(url) as response, path.open("wb") as file:
        shutil.copyfileobj(response, file)
        length = response.headers.get("Content-Length")
    if length is not None and int(length) != path.stat().st_size:
        raise OSError(f"{url} ended after {path.stat().st_size:,} of {int(length):,} bytes")


class CycleGANArchive(UnpairedFolder):
    """Two domains without pairs, by the name that CycleGAN's authors gave them.

    Args:
        kind: which.
        path: the folder below which its own is, ``cyclegan/KIND``; ``~`` is the home folder.
        download: whether it may be fetched.
        num_validation: pictures of each domain; the archive has a test.
        data_shape, resize, crop, flip, direction: as of ``FolderOfTwo``.
    """

    batch_type = UnpairedImages

    def __init__(
        self,
        name: str,
        kind: Literal[
            "apple2orange",
            "cezanne2photo",
            "cityscapes",
            "facades",
            "horse2zebra",
            "iphone2dslr_flower",
            "maps",
            "monet2photo",
            "summer2winter_yosemite",
            "ukiyoe2photo",
            "vangogh2photo",
        ],
        path: str,
        download: bool,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        resize: Annotated[float, Field(ge=1, le=8)],
        crop: Literal["center", "random"],
        flip: bool,
        direction: Literal["a_to_b", "b_to_a"],
        num_workers: NonNegativeInt,
        seed: int,
    ) -> None:
        root = Path(path).expanduser() / "cyclegan"
        super().__init__(
            name=name,
            path=str(root / kind),
            data_shape=data_shape,
            batch_size=batch_size,
            num_validation=num_validation,
            num_test=0,
            resize=resize,
            crop=crop,
            flip=flip,
            direction=direction,
            on_bad="stop",
            num_workers=num_workers,
            seed=seed,
        )
        self.archive = PairArchive(
            f"{name}, {kind}", root, kind, ".zip", f"{HOST}/cyclegan/datasets", TREE_OF_DOMAINS, find_domains
        )
        self.download = download

    def load(self) -> dict[str, Source]:
        self.archive.provide(self.download)
        return super().load()


class Pix2PixArchive(PairedFolder):
    """Pairs side by side, by the name that pix2pix's authors gave them.

    Args:
        kind: which.
        path: the folder below which its own is, ``pix2pix/KIND``; ``~`` is the home folder.
        download: whether it may be fetched.
        num_validation: pairs of training; where the archive has a val, that is taken instead.
        data_shape, resize, crop, flip, direction: as of ``FolderOfTwo``.
    """

    batch_type = PairedImages

    def __init__(
        self,
        name: str,
        kind: Literal["cityscapes", "edges2handbags", "edges2shoes", "facades", "maps", "night2day"],
        path: str,
        download: bool,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        resize: Annotated[float, Field(ge=1, le=8)],
        crop: Literal["center", "random"],
        flip: bool,
        direction: Literal["a_to_b", "b_to_a"],
        num_workers: NonNegativeInt,
        seed: int,
    ) -> None:
        root = Path(path).expanduser() / "pix2pix"
        super().__init__(
            name=name,
            path=str(root / kind),
            data_shape=data_shape,
            batch_size=batch_size,
            num_validation=num_validation,
            num_test=0,
            resize=resize,
            crop=crop,
            flip=flip,
            direction=direction,
            on_bad="stop",
            num_workers=num_workers,
            seed=seed,
        )
        self.archive = PairArchive(
            f"{name}, {kind}", root, kind, ".tar.gz", f"{HOST}/pix2pix/datasets", TREE_OF_PAIRS, find_pairs
        )
        self.download = download

    def load(self) -> dict[str, Source]:
        self.archive.provide(self.download)
        return super().load()
