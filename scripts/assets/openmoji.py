"""Rebuilds openmoji.zip: 1,744 emoji as line art and in colour, exact pairs of 64x64 pixels on white.

Needs numpy, Pillow, resvg_py 0.5.0 and one npm package; two minutes:

    npm pack openmoji@17.0.0
    python scripts/assets/openmoji.py openmoji-17.0.0.tgz

Drawings are made at 128x128 and halved. Left out are skin tones, brands, flags and letters, whose line art does not
show what to paint, line art that looks like an earlier one, and pairs whose colours cover less than 2 %. The archive
holds black/CODE.png in 16 greys, color/CODE.webp, lossless, and index.json, whose "items" have "code", "annotation",
"tags", "group", "subgroup" and

    split   "train" or "test", a tenth of each group; the genders of one person or role are never in both
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from archive import members, options
from emoji_styles import LEAST_DISTANCE, on_white, role
from pack import finish, packed, splits, webp
from PIL import Image

SIDE = 64
LEFT_OUT = {
    *("flags", "component", "brand", "regional-indicator", "subdivision-flag", "queer-symbols", "keycap", "alphanum"),
}
LEAST_PAINTED = 0.02  # of the pixels, by more than 40 levels of 255


def drawn(svg: bytes) -> Image.Image:
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg.decode(), width=2 * SIDE, height=2 * SIDE))
    return on_white(png).resize((SIDE, SIDE), Image.Resampling.BOX)


def line_art(image: Image.Image) -> bytes:
    """PNG of 16 greys, four bits a pixel."""
    levels = np.round(np.asarray(image.convert("L")) / 17).astype(np.uint8)
    grey, out = Image.fromarray(levels).convert("P"), io.BytesIO()
    grey.putpalette([17 * level for level in range(16) for _ in "rgb"])
    grey.save(out, "PNG", bits=4, optimize=True)
    return out.getvalue()


def rebuilt(package: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    table = members(package, "package/data/openmoji.csv")["openmoji.csv"].decode()
    black, color = (members(package, f"package/{style}/svg/*") for style in ("black", "color"))
    rows = [
        row
        for row in csv.DictReader(io.StringIO(table))
        if not row["skintone"] and not {row["group"], row["subgroups"]} & LEFT_OUT
    ]
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    small = np.zeros((len(rows), 16, 16, 3), np.float32)
    for row in rows:
        code = row["hexcode"]
        lines, painted = drawn(black[f"{code}.svg"]), drawn(color[f"{code}.svg"])
        if (np.abs(np.asarray(lines, int) - np.asarray(painted, int)).max(2) > 40).mean() < LEAST_PAINTED:
            continue
        small[len(items)] = np.asarray(lines.resize((16, 16), Image.Resampling.BOX), np.float32)
        distances = np.sqrt(np.square(small[: len(items)] - small[len(items)]).mean((1, 2, 3)))
        if (distances < LEAST_DISTANCE).any():
            continue
        images |= {f"black/{code}.png": line_art(lines), f"color/{code}.webp": webp(painted, lossless=True)}
        tags = [tag.strip() for tag in f"{row['tags']},{row['openmoji_tags']}".split(",")]
        item = {"code": code, "annotation": row["annotation"], "tags": list(dict.fromkeys(filter(None, tags)))}
        items.append(item | {"group": row["group"], "subgroup": row["subgroups"]})
    parts = splits([role(item["code"]) for item in items], [item["group"] for item in items])
    contents = {
        "size": SIDE,
        "licence": "CC BY-SA 4.0",
        "attribution": "All emojis designed by OpenMoji, the open-source emoji and icon project (openmoji.org), "
        "CC BY-SA 4.0; rasterised.",
        "source": "npm:openmoji@17.0.0",
        "items": [item | {"split": part} for item, part in zip(items, parts, strict=True)],
    }
    return packed(contents, images)


def main() -> None:
    given = options(__doc__ or "", "the .tgz file")
    finish("openmoji.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
