"""The embedded packs that show each of their items in two or more ways: as pairs, or as two domains without any."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import PairedImages, UnpairedImages
from genlab.datasets.embedded import asset, index
from genlab.datasets.emoji import role
from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.loader import Source, mixed_seed
from genlab.datasets.pairs import Paired, Unpaired

Pack = Literal["emoji_styles", "openmoji", "maps", "garments"]

VIEWS: dict[str, tuple[str, ...]] = {
    "emoji_styles": ("google", "twitter"),
    "openmoji": ("black", "color"),
    "maps": ("satellite", "night", "relief"),
    "garments": ("person", "garment"),
}

TILE = 128
"""Pixels that a map's tile is wide; training tiles lie 32 pixels apart, so that neighbours share most of theirs."""

TEST_BANDS = (700, 1400, 2060)
"""Columns of the whole map where a band of test tiles begins; training tiles lie in the four ranges between them."""


@dataclass(frozen=True)
class Item:
    """One thing and the pictures of it.

    Attributes:
        files: by view, their names in the pack.
        group: near copies of each other have the same and are never in two splits.
        left, top: where a map's tile begins on the whole map; 0 elsewhere.
        domain: the one view, 0 or 1, in which a model that must see no pairs may see it and its near copies; None where
            nobody has said.
    """

    files: dict[str, str]
    split: str
    group: str
    left: int
    top: int
    domain: int | None

    def overlaps(self, other: "Item") -> bool:
        """Whether two tiles of maps have pixels in common."""
        return abs(self.left - other.left) < TILE and abs(self.top - other.top) < TILE


def items_of(pack: Pack, entries: list[dict[str, Any]]) -> list[Item]:
    """The entries of a pack's own index in one form, without training items that look like one of the test."""
    items: list[Item] = []
    domains: dict[str, int] = {}  # of each group, the domain of its first item
    for entry in entries:
        split, left, top, domain = entry["split"], 0, 0, None
        if pack == "garments":
            colours = entry["colours"][:1] if entry["pattern"] == "plain" else entry["colours"]
            look = " ".join([entry["kind"], entry["pattern"], *colours])
            items += [
                Item({"person": person, "garment": entry["garment"]}, split, look, left, top, domain)
                for person in entry["people"]
            ]
            continue
        name = entry["id"] if pack == "maps" else entry["code"]
        group = name if pack == "maps" else role(name.lower())
        if pack == "maps":
            left, top = int(name[1:5]), int(name[7:11])
            domain = sum(left > band for band in TEST_BANDS) % 2
        elif pack == "emoji_styles":
            domain = domains.setdefault(group, VIEWS[pack].index(entry["unpaired"]))
        files = {view: f"{view}/{name}.{'png' if view == 'black' else 'webp'}" for view in VIEWS[pack]}
        items.append(Item(files, split, group, left, top, domain))
    tests = {item.group for item in items if item.split == "test"}
    return [item for item in items if item.split == "test" or item.group not in tests]


def parted(pack: Pack, items: list[Item], num_validation: int, name: str) -> tuple[list[Item], list[Item]]:
    """What remains to train on, and what is held out: so many groups, or of maps the tiles furthest to the north-east.

    Of maps the tiles that overlap with a held-out one are neither.

    Raises:
        UsageError: nothing would be left to train on.
    """
    groups = list(dict.fromkeys(item.group for item in items))
    _, chosen, _ = held_out(len(groups), num_validation, 0, name)
    if pack == "maps":
        validation = sorted(items, key=lambda item: item.top - item.left)[:num_validation]
        return [item for item in items if not any(item.overlaps(other) for other in validation)], validation
    held = {groups[number] for number in chosen.tolist()}
    return [item for item in items if item.group not in held], [item for item in items if item.group in held]


class _PackInMemory(Dataset):
    """What both kinds of reading a pack share."""

    def __init__(
        self,
        name: str,
        file: Pack,
        views: tuple[str, str],
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        flip: bool,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        check_channels(data_shape)
        if len(set(views)) != 2 or not set(views) <= set(VIEWS[file]):
            raise ValueError(f"views={list(views)}; accepted: two of the views of {file}: {', '.join(VIEWS[file])}")
        self.file: Pack = file
        self.views = views
        self.shape = data_shape
        self.flip = flip

    def read(self) -> tuple[zipfile.ZipFile, list[Item]]:
        archive = zipfile.ZipFile(io.BytesIO(asset(f"{self.file}.zip")))
        return archive, items_of(self.file, json.loads(archive.read("index.json"))["items"])

    def source(self, archive: zipfile.ZipFile, items: list[Item], view: str, flip_seed: int | None) -> ImagesInMemory:
        """The images of one view in the order of the items, each file decoded once."""
        names = [item.files[view] for item in items]
        files = list(dict.fromkeys(names))
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in files])
        fitted, levels = fit(torch.from_numpy(images).permute(0, 3, 1, 2), 255, self.shape, "resize")
        if len(files) < len(names):
            places = {name: place for place, name in enumerate(files)}
            fitted = fitted[torch.tensor([places[name] for name in names])]
        return ImagesInMemory(fitted, torch.zeros(len(names), dtype=torch.int64), levels, flip_seed)

    def digest(self) -> str:
        """SHA-256 of the file's own, which ``load`` has verified, of the views and of what is done with them."""
        about = f"{index()[f'{self.file}.zip']['sha256']} {self.views} {type(self).__name__}"
        return hashlib.sha256(about.encode()).hexdigest()


