"""Pictures at their own size, with all that belongs to them and no network sees: transparency, EXIF, colour profile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from genlab.datasets.pictures import BadPictureError, PictureFiles, in_plain_words, plain

OPAQUE = (".jpg", ".jpeg", ".bmp")
SUFFIXES = (*OPAQUE, ".png", ".webp", ".tif", ".tiff")
"""Of the files that are written: what keeps colours of any size; all but ``OPAQUE`` keep transparency."""

UNREDUCED = 2**20
"""Pixels of a side that no file has, so that it is read in its own size."""

ORIENTATION = 0x0112


@dataclass(frozen=True)
class Head:
    """What a file says before its pixels are read.

    Args:
        size: width and height as stored, not yet upright.
    """

    size: tuple[int, int]
    has_alpha: bool


@dataclass(frozen=True)
class Photograph:
    """A picture, upright.

    Args:
        pixels: ``(C, H, W)`` uint8; where the picture is transparent, on white.
        alpha: ``(H, W)`` uint8, 0 where it is transparent; None if it is nowhere.
        exif: without the orientation; of TIFF it is not kept.
        profile: an ICC profile of its colours; None if they were converted.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    exif: bytes = b""
    profile: bytes | None = None


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def probe(pictures: PictureFiles, item: int) -> Head:
    """The head of one file.

    Raises:
        BadPictureError: it is damaged, no image, too large or too small.
    """
    pictures.probe(item)
    with in_plain_words(), Image.open(pictures.folder / pictures.files[item]) as image:
        return Head(image.size, has_alpha(image))


def read_photograph(pictures: PictureFiles, item: int, channels: int) -> Photograph:
    """One file at its own size, grey or RGB by ``channels``.

    Raises:
        BadPictureError: it cannot be used.
    """
    image = pictures.open(item, UNREDUCED)
    with in_plain_words():
        alpha = np.asarray(image.convert("RGBA").getchannel("A")) if has_alpha(image) else None
        exif = image.getexif()
        exif.pop(ORIENTATION, None)
        profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") and channels == 3 else None
        pixels = np.asarray(plain(image, channels))
        pixels = pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Photograph(pixels, alpha, exif.tobytes() if len(exif) else b"", profile)


def reworked(original: Photograph, pixels: np.ndarray) -> Photograph:
    """Other pixels ``(C, H, W)`` uint8 with all the rest of a picture; transparency is brought to their size."""
    alpha = original.alpha
    if alpha is not None and alpha.shape != pixels.shape[1:]:
        height, width = pixels.shape[1:]
        alpha = np.asarray(Image.fromarray(alpha).resize((width, height), Image.Resampling.BICUBIC))
    return Photograph(pixels, alpha, original.exif, original.profile if len(pixels) == 3 else None)


def quantized(images: Tensor) -> np.ndarray:
    """``(…, C, H, W)`` in [-1, 1], or beyond, which is cut off -> uint8."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


def written_suffix(name: str, head: Head) -> str:
    """That of a file's name where it can be kept, else ``.png``."""
    suffix = Path(name).suffix
    is_kept = suffix.lower() in SUFFIXES and not (head.has_alpha and suffix.lower() in OPAQUE)
    return suffix if is_kept else ".png"


def picture(photograph: Photograph, on_white: bool = False) -> Image.Image:
    """As Pillow has it; ``on_white`` is how transparency looks on paper."""
    pixels = photograph.pixels
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if photograph.alpha is not None:
        image.putalpha(Image.fromarray(photograph.alpha))
    return plain(image, 3) if on_white else image


def encode(photograph: Photograph, file: Path | BinaryIO, suffix: str) -> None:
    """Writes into a file, or to an open one.

    Raises:
        BadPictureError: the format cannot hold it.
    """
    settings: dict[str, Any] = {"quality": 95, "subsampling": 0} if suffix.lower() in (".jpg", ".jpeg") else {}
    settings |= {"quality": 95} if suffix.lower() == ".webp" else {}
    settings |= {"exif": photograph.exif} if photograph.exif else {}
    settings |= {"icc_profile": photograph.profile} if photograph.profile else {}
    try:
        picture(photograph).save(file, Image.registered_extensions()[suffix.lower()], **settings)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk, not the picture
        raise BadPictureError(f"cannot be written as {suffix} ({error})") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes ``path`` if all goes well and else is removed: no half of a file stays."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
