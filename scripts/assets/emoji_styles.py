"""Rebuilds emoji_styles.zip: 1,869 emoji drawn by Google (Noto Emoji) and by Twitter (Twemoji), 64x64 pixels on white.

Needs numpy, Pillow and the two packages in one folder; two minutes:

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0
    python scripts/assets/emoji_styles.py .

Left out are skin tones, emoji that one of the two lacks, flags of a dependency that show another country's, and what
looks like an earlier emoji in either style. The archive holds google/CODE.webp and twitter/CODE.webp, lossless after a
palette of 256 colours, and index.json, whose "items" have "code", "name", "short_name", "category", "subcategory" and

    split     "train" or "test", a tenth of each category; the genders of one person or role are never in both
    unpaired  the one style to show a model that must not see pairs, half of each split
"""

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from archive import members, options
from pack import finish
from PIL import Image

STYLES = ["google", "twitter"]
LEFT_OUT = ["Sark", "Ceuta & Melilla", "Clipperton Island", "Bouvet Island", "Diego Garcia", "U.S. Outlying Islands"]
GENDERS = {"1F468", "1F469", "1F9D1", "2640", "2642", "200D", "FE0F"}
LEAST_DISTANCE = 4  # of 255, root mean square over 16x16 pixels, between emoji that do not look alike
TEST_SHARE = 0.1


def on_white(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def drawn(folder: Path) -> tuple[list[dict[str, Any]], list[list[Image.Image]]]:
    """The emoji in their usual order, and the drawings of each, one a style; none looks like an earlier one."""
    packages = [folder / f"emoji-datasource-{style}-16.0.0.tgz" for style in STYLES]
    listed = json.loads(members(packages[0], "package/emoji.json")["emoji.json"])
    names = [f"{place} Flag" for place in LEFT_OUT]
    candidates = [
        emoji
        for emoji in sorted(listed, key=lambda emoji: emoji["sort_order"])
        if all(emoji[f"has_img_{style}"] for style in STYLES)
        and emoji["category"] != "Component"
        and emoji["name"] not in names
    ]
    files = [members(package, f"package/img/{style}/64/*.png") for package, style in zip(packages, STYLES, strict=True)]
    kept: list[dict[str, Any]] = []
    drawings: list[list[Image.Image]] = []
    small = np.zeros((len(candidates), len(STYLES), 16, 16, 3), np.float32)
    for emoji in candidates:
        images = [on_white(of_style[emoji["image"]]) for of_style in files]
        small[len(kept)] = [np.asarray(image.resize((16, 16), Image.Resampling.BOX), np.float32) for image in images]
        differences = small[: len(kept)] - small[len(kept)]
        if (np.sqrt(np.square(differences).mean((2, 3, 4))) >= LEAST_DISTANCE).all():
            kept.append(emoji)
            drawings.append(images)
    return kept, drawings


def role(code: str) -> str:
    """An emoji without its gender."""
    return "-".join(point for point in code.split("-") if point not in GENDERS) or code


def test_roles(emoji: list[dict[str, Any]]) -> set[str]:
    """Of each category, whole roles in random order, as long as they fit into its share of the test."""
    category_of: dict[str, str] = {}
    counts: dict[str, dict[str, int]] = {}
    for one in emoji:
        name = role(one["unified"])
        category = category_of.setdefault(name, one["category"])
        of_category = counts.setdefault(category, {})
        of_category[name] = of_category.get(name, 0) + 1
    chosen = set()
    for of_category in counts.values():
        room = round(TEST_SHARE * sum(of_category.values()))
        order = sorted(of_category)
        random.Random(0).shuffle(order)
        for name in order:
            if of_category[name] <= room:
                room -= of_category[name]
                chosen.add(name)
    return chosen


def webp(image: Image.Image) -> bytes:
    """Lossless but for a palette of 256 colours."""
    out = io.BytesIO()
    palette = image.quantize(256, dither=Image.Dither.NONE)
    palette.convert("RGB").save(out, "WEBP", lossless=True, quality=100, method=6)
    return out.getvalue()


def rebuilt(folder: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    emoji, drawings = drawn(folder)
    chosen, counts = test_roles(emoji), {"train": 0, "test": 0}
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    for one, of_styles in zip(emoji, drawings, strict=True):
        code, split = one["unified"].lower(), "test" if role(one["unified"]) in chosen else "train"
        images |= {f"{style}/{code}.webp": webp(image) for style, image in zip(STYLES, of_styles, strict=True)}
        said = {"code": code, "name": one["name"].lower()}
        said |= {key: one[key] for key in ("short_name", "category", "subcategory")}
        items.append(said | {"split": split, "unpaired": STYLES[counts[split] % 2]})
        counts[split] += 1
    contents = {
        "size": 64,
        "licence": {"google": "Apache-2.0", "twitter": "CC BY 4.0"},
        "attribution": {
            "google": "Noto Emoji, Copyright Google LLC, Apache License 2.0; composited on white.",
            "twitter": "Twemoji graphics, Copyright Twitter, Inc and other contributors, CC BY 4.0; "
            "composited on white.",
        },
        "source": {style: f"npm:emoji-datasource-{style}@16.0.0" for style in STYLES},
        "items": items,
    }
    index = json.dumps(contents, ensure_ascii=False, separators=(",", ":")).encode()
    return {"index.json": index, **dict(sorted(images.items()))}


def main() -> None:
    given = options(__doc__ or "", "the folder that holds the two packages")
    finish("emoji_styles.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