class PairedPack(_PackInMemory):
    """Pairs of one thing seen in two ways: the first of the views is the source, the second the target.

    Args:
        file: the ``.zip`` in ``assets`` without its suffix.
        views: of ``emoji_styles`` google and twitter; of ``openmoji`` black and color; of ``maps`` satellite, night and
            relief; of ``garments`` person and garment, where three persons wear the same garment.
        data_shape: smaller than the pictures averages areas, larger interpolates; one channel makes them grey.
        num_validation: of the training split: emoji with all their genders, garments with all who wear them, or tiles
            of maps, the furthest to the north-east, while those that overlap with one are left out.
        flip: mirrors half of the training pairs, others each epoch.
    """

    batch_type = PairedImages

    def load(self) -> dict[str, Source]:
        archive, items = self.read()
        train, validation = parted(
            self.file, [item for item in items if item.split == "train"], self.num_validation, self.name
        )
        parts = {"train": train, "validation": validation, "test": [item for item in items if item.split == "test"]}
        found: dict[str, Source] = {}
        for split, part in parts.items():
            if part:
                seed = self.seed if self.flip and split == "train" else None
                source, target = (self.source(archive, part, view, seed) for view in self.views)
                found[split] = Paired(source, target)
        return found


class UnpairedPack(_PackInMemory):
    """Two domains of which training never has both views of one thing; test items in one place are counterparts.

    Emoji are in one domain each, with all their genders. Of maps, the training tiles lie in four ranges of longitude
    between the bands of the test; the first and third have the first view, the second and fourth the second, so that no
    pixel is in both.

    Args:
        file, views, data_shape: as of ``PairedPack``.
        batch_size: images of each domain.
        num_validation: of the training split: emoji with all their genders over both domains, or tiles of maps of each
            domain, the furthest to the north-east, while those that overlap with one are left out.
        flip: mirrors half of the training images, others each epoch.
    """

    batch_type = UnpairedImages
    has_counterparts = True

    def __init__(
        self,
        name: str,
        file: Literal["emoji_styles", "maps"],
        views: tuple[str, str],
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        flip: bool,
        seed: int,
    ) -> None:
        super().__init__(name, file, views, data_shape, batch_size, num_validation, flip, seed)

    def load(self) -> dict[str, Source]:
        archive, items = self.read()
        train, validation = self.domains([item for item in items if item.split == "train"])
        found: dict[str, Source] = {"train": self._unpaired(archive, train, self.flip)}
        if all(validation):
            found["validation"] = self._unpaired(archive, validation, False)
        test = [item for item in items if item.split == "test"]
        return found | {"test": self._unpaired(archive, (test, test), False)}

    def domains(self, items: list[Item]) -> tuple[tuple[list[Item], list[Item]], tuple[list[Item], list[Item]]]:
        """The training items of the first and of the second domain, and the validation items of both."""
        places = [VIEWS["emoji_styles"].index(view) for view in self.views] if self.file == "emoji_styles" else [0, 1]
        if self.file == "maps":
            first, second = (
                parted(self.file, [item for item in items if item.domain == place], self.num_validation, self.name)
                for place in places
            )
            return (first[0], second[0]), (first[1], second[1])
        kept, held = parted(self.file, items, self.num_validation, self.name)
        train, validation = (
            tuple([item for item in part if item.domain == place] for place in places) for part in (kept, held)
        )
        return (train[0], train[1]), (validation[0], validation[1])

    def _unpaired(self, archive: zipfile.ZipFile, parts: tuple[list[Item], list[Item]], flip: bool) -> Unpaired:
        seeds = [self.seed, mixed_seed(self.seed, "second domain")] if flip else [None, None]
        first, second = (
            self.source(archive, part, view, seed) for part, view, seed in zip(parts, self.views, seeds, strict=True)
        )
        return Unpaired(first, second, self.seed)
