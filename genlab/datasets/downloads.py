"""Fetching the files of torchvision's data sets: all of a set or nothing of it."""

import hashlib
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

TIMEOUT = 30.0
"""Seconds that a server may be silent; torchvision itself would wait for ever."""


@dataclass(frozen=True)
class Archive:
    """A file to download: its path below the root folder, its MD5 and where it comes from, by torchvision's lists."""

    path: str
    md5: str
    url: str

    def is_complete(self, root: Path) -> bool:
        return (root / self.path).is_file() and md5(root / self.path) == self.md5


def archives(kind: Any, splits: Iterable[str]) -> list[Archive]:
    """What a class of torchvision downloads, read off the class; nothing for one that does not download.

    Args:
        splits: the parts that are needed, of a set with one file for each.
    """
    if hasattr(kind, "split_list"):  # SVHN
        return [Archive(file, md5, url) for url, file, md5 in (kind.split_list[split] for split in splits)]
    if hasattr(kind, "file_list"):  # CelebA
        drive = "https://drive.google.com/uc?id="
        return [Archive(f"{kind.base_folder}/{file}", md5, f"{drive}{key}") for key, md5, file in kind.file_list]
    if hasattr(kind, "tgz_md5"):  # CIFAR, STL-10
        return [Archive(kind.filename, kind.tgz_md5, kind.url)]
    raw = f"{kind.__name__}/raw"
    if hasattr(kind, "url"):  # EMNIST, one archive of them all
        return [Archive(f"{raw}/{kind.url.rpartition('/')[2]}", kind.md5, kind.url)]
    return [Archive(f"{raw}/{file}", md5, f"{kind.mirrors[0]}{file}") for file, md5 in getattr(kind, "resources", [])]


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Lets one process at a time fetch into a folder, which is made; the others wait."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".genlab.lock"):
        yield


@contextmanager
def workshop(root: Path, wanted: list[Archive]) -> Iterator[Path]:
    """A folder to download into, whose files move to ``root`` if nothing goes wrong and vanish otherwise.

    So an interrupted download leaves nothing that could be taken for data, and files of the user's are never removed.
    Complete archives that are in ``root`` already stand in the folder as links, and are not downloaded again.
    """
    folder = root / ".genlab.partial"
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        folder.mkdir()
        for archive in wanted:
            if archive.is_complete(root):
                (folder / archive.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / archive.path).symlink_to((root / archive.path).absolute())
        yield folder
        _move(folder, root)
    finally:
        socket.setdefaulttimeout(before)
        shutil.rmtree(folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Moves whole folders where it can, at one stroke: an interrupted move leaves no half-filled one."""
    for entry in source.iterdir():
        there = target / entry.name
        if entry.is_dir() and there.is_dir():
            _move(entry, there)
        elif not entry.is_symlink():
            entry.replace(there)


def wrong_archives(folder: Path, wanted: list[Archive]) -> list[str]:
    """A line for each archive in a folder that has another MD5: what it is instead."""
    lines = []
    for archive in wanted:
        path = folder / archive.path
        if path.is_file() and (found := md5(path)) != archive.md5:
            with path.open("rb") as file:
                is_page = file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html"))
            what = "a web page" if is_page else f"{path.stat().st_size:,} bytes"
            lines.append(f"{archive.path}: {what} of md5 {found}, expected md5 {archive.md5}")
    return lines


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
