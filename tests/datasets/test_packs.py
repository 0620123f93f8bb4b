"""The embedded packs of pairs: that pairs stay together, and that nothing is in two places where it must not be."""

from collections import Counter
from itertools import combinations
from typing import Any

import pytest
import torch

from genlab.config import build, check, compose
from genlab.datasets.base import Dataset
from genlab.datasets.batches import PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen
from genlab.datasets.packs import TILE, PairedPack, UnpairedPack, parted
from genlab.errors import UsageError


def ready(name: str, *words: str) -> Any:
    composed = compose("datasets", ["check", f"dataset={name}", *words])
    check(composed)
    dataset: Dataset = build(composed.config["dataset"], "dataset")
    dataset.setup()
    return dataset


def everything(dataset: Dataset, split: str, epoch: int = -1) -> Any:
    source: Any = dataset.sources[split]
    return source.__getitems__(Chosen(epoch, torch.arange(len(source))))


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.fixture(scope="module")
def openmoji() -> PairedPack:
    return ready("openmoji", "dataset.data_shape=[3,32,32]")


@pytest.fixture(scope="module")
def garments() -> PairedPack:
    return ready("garments", "dataset.num_validation=40")


@pytest.fixture(scope="module")
def emoji() -> UnpairedPack:
    return ready("google_and_twitter", "dataset.data_shape=[3,32,32]")


@pytest.fixture(scope="module")
def maps() -> UnpairedPack:
    return ready("satellite_and_relief", "dataset.data_shape=[3,32,32]")


@pytest.mark.parametrize(
    ("name", "items", "tests"),
    [("openmoji", 1572, 172), ("garments", 2685, 300), ("google_to_twitter", 1682, 187)],
)
def test_every_pair_is_in_one_split(name: str, items: int, tests: int) -> None:
    sizes = ready(name, "dataset.data_shape=[3,8,8]").sizes()
    assert sizes["train"] + sizes["validation"] == items
    assert sizes["test"] == tests
    assert sizes["validation"] > 0


def test_line_art_and_colour_are_of_one_drawing(openmoji: PairedPack) -> None:
    """Where the line art is black, the drawing in colour is too: OpenMoji draws the same lines on top."""
    batch = everything(openmoji, "test")
    assert isinstance(batch, PairedImages)
    assert (batch.source.min(), batch.source.max()) == (-1, 1)
    lines = batch.source.mean(1) < -0.9
    assert lines.flatten(1).any(1).sum() > 100
    own, others = (images.mean(1)[lines].mean() for images in (batch.target, batch.target.roll(1, 0)))
    assert own < -0.6
    assert others > own + 0.5


def test_pairs_are_mirrored_together_and_only_in_training(openmoji: PairedPack) -> None:
    still, moved = everything(openmoji, "train"), everything(openmoji, "train", epoch=3)
    mirrored = [not torch.equal(one, other) for one, other in zip(still.target, moved.target, strict=True)]
    assert 0.4 < sum(mirrored) / len(mirrored) < 0.6
    for is_mirrored, *images in zip(mirrored, *still, *moved, strict=True):
        source, target, moved_source, moved_target = images
        assert torch.equal(moved_source, source.flip(2) if is_mirrored else source)
        assert torch.equal(moved_target, target.flip(2) if is_mirrored else target)
    assert torch.equal(everything(openmoji, "test", epoch=3).source, everything(openmoji, "test").source)


def test_three_persons_wear_each_garment_and_no_garment_is_in_two_splits(garments: PairedPack) -> None:
    worn = {}
    for split in ("train", "validation", "test"):
        persons, targets = everything(garments, split)
        assert len(rows(persons)) == len(persons)
        counts = Counter(image.numpy().tobytes() for image in targets)
        assert all(count % 3 == 0 for count in counts.values())  # some plain garments look the same
        worn[split] = counts
    assert sum(worn["test"].values()) == 300
    assert all(not worn[one].keys() & worn[other].keys() for one, other in combinations(worn, 2))


def test_emoji_in_training_are_in_one_domain_each(emoji: UnpairedPack) -> None:
    pairs = ready("google_to_twitter", "dataset.data_shape=[3,32,32]")
    google, twitter = (
        torch.cat([everything(pairs, split)[view] for split in ("train", "validation")]) for view in (0, 1)
    )
    of_google = {image.numpy().tobytes(): number for number, image in enumerate(google)}
    of_twitter = {image.numpy().tobytes(): number for number, image in enumerate(twitter)}
    seen = [
        {
            numbers[image.numpy().tobytes()]
            for split in ("train", "validation")
            for image in everything(emoji, split)[side]
        }
        for side, numbers in ((0, of_google), (1, of_twitter))
    ]
    assert not seen[0] & seen[1]
    assert len(seen[0]) + len(seen[1]) == 1682


