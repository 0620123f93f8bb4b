"""What the scripts of the packs of pictures share: WebP, splits, and comparing and writing archives."""

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from archive import ASSETS
from numpy.typing import NDArray
from PIL import Image

TEST_SHARE = 0.1


def webp(image: Image.Image, **settings: Any) -> bytes:
    """WebP at the slowest, smallest setting."""
    out = io.BytesIO()
    image.save(out, "WEBP", method=6, **settings)
    return out.getvalue()


def encoded(contents: dict[str, Any]) -> bytes:
    """JSON without spaces."""
    return json.dumps(contents, ensure_ascii=False, separators=(",", ":")).encode()


def packed(contents: dict[str, Any], images: dict[str, bytes]) -> dict[str, bytes]:
    """The files of an archive in their order: the index, and the images by name."""
    return {"index.json": encoded(contents), **dict(sorted(images.items()))}


def splits(groups: list[str], kinds: list[str]) -> list[str]:
    """``train`` or ``test`` for each item: of each kind whole groups, in random order, as long as they fit its share.

    A group is of the kind of its first item.
    """
    kind_of: dict[str, str] = {}
    counts: dict[str, dict[str, int]] = {}
    for group, kind in zip(groups, kinds, strict=True):
        of_kind = counts.setdefault(kind_of.setdefault(group, kind), {})
        of_kind[group] = of_kind.get(group, 0) + 1
    chosen = set()
    for of_kind in counts.values():
        room = round(TEST_SHARE * sum(of_kind.values()))
        order = sorted(of_kind)
        random.Random(0).shuffle(order)
        for group in order:
            if of_kind[group] <= room:
                room -= of_kind[group]
                chosen.add(group)
    return ["test" if group in chosen else "train" for group in groups]


def pixels(data: bytes) -> NDArray:
    return np.asarray(Image.open(io.BytesIO(data))).astype(np.int16)


def finish(name: str, made: dict[str, bytes], out: Path | None) -> None:
    """Compares the files of an archive with the committed one and writes them, stored, in their order.

    Encoders of other versions write other bytes: then pixels are compared, and how far they are apart is said.
    """
    with zipfile.ZipFile(ASSETS / name) as archive:
        committed = {member: archive.read(member) for member in archive.namelist()}
    if made.keys() != committed.keys() or made["index.json"] != committed["index.json"]:
        raise SystemExit(f"{name}: the index or the names of the images are not as committed")
    changed = [member for member in made if made[member] != committed[member]]
    furthest = max((int(np.abs(pixels(made[one]) - pixels(committed[one])).max()) for one in changed), default=0)
    print(f"{name}: {len(made)} files, {len(changed)} not as committed, pixels differ by up to {furthest} of 255")
    if out is not None:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for member, data in made.items():
                archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data)
        print(f"wrote {out}")
