"""The user's own pairs of pictures, and the user's own two domains without pairs."""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import torch
from PIL import Image
from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import PairedImages, UnpairedImages
from genlab.datasets.images import check_channels
from genlab.datasets.layout import files_digest
from genlab.datasets.loader import Source, mixed_seed
from genlab.datasets.pair_layouts import PairLayout, find_domains, find_pairs
from genlab.datasets.pairs import Paired, Unpaired
from genlab.datasets.pictures import (
    BadPictureError,
    PictureFiles,
    Pictures,
    PicturesInStream,
    bad_files,
    in_plain_words,
    read_all,
)
from genlab.errors import DataError, UsageError

LEFT_OUT = "are left out"

WIDE = 1.1
"""Pictures that are less than so many times as wide as high are hardly two side by side."""

ALIKE = 0.02
"""Of a pair, how much the proportions of one picture may differ from those of the other."""

TURNED = (5, 6, 7, 8)
"""Values of EXIF's orientation whose pictures lie on their side."""

Items = dict[str, list[int]]
"""By part, the numbers of its pictures."""


class Probed(Pictures, Protocol):
    def probe(self, item: int) -> None: ...


@dataclass(frozen=True)
class Halves:
    """The left or right halves of pictures that hold two side by side."""

    files: PictureFiles
    right: bool

    def name(self, item: int) -> str:
        return self.files.name(item)

    def open(self, item: int, size: int) -> Image.Image:
        """Reads one half; raises as ``PictureFiles.open`` does, and for a width that cannot be halved."""
        image = self.files.open(item, 2 * size)
        middle = image.width // 2
        return image.crop((middle, 0, 2 * middle, image.height) if self.right else (0, 0, middle, image.height))

    def probe(self, item: int) -> None:
        """Reads no more than a file's head."""
        self.files.probe(item)
        width, _ = size_of(self.files.folder / self.files.name(item))
        if width % 2 or width < 4:
            raise BadPictureError(f"is {width} pixels wide, which are no two pictures of one width side by side")