def test_genders_of_one_role_are_in_one_domain(emoji: UnpairedPack) -> None:
    archive, items = emoji.read()
    archive.close()
    train, validation = emoji.domains([item for item in items if item.split == "train"])
    assert sum(map(len, train + validation)) == 1682
    first, second = ({item.group for item in train[side] + validation[side]} for side in (0, 1))
    assert not first & second
    assert 0.9 < len(train[0]) / len(train[1]) < 1.1


@pytest.mark.parametrize("name", ["google_and_twitter", "satellite_and_relief"])
def test_test_items_in_one_place_are_counterparts(name: str) -> None:
    dataset = ready(name, "dataset.data_shape=[3,32,32]")
    pairs = ready(
        {"google_and_twitter": "google_to_twitter", "satellite_and_relief": "satellite_to_relief"}[name],
        "dataset.data_shape=[3,32,32]",
    )
    assert dataset.has_counterparts
    batch = everything(dataset, "test")
    assert isinstance(batch, UnpairedImages)
    assert torch.equal(batch.first, everything(pairs, "test").source)
    assert torch.equal(batch.second, everything(pairs, "test").target)


def test_the_domains_of_maps_share_no_column(maps: UnpairedPack) -> None:
    archive, items = maps.read()
    archive.close()
    (first, second), held = maps.domains([item for item in items if item.split == "train"])
    tests = [item for item in items if item.split == "test"]
    columns = [
        {column for item in part for column in range(item.left, item.left + TILE)}
        for part in (first + held[0], second + held[1], tests)
    ]
    assert all(columns)
    assert all(not one & other for one, other in combinations(columns, 2))
    assert maps.sizes() == {"train": max(len(first), len(second)), "validation": 8, "test": 52}
    assert min(len(first), len(second)) > 100


def test_held_out_maps_overlap_with_no_training_tile() -> None:
    dataset = ready("satellite_to_relief", "dataset.data_shape=[3,8,8]")
    archive, items = dataset.read()
    archive.close()
    train, validation = parted("maps", [item for item in items if item.split == "train"], 8, "maps")
    assert {"train": len(train), "validation": len(validation), "test": 52} == dataset.sizes()
    pixels = [
        {(x, y) for item in part for x in range(item.left, item.left + TILE) for y in range(item.top, item.top + TILE)}
        for part in (train, validation)
    ]
    assert not pixels[0] & pixels[1]
    assert len(train) > 330


def test_relief_is_never_mirrored(maps: UnpairedPack) -> None:
    order = everything(maps, "train", epoch=2)
    assert rows(order.first) == rows(everything(maps, "train").first)
    assert rows(order.second) == rows(everything(maps, "train").second)


def test_other_domains_meet_in_each_epoch_and_the_same_by_one_seed(emoji: UnpairedPack) -> None:
    again = ready("google_and_twitter", "dataset.data_shape=[3,32,32]")
    other = ready("google_and_twitter", "dataset.data_shape=[3,32,32]", "seed=1")
    for side in (0, 1):
        assert torch.equal(everything(emoji, "train", 1)[side], everything(again, "train", 1)[side])
        assert not torch.equal(everything(emoji, "train", 1)[side], everything(other, "train", 1)[side])
        assert torch.equal(everything(emoji, "validation")[side], everything(other, "validation")[side])
    assert not torch.equal(everything(emoji, "train", 1).second, everything(emoji, "train", 2).second)


def test_night_is_darker_than_day() -> None:
    batch = everything(ready("day_to_night", "dataset.data_shape=[3,16,16]"), "test")
    assert (batch.target.mean((1, 2, 3)) < batch.source.mean((1, 2, 3))).float().mean() > 0.9


def test_the_fingerprint_knows_the_views() -> None:
    words = ["dataset.data_shape=[3,8,8]"]
    names = ["satellite_to_relief", "day_to_night", "satellite_and_relief"]
    assert len({ready(name, *words).fingerprint() for name in names}) == 3


@pytest.mark.parametrize("views", ["[satellite,sattelite]", "[relief,relief]", "[google,twitter]"])
def test_views_that_are_none_are_refused_with_those_there_are(views: str) -> None:
    with pytest.raises(UsageError, match="two of the views of maps: satellite, night, relief"):
        check(compose("datasets", ["check", "dataset=satellite_to_relief", f"dataset.views={views}"]))


def test_too_many_held_out_are_refused() -> None:
    with pytest.raises(UsageError, match=r"dataset\.num_validation=900 leaves nothing of the \d+ items of 'garments'"):
        ready("garments", "dataset.num_validation=900")
