"""The images that ``genlab apply`` is given, as files of any size or brought to the shape that a model takes."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genlab.datasets.images import centred
from genlab.datasets.layout import draw, image_suffixes, nearest_folder
from genlab.datasets.pictures import PictureFiles, PicturesInStream
from genlab.errors import DataError, UsageError

HALVES = ("lower", "upper", "left", "right")

STDIN = "stdin"


@dataclass(frozen=True)
class Inputs:
    """Image files.

    Args:
        names: below the folder, with ``/`` on every system, sorted.
        title: names them all in the folder of what is made of them.
    """

    folder: Path
    names: list[str]
    title: str

    @property
    def pictures(self) -> PictureFiles:
        return PictureFiles(self.folder, self.names)

    @property
    def stems(self) -> list[str]:
        """Names without their suffix, which stays where two would be the same; ``-`` for ``/``."""
        return stems_of([name.replace("/", "-") for name in self.names])


@contextmanager
def images_at(given: str | None) -> Iterator[Inputs]:
    """The image, the images of a folder without its sub-folders, those a pattern finds, or ``-``, standard input.

    Raises:
        DataError: there is nothing, or no image.
        UsageError: nothing is named.
    """
    if given is None:
        raise UsageError(
            "input must be given: input=FILE, input=FOLDER, input='FOLDER/*.jpg' in quotes, or input=- for standard "
            "input"
        )
    if given != "-":
        yield _found(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / STDIN).write_bytes(sys.stdin.buffer.read())
        yield Inputs(Path(folder), [STDIN], STDIN)


def _found(given: str) -> Inputs:
    path, suffixes = Path(given).expanduser(), image_suffixes()
    if path.is_file():
        return Inputs(path.parent, [path.name], path.stem)
    if path.is_dir():
        files = (file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        names = sorted(file.name for file in files if file.suffix.lower() in suffixes)
        if not names:
            raise DataError(
                f"input={given}: the folder has no image in it; sub-folders are not looked into\nfound\n{draw(path)}"
            )
        return Inputs(path, names, path.resolve().name)
    if not any(letter in given for letter in "*?["):
        raise DataError(f"input={given}: there is no such file or folder\n{nearest_folder(path)}")
    matched = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    shown = (file for file in matched if not any(part.startswith(".") and part != ".." for part in file.parts))
    found = [file for file in shown if file.is_file() and file.suffix.lower() in suffixes]
    if not found:
        raise DataError(f"input={given}: no image is called like that\n{nearest_folder(path)}")
    folder = Path(os.path.commonpath([file.parent for file in found]))
    return Inputs(folder, sorted(file.relative_to(folder).as_posix() for file in found), folder.resolve().name)


def read(given: Inputs, data_shape: tuple[int, ...]) -> tuple[Tensor, list[int], list[str]]:
    """Images ``(N, *data_shape)`` in [-1, 1], their places, and what is wrong with each of the others.

    Raises:
        DataError: none can be used.
    """
    everything = list(range(len(given.names)))
    labels, (channels, height, width) = torch.zeros(len(everything)), data_shape
    shape = (channels, height, width)
    stream = PicturesInStream(given.pictures, everything, labels, shape, 1.0, False, False, 0)
    images = torch.empty(len(everything), *shape, dtype=torch.uint8)
    bad = stream.bad(images)
    if len(bad) == len(everything):
        raise none_usable(list(bad.values()))
    good = [item for item in everything if item not in bad]
    return centred(images[good]), good, list(bad.values())


def none_usable(reasons: list[str]) -> DataError:
    return DataError("\n".join(["no image can be used:", *(f"  {reason}" for reason in reasons)]))


def some_unusable(reasons: list[str], count: int) -> DataError:
    """What is said at the end, when all others are done."""
    how_many = f"{len(reasons)} of {count} images"
    return DataError("\n".join([f"{how_many} cannot be used, the others are done:", *(f"  {bad}" for bad in reasons)]))


def missing_at(mask: str, folder: Path, names: list[str], data_shape: tuple[int, ...]) -> Tensor:
    """Where the images that are named lack something, ``(N, 1, H, W)`` bool.

    Raises:
        DataError: there is no such mask, or it hides nothing.
    """
    _, height, width = data_shape
    missing = torch.zeros(len(names), 1, height, width, dtype=torch.bool)
    if mask in HALVES:
        rows = {"upper": slice(height // 2), "lower": slice(height // 2, None)}.get(mask, slice(None))
        columns = {"left": slice(width // 2), "right": slice(width // 2, None)}.get(mask, slice(None))
        missing[:, :, rows, columns] = True
        return missing
    path = Path(mask).expanduser()
    if not path.exists():
        raise DataError(f"mask={mask}: there is no such file or folder; a half is {', '.join(HALVES[:-1])} or right")
    there, files = (path.parent, [path.name]) if path.is_file() else (path, names)
    absent = [name for name in files if not (there / name).is_file()]
    if absent:
        raise DataError(f"mask={mask}: of {len(names)} images of {folder}, {len(absent)} have no mask: {absent[0]} …")
    masks, _, bad = read(Inputs(there, files, ""), (1, height, width))
    if bad:
        raise DataError("\n".join([f"mask={mask}: {len(bad)} cannot be used", *(f"  {reason}" for reason in bad)]))
    missing |= masks > 0
    if not missing.flatten(1).any(1).all():
        raise DataError(
            f"mask={mask}: a mask is all black at {width}x{height} pixels; an image is filled where its mask is white"
        )
    return missing


def stems_of(files: list[str]) -> list[str]:
    """Names without their suffix, which stays where two would be the same."""
    stems = [Path(file).stem for file in files]
    return [file if stems.count(stem) > 1 else stem for file, stem in zip(files, stems, strict=True)]
