"""Rebuilds garments.zip: 1,000 garments alone and each on three persons, 64x64 pixels.

Needs numpy, Pillow, dicebear-core 10.7.0, dicebear-styles 10.6.0 and resvg_py 0.5.0; three minutes:

    python scripts/assets/garments.py

Persons are of DiceBear's styles ToonHead and Personas. A garment has a kind, one of six patterns and two colours. The
archive holds person/NNNN_K.webp, garment/NNNN.webp, the garment in the middle of white, and index.json, whose "items"
have "garment", "people", the three names, "kind", "pattern", "colours", "style" and

    split   "train" or "test", 900 and 100 garments
"""

import colorsys
import copy
import io
import json
from importlib.resources import files
from typing import Any

import numpy as np
import resvg_py
from archive import options
from dicebear import Avatar, Style
from numpy.random import Generator
from pack import encoded, finish, webp
from PIL import Image

SIDE = 64
NUM_GARMENTS, NUM_TEST = 1000, 100
SENTINEL = "#0a0b0c"  # the colour that stands for the cloth until the pattern takes its place
VIEWS = {"toon-head": "100 196 572 572", "personas": "8 16 48 48"}  # head and shoulders
KINDS = {
    "toon-head": ["dress", "openJacket", "shirt", "tShirt", "turtleNeck"],
    "personas": ["rounded", "small", "squared", "checkered"],
}
PATTERNS = ["plain", "stripes", "pinstripes", "dots", "checks", "diagonal"]
# In this order they are drawn by chance; a key that ends in "Probability" is 100 with the chance given, else 0.
TRAITS: dict[str, dict[str, list[str] | float]] = {
    "toon-head": {
        "hairVariant": ["bun", "sideComed", "spiky", "undercut"],
        "hairColor": ["#2c1b18", "#d6b370", "#724133", "#a55728", "#8d8d92"],
        "rearHairVariant": ["neckHigh", "shoulderHigh", "longStraight"],
        "rearHairProbability": 0.25,
        "beardVariant": ["chin", "chinMoustache", "fullBeard", "moustacheTwirl"],
        "beardProbability": 0.25,
        "eyesVariant": ["happy", "humble", "wide", "wink"],
        "eyebrowsVariant": ["angry", "happy", "neutral", "raised", "sad"],
        "mouthVariant": ["agape", "angry", "laugh", "sad", "smile"],
        "skinColor": ["#5c3829", "#f1c3a5", "#a36b4f", "#c68e7a", "#b98e6a"],
    },
    "personas": {
        "hairVariant": [
            *("bald", "beanie", "bobBangs", "bobCut", "buzzcut", "cap", "curlyBun", "fade", "mohawk"),
            *("shortCombover", "sideShave"),
        ],
        "hairColor": ["#2b2530", "#6c4545", "#e8c062", "#c8502c", "#b9bccb"],
        "eyesVariant": ["glasses", "happy", "open", "sunglasses", "wink"],
        "mouthVariant": ["bigSmile", "frown", "lips", "smile", "smirk", "surprise"],
        "noseVariant": ["mediumRound", "smallRound"],
        "skinColor": ["#f4cdbf", "#eeb4a4", "#e0a078", "#b16a5b", "#92594b", "#623d36"],
    },
}


def definition(name: str) -> dict[str, Any]:
    style = json.loads(files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8"))
    if name == "personas":  # the light on its face is an overlay, which turns the skin grey here
        elements = style["canvas"]["elements"]
        style["canvas"]["elements"] = [one for one in elements if one["name"] not in ("g", "mask")]
    return style


def clothes_alone(style: dict[str, Any]) -> dict[str, Any]:
    """The same style without all that is drawn beside the garment."""

    def pruned(elements: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [one for one in elements if one.get("name") == "clothes" or "children" in one]
        return [one | {"children": pruned(one["children"])} if "children" in one else one for one in kept]

    style = copy.deepcopy(style)
    style["canvas"]["elements"] = pruned(style["canvas"]["elements"])
    return style


def colour(rng: Generator) -> str:
    """Grey now and then, else any hue."""
    if rng.random() < 0.12:
        value = float(rng.choice([0.15, 0.35, 0.55, 0.8]))
        parts = (value, value, value)
    else:
        parts = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.95))
    return "#" + "".join(f"{int(255 * part):02x}" for part in parts)


def cloth(kind: str, first: str, second: str, unit: float) -> str:
    """A pattern in SVG that repeats every ``unit``."""
    middle, half = unit / 2, f'width="{unit / 2}" height="{unit / 2}"'
    shapes = {
        "stripes": f'<rect width="{unit}" height="{unit / 2}" fill="{second}"/>',
        "pinstripes": f'<rect width="{unit * 0.3}" height="{unit}" fill="{second}"/>',
        "dots": f'<circle cx="{middle}" cy="{middle}" r="{unit * 0.3}" fill="{second}"/>',
        "checks": f'<rect {half} fill="{second}"/><rect x="{middle}" y="{middle}" {half} fill="{second}"/>',
        "diagonal": f'<rect width="{unit}" height="{unit * 0.45}" fill="{second}"/>',
    }
    ground = f'<rect width="{unit}" height="{unit}" fill="{first}"/>'
    turn = ' patternTransform="rotate(45)"' if kind == "diagonal" else ""
    frame = f'<pattern id="cloth" width="{unit}" height="{unit}" patternUnits="userSpaceOnUse"{turn}>'
    return f"<defs>{frame}{ground}{shapes[kind]}</pattern></defs>"


