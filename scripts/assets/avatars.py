"""Rebuilds avatars.zip: 8,000 cartoon faces of 64x64 pixels with 13 binary attributes, and 300 with six edits each.

Needs numpy, Pillow and the packages that draw the faces; a minute:

    pip install dicebear-core==10.7.0 dicebear-styles==10.6.0 resvg_py==0.5.0
    python scripts/assets/avatars.py

The art is DiceBear's style "Adventurer" by Lisa Wischofsky, recoloured and laid on plain backgrounds. No two faces have
the same features. An edit changes one thing and nothing else: for each value that an attribute can have, a face knows
the detail that would show it. The archive holds WebP images and index.json:

    attributes   their names
    train, test  7,500 and 500 "images", and "y", their attributes, 0 or 1
    edits        "orig", an image, "y", its attributes, and "flips", the same two for each edit
    options      what DiceBear was asked for, by image
"""

import colorsys
import io
import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
import resvg_py
from archive import options
from dicebear import Avatar, Style
from numpy.random import Generator
from pack import finish
from PIL import Image

SIDE = 64
NUM_TRAIN, NUM_TEST, NUM_EDITED = 7500, 500, 300
ATTRIBUTES = [
    *("long_hair", "black_hair", "brown_hair", "blond_hair", "red_hair", "dark_skin", "glasses", "sunglasses"),
    *("smile", "open_mouth", "thick_brows", "blush", "mustache"),
]
EDITS = ["glasses", "smile", "long_hair", "dark_skin", "mustache", "hair"]

# What shows each value of an attribute: numbers of DiceBear's variants, or colours.
HAIRCUTS = {
    1: [f"long{number}" for number in ("01", "02", "04", "05", "07", "09", "16", "17", "20", "22", "24", "26")],
    0: [f"short{number}" for number in ("01", "03", "04", "05", "07", "08", "10", "11", "14", "16", "17")],
}
HAIR_COLOURS = {
    "black": ["#0e0e0e"],
    "brown": ["#6a4e35", "#562306"],
    "blond": ["#e5d7a3", "#dcbf62"],
    "red": ["#cb6820", "#ab2a18"],
    "other": ["#afafaf", "#85c2c6", "#3eac2c", "#dba3be", "#7b3f9e"],
}
SKIN_COLOURS = {0: ["#f2d3b1", "#ecad80"], 1: ["#9e5622", "#763900"]}
MOUTHS = {  # by smile and open mouth
    (1, 1): ["01", "25", "26", "27", "28"],
    (1, 0): ["22", "23"],
    (0, 1): ["03", "14", "15"],
    (0, 0): ["09", "10", "19"],
}
BROWS = {1: ["01", "04", "05", "15"], 0: ["03", "06", "10", "14"]}
EYES = ["01", "03", "04", "05", "06", "10", "12", "15", "17", "24", "25", "26"]
GLASSES = ["02", "04", "05"]
SUNGLASSES = "01"


@dataclass(frozen=True)
class Details:
    """How a face would look for each value of its attributes."""

    haircuts: dict[int, str]
    hair_colours: dict[str, str]
    skin_colours: dict[int, str]
    mouths: dict[tuple[int, int], str]
    brows: dict[int, str]
    eyes: str
    glasses: str
    background: tuple[int, ...]

    @classmethod
    def draw(cls, rng: Generator) -> "Details":
        def pick(variants: list[str]) -> str:
            return str(rng.choice(variants))

        return cls(
            haircuts={value: pick(variants) for value, variants in HAIRCUTS.items()},
            hair_colours={value: pick(variants) for value, variants in HAIR_COLOURS.items()},
            skin_colours={value: pick(variants) for value, variants in SKIN_COLOURS.items()},
            mouths={value: pick(variants) for value, variants in MOUTHS.items()},
            brows={value: pick(variants) for value, variants in BROWS.items()},
            eyes=pick(EYES),
            glasses=pick(GLASSES),
            background=background(rng),
        )


