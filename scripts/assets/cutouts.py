"""Rebuilds cutouts.zip: 300 objects cut out, 128x128 pixels with transparency: animals, food, vehicles, things.

Needs numpy, Pillow and two npm packages in one folder; a minute:

    npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource-google@16.0.0
    python scripts/assets/cutouts.py .

They are Microsoft's Fluent emoji in three dimensions, halved; names are of the second package. The archive holds
CODE.webp and index.json, whose "items" have "code", "name", "class" (100 animals, 90 food, 45 vehicles, 65 things) and

    split   "train" or "test", a tenth of each class
"""

import io
import json
import random
from pathlib import Path
from typing import Any

from archive import members, options
from pack import finish, packed, splits, webp
from PIL import Image

SIDE = 128
COUNTS = {"animal": 100, "food": 90, "vehicle": 45, "thing": 65}
CLASSES = {
    "animal": "animal-mammal animal-bird animal-amphibian animal-reptile animal-marine animal-bug",
    "food": "food-fruit food-vegetable food-prepared food-asian food-sweet drink dishware plant-flower",
    "vehicle": "transport-ground transport-water transport-air",
    "thing": "clothing computer household musical-instrument science sport tool game music book-paper",
}
LEFT_OUT = (
    "busstop fuelpump traffic_light vertical_traffic_light construction anchor seat rotating_light motorway "
    "railway_track station octagonal_sign airplane_departure airplane_arriving ring_buoy wheel roller_skate "
    "mountain_railway oil_drum white_flower"
)


def rebuilt(folder: Path) -> dict[str, bytes]:
    """The files of the archive in their order."""
    pictures = members(folder / "lobehub-fluent-emoji-3d-1.1.0.tgz", "package/assets/*.webp")
    listed = json.loads(members(folder / "emoji-datasource-google-16.0.0.tgz", "package/emoji.json")["emoji.json"])
    emoji = [
        one
        for one in listed
        if f"{one['unified'].lower()}.webp" in pictures and one["short_name"] not in LEFT_OUT.split()
    ]
    random.Random(0).shuffle(emoji)
    items: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    for kind, subcategories in CLASSES.items():
        of_kind = [one for one in emoji if one["subcategory"] in subcategories.split()]
        for one in sorted(of_kind[: COUNTS[kind]], key=lambda one: one["sort_order"]):
            name = f"{one['unified'].lower()}.webp"
            image = Image.open(io.BytesIO(pictures[name])).convert("RGBA")
            images[name] = webp(image.resize((SIDE, SIDE), Image.Resampling.BOX), quality=92)
            items.append({"code": one["unified"].lower(), "name": one["name"].lower(), "class": kind})
    parts = splits([item["code"] for item in items], [item["class"] for item in items])
    contents = {
        "size": SIDE,
        "licence": "MIT",
        "attribution": "Fluent Emoji, Copyright (c) Microsoft Corporation, MIT License; resized.",
        "source": "npm:@lobehub/fluent-emoji-3d@1.1.0",
        "items": [item | {"split": part} for item, part in zip(items, parts, strict=True)],
    }
    return packed(contents, images)


def main() -> None:
    given = options(__doc__ or "", "the folder that holds the two packages")
    finish("cutouts.zip", rebuilt(given.source), given.out)


if __name__ == "__main__":
    main()
