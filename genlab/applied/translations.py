"""Image files of any size through a model that translates or blends, and the files that come out."""

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from genlab.applied.inputs import Inputs, none_usable
from genlab.applied.photographs import Head, Photograph, encode, probe, quantized, read_photograph, reworked, whole
from genlab.applied.results import Applied, make, places_of
from genlab.applied.sheets import Pairs, Sheet
from genlab.applied.tiling import in_bands, tile_count
from genlab.datasets.images import centred
from genlab.datasets.layout import nearest_folder
from genlab.datasets.pictures import BadPictureError, PictureFiles, read_all
from genlab.errors import DataError
from genlab.models.capabilities import FillsHoles

THREADS = 2
"""That read and write files while the network computes."""

LEAST_SIDE = 16
"""Pixels that a network is given at least, as some cannot do with less."""

UNTILED = 512
"""Side of a square that a batch has no more pixels than, where images are not cut into tiles."""


@dataclass(frozen=True)
class Translation:
    """A model in evaluation mode, and how it is used.

    Args:
        model: has the capability ``Translates``.
        channels: of its inputs, 1 or 3.
        tile: side in pixels of what it is given at a time; None gives it all images whole.
        batch_size: images at a time, fewer if they have more pixels than a tile.
        precision: of the network.
    """

    model: Any
    channels: int
    direction: str
    tile: int | None
    batch_size: int
    precision: Literal["32-true", "bf16-mixed"]

    def batches(self, heads: dict[int, Head]) -> list[list[int]]:
        """Images of one size together."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for item, head in heads.items():
            by_size.setdefault(head.size, []).append(item)
        found = []
        for (width, height), items in by_size.items():
            fitting = (self.tile or UNTILED) ** 2 // (self.grown(width) * self.grown(height))
            size = max(1, min(self.batch_size, fitting))
            found += [items[first : first + size] for first in range(0, len(items), size)]
        return found

    def grown(self, side: int) -> int:
        """The side that an image gets, a multiple of the model's stride."""
        stride = self.model.stride
        return -(-max(side, LEAST_SIDE, 2 * stride) // stride) * stride  # two pixels at least, which can be reflected

    def tiles(self, size: tuple[int, int]) -> int:
        """That an image of this size is cut into; one if there is a hole in it, which all around it has to fill."""
        if self.tile is None or isinstance(self.model, FillsHoles):
            return 1
        width, height = map(self.grown, size)
        return tile_count(height, width, self.tile, self.model.stride)

    def __call__(self, pixels: np.ndarray, count: Callable[[int], None] | None = None) -> np.ndarray:
        """Borders are reflected up to a multiple of the stride, and cut off again.

        Shapes: ``(N, C, H, W)`` uint8 -> ``(N, C', scale * H, scale * W)`` uint8.

        Args:
            count: is told of the tiles that are done.
        """

        def translate(part: Tensor) -> Tensor:
            made = self.translate(part)
            if count:
                count(len(part))
            return made

        height, width = pixels.shape[2:]
        added = [self.grown(side) - side for side in (height, width)]
        padding = [(0, 0), (0, 0), *((extra // 2, extra - extra // 2) for extra in added)]
        images = torch.from_numpy(np.pad(pixels, padding, mode="reflect"))
        if self.tiles((width, height)) == 1:
            made = quantized(translate(images))
        else:
            assert self.tile is not None
            rows = []
            for image in images:
                bands = in_bands(translate, image, self.tile, self.model.stride, self.model.scale)
                rows.append(np.concatenate([quantized(band) for band in bands], axis=1))
            made = np.stack(rows)
        top, left = (self.model.scale * (extra // 2) for extra in added)
        return made[:, :, top : top + self.model.scale * height, left : left + self.model.scale * width]

    def translate(self, images: Tensor) -> Tensor:
        """uint8 -> float in [-1, 1]."""
        given = centred(images.to(self.model.device))
        with torch.autocast(given.device.type, torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            return self.model.translate(given, self.direction)


def heads_of(pictures: PictureFiles) -> tuple[dict[int, Head], dict[int, str]]:
    """What the files say of themselves, by item, and what is wrong with the others."""
    heads: dict[int, Head] = {}
    items = range(len(pictures.files))

    def read(item: int) -> None:
        heads[item] = probe(pictures, item)

    bad = read_all(len(items), read, pictures.name, THREADS)
    return {item: heads[item] for item in items if item in heads}, bad


def translate_files(
    translation: Translation,
    pictures: PictureFiles,
    heads: dict[int, Head],
    files: dict[int, Path | None],
    pairs: Pairs,
) -> tuple[dict[int, tuple[int, int]], dict[int, str]]:
    """Writes each result as soon as it is there; gives their widths and heights, and what is wrong with the others.

    While the network computes, the next batch is read and the last one is written.

    Args:
        files: of the results; None is standard output.
        pairs: get what was translated, for the sheet.
    """
    sizes: dict[int, tuple[int, int]] = {}
    bad: dict[int, str] = {}
    writing: deque[list[tuple[int, Future[tuple[int, int]]]]] = deque()

    def write(item: int, original: Photograph, pixels: np.ndarray) -> tuple[int, int]:
        result = reworked(original, pixels)
        save(result, files[item])
        pairs.add(item, pictures.name(item), original, result)
        return pixels.shape[2], pixels.shape[1]

    def finish(batch: list[tuple[int, Future[Any]]], into: dict[int, Any]) -> None:
        for item, future in batch:
            try:
                into[item] = future.result()
            except BadPictureError as error:
                bad[item] = f"{pictures.name(item)} {error}"

    batches = translation.batches(heads)
    total = sum(translation.tiles(head.size) for head in heads.values())
    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, of oddities that do not spoil an image
        Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        count = partial(bar.advance, bar.add_task("translations", total=total))
        for reading in ahead(pool, lambda item: read_photograph(pictures, item, translation.channels), batches):
            originals: dict[int, Photograph] = {}
            finish(reading, originals)
            for items in alike(originals):
                made = translation(np.stack([originals[item].pixels for item in items]), count)
                some = zip(items, made, strict=True)
                writing.append([(item, pool.submit(write, item, originals[item], one)) for item, one in some])
            while len(writing) > 1:
                finish(writing.popleft(), sizes)
        for written in writing:
            finish(written, sizes)
    return dict(sorted(sizes.items())), bad


def ahead(
    pool: ThreadPoolExecutor, read: Callable[[int], Photograph], batches: Iterable[list[int]]
) -> Iterator[list[tuple[int, Future[Photograph]]]]:
    """Each batch when the next one is already in work."""
    waiting: deque[list[tuple[int, Future[Photograph]]]] = deque()
    for batch in batches:
        waiting.append([(item, pool.submit(read, item)) for item in batch])
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


def alike(originals: dict[int, Photograph]) -> list[list[int]]:
    """Items of one size: of files that are stored alike, some may have been turned upright."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for item, original in originals.items():
        by_shape.setdefault(original.pixels.shape, []).append(item)
    return list(by_shape.values())


def save(photograph: Photograph, file: Path | None) -> None:
    """Writes to a file whose folder need not exist, or as PNG to standard output."""
    if file is None:
        encode(photograph, sys.stdout.buffer, ".png")
        return
    make(file.parent)
    with whole(file) as unfinished:
        encode(photograph, unfinished, file.suffix)


def translate(translation: Translation, given: Inputs, output: str | None, usual: Path, sheet: Sheet | None) -> Applied:
    """Translates files into files.

    Raises:
        UsageError, RunError: of ``places_of``.
        DataError: no image can be used.
    """
    heads, bad = heads_of(given.pictures)
    if not heads:
        raise none_usable(list(bad.values()))
    places = places_of(output, usual, given, heads, "translations", translation.direction, sheet)
    places.list_files("translations", given)
    pairs = Pairs()
    sizes, later = translate_files(translation, given.pictures, heads, places.files, pairs)
    bad |= later
    if not sizes:
        raise none_usable(list(bad.values()))
    if later:
        places = replace(places, files={item: places.files[item] for item in sizes})
        places.list_files("translations", given)
    written = [name for item in sizes if (name := places.name(item))]
    if places.sheet:
        pairs.write(places.sheet, f"{type(translation.model).__name__}, {translation.direction}, {given.title}")
        written.append(places.sheet.name)
    rows = [
        {"file": given.names[item], "output": places.name(item), "width": width, "height": height}
        for item, (width, height) in sizes.items()
    ]
    return Applied(places.folder, written, rows, [bad[item] for item in sorted(bad)])


def blend(
    model: Any, channels: int, source: str, destination: str, mask: str, output: str | None, usual: Path
) -> Applied:
    """Writes the destination with that part of the source in it where the mask is white.

    Raises:
        DataError: an image is not there or cannot be used, or they are not all of one size.
        UsageError, RunError: of ``places_of``.
    """
    named = {"source": (source, channels), "destination": (destination, channels), "mask": (mask, 1)}
    read = {key: one_photograph(key, *of_key) for key, of_key in named.items()}
    sizes = {key: f"{one.pixels.shape[2]}x{one.pixels.shape[1]}" for key, one in read.items()}
    if len(set(sizes.values())) > 1:
        about = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise DataError(f"source, destination and mask lie on each other and must be of one size: {about}")
    chosen = read["mask"].pixels > 127
    if not chosen.any():
        raise DataError(f"mask={mask}: it is all black, and the source is taken where it is white")
    path = Path(destination).expanduser()
    given = Inputs(path.parent, [path.name], path.stem)
    heads = {0: probe(given.pictures, 0)}
    places = places_of(output, usual, given, heads, "blends", "blend", None)
    places.list_files("blends", given)
    images = [centred(torch.from_numpy(read[key].pixels)[None].to(model.device)) for key in ("source", "destination")]
    made = quantized(model.blend(*images, torch.from_numpy(chosen)[None].to(model.device)))[0]
    try:
        save(reworked(read["destination"], made), places.files[0])
    except BadPictureError as error:
        raise DataError(f"destination={destination} {error}") from error
    name, (height, width) = places.name(0), made.shape[1:]
    row = {"file": given.names[0], "output": name, "width": width, "height": height}
    return Applied(places.folder, [name] if name else [], [row], [])


def one_photograph(key: str, given: str, channels: int) -> Photograph:
    """The image of one option.

    Raises:
        DataError: it is not there or cannot be used.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        raise DataError(f"{key}={given}: there is no such file\n{nearest_folder(path)}")
    try:
        return read_photograph(PictureFiles(path.parent, [path.name]), 0, channels)
    except BadPictureError as error:
        raise DataError(f"{key}={given} {error}") from error