@dataclass(frozen=True)
class Face:
    """The attributes of a face and its details."""

    long_hair: int
    hair: str
    dark_skin: int
    smile: int
    open_mouth: int
    thick_brows: int
    eyewear: str
    mark: str
    details: Details

    @classmethod
    def draw(cls, rng: Generator) -> "Face":
        return cls(
            long_hair=int(rng.random() < 0.5),
            hair=str(rng.choice(list(HAIR_COLOURS), p=[0.22, 0.21, 0.21, 0.19, 0.17])),
            dark_skin=int(rng.random() < 0.45),
            smile=int(rng.random() < 0.5),
            open_mouth=int(rng.random() < 0.5),
            thick_brows=int(rng.random() < 0.5),
            eyewear=str(rng.choice(["", "glasses", "sunglasses"], p=[0.5, 0.3, 0.2])),
            mark=str(rng.choice(["", "blush", "mustache"], p=[0.5, 0.25, 0.25])),
            details=Details.draw(rng),
        )

    def editable(self) -> "Face":
        """Without what would have to go for an edit to show."""
        return replace(
            self,
            eyewear="" if self.eyewear == "sunglasses" else self.eyewear,
            mark="" if self.mark == "blush" else self.mark,
        )

    def edited(self, what: str) -> "Face":
        """Has what it lacked or lacks what it had; hair takes the next colour."""
        if what == "glasses":
            return replace(self, eyewear="" if self.eyewear else "glasses")
        if what == "mustache":
            return replace(self, mark="" if self.mark else "mustache")
        if what == "hair":
            colours = ["black", "brown", "blond", "red"]
            after = (colours.index(self.hair) + 1) % 4 if self.hair in colours else 0
            return replace(self, hair=colours[after])
        return replace(self, **{what: 1 - getattr(self, what)})

    def attributes(self) -> list[int]:
        held = {self.eyewear, self.mark, f"{self.hair}_hair"}
        return [int(getattr(self, name)) if hasattr(self, name) else int(name in held) for name in ATTRIBUTES]

    def request(self) -> dict[str, Any]:
        """What DiceBear is asked for."""
        details = self.details
        eyewear = {"": "02", "glasses": details.glasses, "sunglasses": SUNGLASSES}[self.eyewear]
        return {
            "hairVariant": [details.haircuts[self.long_hair]],
            "hairColor": [details.hair_colours[self.hair]],
            "skinColor": [details.skin_colours[self.dark_skin]],
            "mouthVariant": [f"variant{details.mouths[self.smile, self.open_mouth]}"],
            "eyebrowsVariant": [f"variant{details.brows[self.thick_brows]}"],
            "eyesVariant": [f"variant{details.eyes}"],
            "glassesVariant": [f"variant{eyewear}"],
            "glassesProbability": 100 if self.eyewear else 0,
            "detailsVariant": [self.mark or "blush"],
            "detailsProbability": 100 if self.mark else 0,
            "earringsProbability": 0,
        }

    def noted(self) -> dict[str, str]:
        """The variants and the colours of the request."""
        request = self.request()
        variants = {key.removesuffix("Variant"): request[key][0] for key in request if key.endswith("Variant")}
        return variants | {key: request[key][0] for key in request if key.endswith("Color")}

    def webp(self, style: Style) -> bytes:
        svg = Avatar(style, {"seed": "0", **self.request()}).to_string()
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))
        image = Image.new("RGBA", (SIDE, SIDE), self.details.background)
        image.alpha_composite(Image.open(io.BytesIO(png)).convert("RGBA"))
        out = io.BytesIO()
        image.convert("RGB").save(out, "WEBP", quality=85, method=6)
        return out.getvalue()


def background(rng: Generator) -> tuple[int, ...]:
    """One of 24 hues, four saturations and three values, as RGB."""
    hue, saturation = rng.integers(24) / 24, float(rng.choice([0.0, 0.15, 0.35, 0.6]))
    return tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, float(rng.choice([0.75, 0.9, 1.0]))))


def rebuilt(style: Style) -> dict[str, bytes]:
    """The files of the archive in their order."""
    rng, seen = np.random.default_rng(0), set()
    made: dict[str, bytes] = {}
    contents: dict[str, Any] = {"attributes": ATTRIBUTES}
    noted = {}

    def new(editable: bool = False) -> Face:
        while True:
            face = Face.draw(rng)
            face = face.editable() if editable else face
            if (features := repr(face.request())) not in seen:
                seen.add(features)
                return face

    for split, numbers in (("train", range(NUM_TRAIN)), ("test", range(NUM_TRAIN, NUM_TRAIN + NUM_TEST))):
        contents[split] = {"images": [], "y": []}
        for number in numbers:
            face, name = new(), f"images/{number:05d}.webp"
            made[name] = face.webp(style)
            contents[split]["images"].append(name)
            contents[split]["y"].append(face.attributes())
            noted[name] = face.noted()
    contents["edits"] = []
    for number in range(NUM_EDITED):
        face, name = new(editable=True), f"edits/{number:03d}_orig.webp"
        made[name] = face.webp(style)
        flips = {}
        for what in EDITS:
            edited, flipped = face.edited(what), f"edits/{number:03d}_{what}.webp"
            made[flipped] = edited.webp(style)
            flips[what] = {"image": flipped, "y": edited.attributes()}
        contents["edits"].append({"orig": name, "flips": flips, "y": face.attributes()})
    contents["options"] = noted
    contents["licence"] = (
        'Images made with DiceBear from "Adventurer" by Lisa Wischofsky, CC BY 4.0 '
        "(https://creativecommons.org/licenses/by/4.0/); recoloured and composited."
    )
    return made | {"index.json": json.dumps(contents, ensure_ascii=False, separators=(",", ":")).encode()}


def main() -> None:
    given = options(__doc__ or "")
    definition = files("dicebear_styles").joinpath("adventurer.json").read_text("utf-8")
    finish("avatars.zip", rebuilt(Style(json.loads(definition))), given.out)


if __name__ == "__main__":
    main()
