"""One page or picture that shows what images were and what they became, side by side."""

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from genlab.applied.photographs import Photograph, picture, whole

Sheet = Literal["html", "png"]

SIDE = 320
"""Pixels of the longer side of a picture on the sheet, at most."""

MOST = 200
"""Images on a sheet, the first ones: a page of more would be hard to open."""

GAP, LINE = 8, 16
"""Pixels between pictures of a PNG, and of a line of its text."""

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; }}
figure {{ display: inline-block; margin: 0 1em 1em 0; }}
img {{ image-rendering: pixelated; vertical-align: top; }}
</style>
<h1>{title}</h1>
{rows}
</html>
"""


@dataclass
class Pairs:
    """Small copies of images before and after, by place."""

    small: dict[int, tuple[str, Image.Image, Image.Image]] = field(default_factory=dict)

    def add(self, place: int, name: str, before: Photograph, after: Photograph) -> None:
        if place < MOST:
            self.small[place] = (name, reduced(before), reduced(after))

    def write(self, path: Path, title: str) -> None:
        """HTML or PNG by the suffix of ``path``; either needs no other file."""
        pairs = [self.small[place] for place in sorted(self.small)]
        with whole(path) as partial:
            if path.suffix == ".html":
                partial.write_text(page(title, pairs), encoding="utf-8")
            else:
                drawn(title, pairs).save(partial, "PNG")


def reduced(photograph: Photograph) -> Image.Image:
    """On white, its longer side ``SIDE`` at most; small ones are enlarged, each pixel to a square."""
    image = picture(photograph, on_white=True)
    times = SIDE // 2 // max(image.size)
    if times > 1:
        return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def page(title: str, pairs: list[tuple[str, Image.Image, Image.Image]]) -> str:
    rows = [
        f"<figure>{embedded(before)} {embedded(after)}<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, before, after in pairs
    ]
    return PAGE.format(title=html.escape(title), rows="\n".join(rows))


def embedded(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img width="{image.width}" height="{image.height}" alt="" src="data:image/png;base64,{data}">'


def drawn(title: str, pairs: list[tuple[str, Image.Image, Image.Image]]) -> Image.Image:
    """A row of a name, an image and what became of it for each."""
    left = max(before.width for _, before, _ in pairs)
    right = max(after.width for _, _, after in pairs)
    heights = [max(before.height, after.height) + LINE + GAP for _, before, after in pairs]
    sheet = Image.new("RGB", (left + right + 3 * GAP, sum(heights) + LINE + 2 * GAP), "white")
    words, top = ImageDraw.Draw(sheet), GAP
    words.text((GAP, top), title, fill="black")
    top += LINE
    for (name, before, after), height in zip(pairs, heights, strict=True):
        words.text((GAP, top), name, fill="black")
        sheet.paste(before, (GAP, top + LINE))
        sheet.paste(after, (left + 2 * GAP, top + LINE))
        top += height
    return sheet