def dressed(svg: str, item: dict[str, Any], unit: float) -> str:
    """The garment's own colour or pattern in the place of the sentinel."""
    first, second = item["colours"]
    if item["pattern"] == "plain":
        return svg.replace(SENTINEL, first)
    cut = svg.index(">") + 1
    return svg[:cut] + cloth(item["pattern"], first, second, unit) + svg[cut:].replace(SENTINEL, "url(#cloth)")


def within(svg: str, box: str) -> str:
    start = svg.index('viewBox="') + 9
    return svg[:start] + box + svg[svg.index('"', start) :]


def rasterised(svg: str, side: int) -> Image.Image:
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def laid_on(image: Image.Image, ground: str | tuple[int, ...]) -> Image.Image:
    base = Image.new("RGBA", image.size, ground)
    base.alpha_composite(image)
    return base.convert("RGB")


def in_the_middle(image: Image.Image) -> Image.Image:
    """What is opaque, scaled to 0.86 of the side, in the middle of white."""
    cut = image.crop(image.getchannel("A").getbbox())
    scale = 0.86 * SIDE / max(cut.size)
    width, height = (max(1, round(length * scale)) for length in cut.size)
    base = Image.new("RGBA", (SIDE, SIDE))
    base.alpha_composite(
        cut.resize((width, height), Image.Resampling.LANCZOS), ((SIDE - width) // 2, (SIDE - height) // 2)
    )
    return laid_on(base, "white")


def person(style: str, rng: Generator) -> dict[str, Any]:
    """What DiceBear is asked for, but for the clothes."""
    return {
        name: [str(rng.choice(traits))] if isinstance(traits, list) else 100 if rng.random() < traits else 0
        for name, traits in TRAITS[style].items()
    }


def rebuilt() -> dict[str, bytes]:
    """The files of the archive in their order."""
    rng = np.random.default_rng(0)
    definitions = {name: definition(name) for name in VIEWS}
    whole = {name: Style(style) for name, style in definitions.items()}
    alone = {name: Style(clothes_alone(style)) for name, style in definitions.items()}
    test = set(rng.permutation(NUM_GARMENTS)[:NUM_TEST].tolist())
    images: dict[str, bytes] = {}
    items: list[dict[str, Any]] = []
    for number in range(NUM_GARMENTS):
        name = "toon-head" if rng.random() < 0.65 else "personas"
        kind = str(rng.choice(KINDS[name]))
        colours = [colour(rng), colour(rng)]
        item = {
            "garment": f"garment/{number:04d}.webp",
            "people": [f"person/{number:04d}_{k}.webp" for k in range(3)],
            "split": "test" if number in test else "train",
            "kind": kind,
            "pattern": "plain" if kind == "checkered" else str(rng.choice(PATTERNS, p=[0.4, *[0.12] * 5])),
            "colours": colours,
            "style": name,
        }
        unit = (54 if name == "toon-head" else 4.5) * float(rng.choice([1.0, 1.4]))
        clothes: dict[str, Any] = {"clothesVariant": [kind]}
        clothes |= {"clothesColor": [SENTINEL]} if name == "toon-head" else {"clothingColor": [SENTINEL]}
        clothes |= {"facialHairProbability": 0} if name == "personas" else {}

        def drawn(style: Style, rng: Generator, name: str = name, clothes: dict[str, Any] = clothes) -> str:
            return Avatar(style, {"seed": "0", **person(name, rng), **clothes}).to_string()

        art = dressed(drawn(alone[name], np.random.default_rng(0)), item, unit)
        images[str(item["garment"])] = webp(in_the_middle(rasterised(art, 384)), quality=85)
        for file in item["people"]:
            art = within(dressed(drawn(whole[name], rng), item, unit), VIEWS[name])
            ground = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.4), rng.uniform(0.7, 1.0))
            image = laid_on(rasterised(art, SIDE), tuple(int(255 * part) for part in ground))
            images[file] = webp(image, quality=85)
        items.append(item)
    licence = (
        'Made with DiceBear from "ToonHead" by Johan Melin and "Personas by Draftbit", both CC BY 4.0 '
        "(https://creativecommons.org/licenses/by/4.0/); recoloured, patterned and cropped."
    )
    return images | {"index.json": encoded({"items": items, "licence": licence})}


def main() -> None:
    given = options(__doc__ or "")
    finish("garments.zip", rebuilt(), given.out)


if __name__ == "__main__":
    main()