@dataclass(frozen=True)
class Partners:
    """Two files of a pair by their number, of which only the heads are read."""

    first: PictureFiles
    second: PictureFiles

    def name(self, item: int) -> str:
        return self.first.name(item)

    def probe(self, item: int) -> None:
        """Raises a BadPictureError if one cannot be used, or if they have different proportions."""
        other = self.second.name(item)
        self.first.probe(item)
        try:
            self.second.probe(item)
        except BadPictureError as error:
            raise BadPictureError(f"has the partner {other}, which {error}") from error
        (width, height), (width_2, height_2) = (
            size_of(files.folder / files.name(item)) for files in (self.first, self.second)
        )
        if abs(width * height_2 - width_2 * height) > ALIKE * width * height_2:
            raise BadPictureError(
                f"is {width}x{height} and its partner {other} {width_2}x{height_2}: of other proportions"
            )


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture that stands upright, by its head alone."""
    with in_plain_words(), Image.open(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(0x0112) in TURNED else (width, height)


class FolderOfTwo(Dataset):
    """What both kinds of folders share.

    Args:
        path: the folder; ``~`` is the home folder.
        data_shape: pictures of any size and proportions are scaled and cropped to it.
        num_validation, num_test: held out of what is trained on, where the folder has no part of its own for it.
        resize: pictures are scaled until they cover ``resize`` times the height and width, then cropped (at least 1).
        crop: ``random`` differs every epoch, for training pictures only.
        flip: mirrors half of the training pictures, others each epoch.
        direction: ``b_to_a`` makes B the source or first domain.
        on_bad: ``stop`` raises with the names of bad files: at the start what the head of a file shows, the rest when
            it is met. ``skip`` reads everything at the start and leaves bad files out, the same ones in every run.
    """

    def __init__(
        self,
        name: str,
        path: str | None,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        resize: Annotated[float, Field(ge=1, le=8)],
        crop: Literal["center", "random"],
        flip: bool,
        direction: Literal["a_to_b", "b_to_a"],
        on_bad: Literal["stop", "skip"],
        num_workers: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed, num_workers)
        if path is None:
            raise UsageError(f"the data set '{name}' needs a folder of images: dataset.path=FOLDER")
        check_channels(data_shape)
        self.folder = Path(path).expanduser()
        self.shape = data_shape
        self.num_test = num_test
        self.resize = resize
        self.random_crop = crop == "random"
        self.flip = flip
        self.order = (0, 1) if direction == "a_to_b" else (1, 0)
        self.on_bad = on_bad
        self.threads = max(2, num_workers)
        self.bad: list[str] = []
        self.used: list[str] = []

    def opened(self, find: Callable[[Path], PairLayout]) -> PairLayout:
        layout = find(self.folder)
        if layout.ignored:
            names = ", ".join(layout.ignored[:3]) + (" …" if len(layout.ignored) > 3 else "")
            warnings.warn(f"{self.folder}: not used: {len(layout.ignored)} ({names})", stacklevel=2)
        return layout

    def note(self, bad: list[str], total: int) -> None:
        """Raises a DataError that names bad pictures, or warns of them if they are left out."""
        self.bad = bad
        if bad and self.on_bad == "stop":
            raise DataError(f"{self.folder}: {bad_files(bad)}")
        if bad:
            warnings.warn(f"{self.folder}: {len(bad)} of {total} images {LEFT_OUT}", stacklevel=2)

    def split(self, items: Items, bad: dict[int, str]) -> Items:
        """Without bad pictures, and with what is to be held out of training.

        Raises:
            DataError: all of a part are bad.
        """
        kept = {part: [item for item in numbers if item not in bad] for part, numbers in items.items()}
        for part, numbers in kept.items():
            if not numbers:
                raise DataError(f"{self.folder}: none of the {len(items[part])} images of {part} can be used")
        train = kept.pop("train")
        num_validation = 0 if "validation" in kept else self.num_validation
        num_test = 0 if "test" in kept else self.num_test
        parts = zip(
            ("train", "validation", "test"), held_out(len(train), num_validation, num_test, self.name), strict=True
        )
        return {part: [train[place] for place in places.tolist()] for part, places in parts if len(places)} | kept

    def stream(self, pictures: Pictures, items: list[int], seed: int) -> PicturesInStream:
        labels = torch.zeros(len(items), dtype=torch.int64)
        return PicturesInStream(pictures, items, labels, self.shape, self.resize, self.random_crop, self.flip, seed)

    def unusable(self, pictures: Probed, count: int) -> dict[int, str]:
        """What is bad by its head or, if bad pictures are left out, by its whole, by number."""
        bad = read_all(count, pictures.probe, pictures.name, self.threads)
        if self.on_bad == "skip":
            good = [item for item in range(count) if item not in bad]
            whole = self.stream(pictures, good, 0).bad(threads=self.threads)
            bad |= {good[place]: why for place, why in whole.items()}
        return bad

    def check(self) -> list[str]:
        """Every file that cannot be used, then what else would keep the folder from being trained on."""
        self.on_bad = "skip"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*{LEFT_OUT}")
            try:
                self.load_once()
            except (DataError, UsageError) as error:
                return [*self.bad, str(error)]
        return self.bad

    def digest(self) -> str:
        """Covers the direction and of each file that is used its name, its length and both its ends, not its date."""
        return hashlib.sha256(f"{files_digest(self.folder, self.used)} {self.order}".encode()).hexdigest()


class PairedFolder(FolderOfTwo):
    """Pairs of pictures, side by side in one file or in two files of one name; both are cropped and mirrored alike.

    Args: as of ``FolderOfTwo``.
    """

    batch_type = PairedImages

    def load(self) -> dict[str, Source]:
        layout = self.opened(find_pairs)
        a, b = ([file for part in layout.parts.values() for file in part[side]] for side in (0, 1))
        first, second = PictureFiles(self.folder, a), PictureFiles(self.folder, b)
        domains: list[Probed] = [first, second]
        if layout.side_by_side:
            domains = [Halves(first, right=False), Halves(first, right=True)]
            bad = self.unusable(domains[0], len(a))
            self.doubt([self.folder / name for item, name in enumerate(a) if item not in bad])
        else:
            bad = read_all(len(a), Partners(first, second).probe, first.name, self.threads)
            if self.on_bad == "skip":
                for pictures in domains:
                    bad = self.unusable(pictures, len(a)) | bad
        self.note(list(bad.values()), len(a))
        items = self.split(numbered(layout, 0), bad)
        used = [item for numbers in items.values() for item in numbers]
        self.used = sorted({pictures.name(item) for pictures in domains for item in used})
        source, target = (domains[side] for side in self.order)
        return {
            part: Paired(self.stream(source, numbers, self.seed), self.stream(target, numbers, self.seed))
            for part, numbers in items.items()
        }

    def doubt(self, files: list[Path]) -> None:
        """Warns if the pictures are too narrow to be pairs, as single ones in a flat folder are."""
        sizes = [size_of(file) for file in files[:100]]
        narrow = [(width, height) for width, height in sizes if width < WIDE * height]
        if 2 * len(narrow) > len(sizes):
            width, height = narrow[0]
            warnings.warn(
                f"{self.folder}: pictures such as one of {width}x{height} are taken for two side by side, of "
                f"{width // 2}x{height} each; if they are single ones, put sources into A/ and targets into B/",
                stacklevel=2,
            )


class UnpairedFolder(FolderOfTwo):
    """Two domains, ``trainA`` and ``trainB`` with perhaps ``testA`` and ``testB``; nothing belongs together.

    Args: as of ``FolderOfTwo``; ``batch_size``, ``num_validation`` and ``num_test`` are of each domain.
    """

    batch_type = UnpairedImages

    def load(self) -> dict[str, Source]:
        layout = self.opened(find_domains)
        domains = [
            PictureFiles(self.folder, [file for part in layout.parts.values() for file in part[side]])
            for side in (0, 1)
        ]
        bad = [self.unusable(pictures, len(pictures.files)) for pictures in domains]
        self.note([line for one in bad for line in one.values()], sum(len(pictures.files) for pictures in domains))
        items = [self.split(numbered(layout, side), bad[side]) for side in (0, 1)]
        self.used = [domains[side].files[item] for side in (0, 1) for part in items[side].values() for item in part]
        first, second = self.order
        seed = mixed_seed(self.seed, "second domain")
        return {
            part: Unpaired(
                self.stream(domains[first], items[first][part], self.seed),
                self.stream(domains[second], items[second][part], seed),
                self.seed,
            )
            for part in items[0]
        }


def numbered(layout: PairLayout, side: int) -> Items:
    """Numbers of the files of A or of B, which go on from part to part."""
    items, start = dict[str, list[int]](), 0
    for part, files in layout.parts.items():
        items[part] = list(range(start, start + len(files[side])))
        start += len(files[side])
    return items
