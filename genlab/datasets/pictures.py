"""From an image file of any kind to a uint8 array of one shape."""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen, augmentation
from genlab.errors import DataError

BROKEN = (
    OSError,  # truncated, unidentified, unreadable
    SyntaxError,  # Pillow's word for a damaged PNG
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""


class BadPictureError(Exception):
    """An image that cannot be used; the message says why."""


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turns what Pillow raises into a BadPictureError that says what is wrong."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise BadPictureError(f"is too large ({error})") from error
    except Image.UnidentifiedImageError as error:
        raise BadPictureError("is no image that Pillow can read") from error
    except BROKEN as error:
        if isinstance(error, OSError) and error.strerror:
            raise BadPictureError(f"cannot be read ({error.strerror})") from error
        raise BadPictureError(f"is damaged ({error or type(error).__name__})") from error


class Pictures(Protocol):
    """Image files or records by number; no detail finer than a side of ``size`` pixels shows is needed."""

    def name(self, item: int) -> str: ...

    def open(self, item: int, size: int) -> Image.Image: ...


@dataclass(frozen=True)
class PictureFiles:
    """Pictures that are files."""

    folder: Path
    files: list[str]

    def name(self, item: int) -> str:
        return self.files[item]

    def open(self, item: int, size: int) -> Image.Image:
        """Reads one file, upright.

        Raises:
            BadPictureError: it is damaged, no image, larger than 179 million pixels, or smaller than 2x2.
        """
        with self._opened(item) as image:
            image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a fraction of its size and time
            image.load()
            return ImageOps.exif_transpose(image)

    def probe(self, item: int) -> None:
        """Reads no more than a file's head; raises as ``open`` does."""
        with self._opened(item):
            pass

    @contextmanager
    def _opened(self, item: int) -> Iterator[Image.Image]:
        path = self.folder / self.files[item]
        with in_plain_words():
            if path.stat().st_size == 0:
                raise BadPictureError("is empty (0 bytes)")
            with Image.open(path) as image:
                width, height = image.size
                if min(width, height) < 2:
                    raise BadPictureError(f"is too small ({width}x{height})")
                yield image


def plain(image: Image.Image, channels: int) -> Image.Image:
    """As 8-bit grey or RGB: 16 bits are scaled, transparency is laid on white, CMYK and palettes are converted.

    Raises:
        BadPictureError: floating-point values, whose range nobody knows, or a colour mode without a conversion.
    """
    if image.mode == "F":
        raise BadPictureError("has floating-point values of unknown range")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise BadPictureError(f"has values from {values.min()} to {values.max()}, expected 8 or 16 bits")
        is_deep = image.mode.startswith("I;16") or values.max() > 255
        image = Image.fromarray((values / (257 if is_deep else 1)).round().astype(np.uint8))
    try:
        if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        if image.mode == "LAB":
            image = image.convert("RGB")  # Pillow has no way from there to grey
        return image.convert("L" if channels == 1 else "RGB")
    except ValueError as error:
        raise BadPictureError(f"is in colour mode {image.mode}, which Pillow does not convert") from error


def cut(
    image: Image.Image, cover: tuple[int, int], crop: tuple[int, int], down: float = 0.5, right: float = 0.5
) -> Image.Image:
    """Scales an image, sides in proportion, until it just covers an area, and cuts a piece out of it.

    Only the piece is computed, so that the cost does not depend on how long an image is.

    Args:
        cover: ``(height, width)`` of the area.
        crop: ``(height, width)`` of the piece, at most those of the area.
        down, right: where it lies, from 0 to less than 1: at the top and left, or at the bottom and right.
    """
    scale = max(cover[0] / image.height, cover[1] / image.width)
    height, width = max(cover[0], round(image.height * scale)), max(cover[1], round(image.width * scale))
    top, left = int(down * (height - crop[0] + 1)), int(right * (width - crop[1] + 1))
    rows, columns = image.height / height, image.width / width
    bottom, end = min((top + crop[0]) * rows, image.height), min((left + crop[1]) * columns, image.width)
    box = (left * columns, top * rows, end, bottom)
    return image.resize((crop[1], crop[0]), Image.Resampling.BICUBIC, box, reducing_gap=3.0)


class PicturesInStream:
    """A source of labelled images that are read when they are needed.

    Args:
        items: numbers of the pictures that belong to this split.
        labels: ``(len(items),)`` int64.
        data_shape: ``(C, H, W)`` of a batch's images.
        resize: factor by which the covering size is larger than the crop (1: only the longer side is cropped).
        random_crop, flip: of training images; others are cropped at the centre.
        seed: of crops and flips.
    """

    def __init__(
        self,
        pictures: Pictures,
        items: list[int],
        labels: Tensor,
        data_shape: tuple[int, int, int],
        resize: float,
        random_crop: bool,
        flip: bool,
        seed: int,
    ) -> None:
        self.pictures = pictures
        self.items = items
        self.labels = labels
        self.data_shape = data_shape
        self.resize = resize
        self.random_crop = random_crop
        self.flip = flip
        self.seed = seed
        self._chance = (-1, torch.zeros(0))

    def __len__(self) -> int:
        return len(self.items)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        """Reads a batch.

        Raises:
            DataError: names every file of the batch that cannot be read.
        """
        arrays, bad = [], []
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of oddities that do not spoil an image
            for place in chosen.items.tolist():
                try:
                    arrays.append(self.array(place, chosen.epoch))
                except BadPictureError as error:
                    bad.append(f"{self.pictures.name(self.items[place])} {error}")
        if bad:
            raise DataError(bad_files(bad))
        images = torch.from_numpy(np.stack(arrays)).float().mul_(2 / 255).sub_(1)
        return LabelledImages(images, self.labels.index_select(0, chosen.items))

    def array(self, place: int, epoch: int) -> np.ndarray:
        """One image, ``data_shape`` uint8.

        Raises:
            BadPictureError: it cannot be used.
        """
        channels, height, width = self.data_shape
        cover = (round(height * self.resize), round(width * self.resize))
        image = plain(self.pictures.open(self.items[place], max(cover)), channels)
        down, right, mirror = self._chances(epoch)[place].tolist() if epoch >= 0 else (0.5, 0.5, 1.0)
        piece = cut(image, cover, (height, width), *((down, right) if self.random_crop else ()))
        array = np.asarray(piece)
        if self.flip and mirror < 0.5:
            array = array[:, ::-1]
        return np.ascontiguousarray(array[None] if channels == 1 else array.transpose(2, 0, 1))

    def bad(self, into: Tensor | None = None, threads: int = 2) -> dict[int, str]:
        """Reads every picture; what cannot be used, by place.

        Args:
            into: ``(len(self), *data_shape)`` uint8, where the images are put.
        """

        def read(place: int) -> None:
            array = self.array(place, -1)
            if into is not None:
                into[place] = torch.from_numpy(array)

        return read_all(len(self), read, lambda place: self.pictures.name(self.items[place]), threads)

    def _chances(self, epoch: int) -> Tensor:
        if self._chance[0] != epoch:
            self._chance = (epoch, augmentation(self.seed, epoch, len(self)))
        return self._chance[1]


def read_all(count: int, read: Callable[[int], object], name: Callable[[int], str], threads: int) -> dict[int, str]:
    """Calls ``read`` for each item in threads, which Pillow's decoders do not hold up; what was bad, by item."""

    def attempt(item: int) -> str | None:
        try:
            read(item)
        except BadPictureError as error:
            return f"{name(item)} {error}"
        return None

    # The filter is global, so it is set around the threads and not in each.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(max(1, threads)) as pool:
        return {item: bad for item, bad in enumerate(pool.map(attempt, range(count))) if bad}


def bad_files(bad: list[str]) -> str:
    """The message of the first ten bad files."""
    more = [f"  … and {len(bad) - 10} more"] if len(bad) > 10 else []
    return "\n".join(
        [
            f"{len(bad)} image{'s' if len(bad) > 1 else ''} cannot be used:",
            *(f"  {line}" for line in bad[:10]),
            *more,
            "list all of them by 'genlab datasets check' and the same words of dataset; mend or remove them, or leave "
            "them out: dataset.on_bad=skip",
        ]
    )
