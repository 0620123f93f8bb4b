"""Draws street_digits.zip: 8,192 + 1,024 digits as on house numbers, 32x32 RGB, in free fonts over photographs.

Needs an installed genlab, matplotlib 3.11.2, whose DejaVu and STIX fonts it uses, and twelve of Debian's packages of
fonts in one folder; a minute:

    apt-get download fonts-b612 fonts-bebas-neue fonts-cabin fonts-cantarell fonts-comfortaa fonts-courier-prime \\
        fonts-dosis fonts-inconsolata fonts-league-spartan fonts-open-sans fonts-quicksand fonts-yanone-kaffeesatz
    python scripts/assets/street_digits.py .

A digit stands in the middle, often with others at its sides that are cut off; colours, sizes, slants, blur and noise
are random. Behind it is a blurred crop of a photograph of photos.zip that is CC0 or in the public domain. The test has
five families of fonts and six photographs that training has not. The archive holds train_0.webp to train_7.webp and
test_0.webp, 32 rows of 32 digits each, and index.json with the "labels" of both splits, row by row, and the "fonts".
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from archive import ASSETS, members, options
from numpy.random import Generator
from numpy.typing import NDArray
from pack import finish
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE, ROWS = 32, 32
SCALE = 3  # digits are drawn this many times larger and averaged
COUNTS = {"train": 8 * ROWS * ROWS, "test": ROWS * ROWS}
MATPLOTLIB = ["DejaVuSans*.ttf", "DejaVuSerif*.ttf", "STIXGeneral*.ttf"]
FAMILIES = {
    "train": ["b612", "cabin", "comfortaa", "dosis", "open-sans", "quicksand", "yanone-kaffeesatz"],
    "test": ["bebas-neue", "cantarell", "courier-prime", "inconsolata", "league-spartan"],
}
TOO_THIN = ("Thin", "ExtraLight", "Display")
LEAST_CONTRAST = 60  # of 255, between the grey values of a digit and of what lies behind it
LICENCES = ("CC0 1.0", "public domain")
GREY = np.array([0.299, 0.587, 0.114])


def fonts(folder: Path) -> dict[str, dict[str, bytes]]:
    """By split, the files of the fonts by name, sorted."""
    found: dict[str, dict[str, bytes]] = {split: {} for split in FAMILIES}
    for split, families in FAMILIES.items():
        for family in families:
            [package] = folder.glob(f"fonts-{family}_*.deb")
            found[split] |= members(package, "*.[ot]tf")
    for pattern in MATPLOTLIB:
        for path in (Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob(pattern):
            found["train"][path.name] = path.read_bytes()
    return {
        split: {name: files[name] for name in sorted(files) if not any(word in name for word in TOO_THIN)}
        for split, files in found.items()
    }


def photographs() -> dict[str, list[Image.Image]]:
    """By split, the photographs that anyone may change without a word."""
    with zipfile.ZipFile(ASSETS / "photos.zip") as archive:
        items = [item for item in json.loads(archive.read("index.json"))["items"] if item["licence"] in LICENCES]
        return {
            split: [
                Image.open(io.BytesIO(archive.read(f"{item['name']}.webp"))).convert("RGB")
                for item in items
                if item["split"] == split
            ]
            for split in COUNTS
        }


def background(photos: list[Image.Image], rng: Generator) -> Image.Image:
    """A blurred crop of a photograph, often tinted as a painted wall or a plate would be."""
    photo = photos[rng.integers(len(photos))]
    side = int(rng.integers(48, 200))
    left, top = int(rng.integers(photo.width - side)), int(rng.integers(photo.height - side))
    size = (SIDE * SCALE, SIDE * SCALE)
    crop = photo.resize(size, Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    crop = crop.filter(ImageFilter.GaussianBlur(rng.uniform(2, 9)))
    colour = tuple(int(part) for part in rng.integers(0, 256, 3))
    return Image.blend(crop, Image.new("RGB", size, colour), rng.uniform(0, 0.85))


def strokes(digit: int, font: bytes, rng: Generator) -> Image.Image:
    """Where the digit and its neighbours are, ``L``, slanted and turned a little."""
    side = SIDE * SCALE
    size = int(rng.uniform(0.75, 1.25) * side)
    face = ImageFont.truetype(io.BytesIO(font), size)
    box = face.getbbox(str(digit))
    size = int(size * rng.uniform(0.6, 0.95) * side / (box[3] - box[1]))  # as high as 0.6 to 0.95 of the image
    face = ImageFont.truetype(io.BytesIO(font), size)
    canvas = Image.new("L", (3 * side, 3 * side))
    draw = ImageDraw.Draw(canvas)
    left, top, right, bottom = face.getbbox(str(digit))
    x, y = (3 * side - (right - left)) / 2 - left, (3 * side - (bottom - top)) / 2 - top
    draw.text((x, y), str(digit), 255, face)
    gap = rng.uniform(0.02, 0.25) * side
    for at_left in (True, False):
        if rng.random() < 0.55:
            other = str(rng.integers(10))
            begin, _, end, _ = face.getbbox(other)
            place = x + left - gap - end if at_left else x + right + gap - begin
            draw.text((place, y), other, 255, face)
    turn, slant = np.deg2rad(rng.normal(0, 6)), rng.normal(0, 0.08)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    matrix = (cos, sin + slant, -sin, cos)
    middle = 1.5 * side
    shift = rng.normal(0, 0.03 * side, 2)
    offset = [middle - matrix[row * 2] * middle - matrix[row * 2 + 1] * middle + shift[row] for row in (0, 1)]
    data = (matrix[0], matrix[1], float(offset[0]), matrix[2], matrix[3], float(offset[1]))
    turned = canvas.transform(canvas.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return turned.crop((side, side, 2 * side, 2 * side))


def ink(behind: Image.Image, rng: Generator) -> tuple[int, ...]:
    """A colour that stands out from the middle of what is behind."""
    grey = float((np.asarray(behind).mean((0, 1)) * GREY).sum())
    while True:
        colour = rng.integers(0, 256, 3)
        if rng.random() < 0.4:  # as many house numbers are: black, white or grey
            colour[:] = colour[0]
        if abs(float((colour * GREY).sum()) - grey) >= LEAST_CONTRAST:
            return tuple(int(part) for part in colour)


def drawn(digit: int, font: bytes, photos: list[Image.Image], rng: Generator) -> NDArray:
    """One image, ``(32, 32, 3)`` uint8."""
    behind, where = background(photos, rng), strokes(digit, font, rng)
    colour = ink(behind, rng)
    if rng.random() < 0.25:  # a shadow
        dark = Image.new("RGB", behind.size, tuple(part // 4 for part in colour))
        right, down = rng.integers(-2 * SCALE, 2 * SCALE + 1, 2).tolist()
        behind.paste(dark, (right, down), where.point(lambda value: value // 2))
    behind.paste(Image.new("RGB", behind.size, colour), (0, 0), where)
    image = behind.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.1) * SCALE)).resize(
        (SIDE, SIDE), Image.Resampling.BOX
    )
    values = np.asarray(image).astype(np.float64)
    values = (values - 128) * rng.uniform(0.6, 1.1) + 128 + rng.normal(0, 12)
    values += rng.normal(0, rng.uniform(0, 5), values.shape)
    return values.round().clip(0, 255).astype(np.uint8)


def rebuilt(folder: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    faces, photos, rng = fonts(folder), photographs(), np.random.default_rng(0)
    contents: dict[str, Any] = {"size": SIDE, "rows": ROWS, "labels": {}, "fonts": {}}
    mosaics: dict[str, bytes] = {}
    for split, count in COUNTS.items():
        labels = rng.permutation(np.arange(count) % 10)
        names = list(faces[split])
        images = np.stack(
            [drawn(int(digit), faces[split][names[rng.integers(len(names))]], photos[split], rng) for digit in labels]
        )
        for number, part in enumerate(images.reshape(-1, ROWS, ROWS, SIDE, SIDE, 3)):
            out = io.BytesIO()
            mosaic = part.transpose(0, 2, 1, 3, 4).reshape(ROWS * SIDE, ROWS * SIDE, 3)
            Image.fromarray(mosaic).save(out, "WEBP", quality=80, method=6)
            mosaics[f"{split}_{number}.webp"] = out.getvalue()
        contents["labels"][split] = "".join(map(str, labels))
        contents["fonts"][split] = names
    return {"index.json": json.dumps(contents, separators=(",", ":")).encode(), **mosaics}


def main() -> None:
    given = options(__doc__ or "", "the folder that holds the packages of fonts")
    finish("street_digits.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
