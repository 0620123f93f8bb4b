"""The emoji: what they hold, and that no drawing has a near copy in another split."""

import itertools
from typing import Any

import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.batches import LabelledImages
from genlab.datasets.emoji import Emoji, role
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError


@pytest.fixture(scope="module")
def emoji() -> Emoji:
    dataset = Emoji("emoji_32", "both", (3, 32, 32), 64, 100, seed=0)
    dataset.setup()
    return dataset


def everything(dataset: Emoji, split: str) -> LabelledImages:
    source: Any = dataset.sources[split]
    batch = source.__getitems__(Chosen(-1, torch.arange(len(source))))
    assert isinstance(batch, LabelledImages)
    return batch


def test_sizes_types_and_ranges(emoji: Emoji) -> None:
    sizes = emoji.sizes()
    assert sizes["train"] + sizes["validation"] == 3364
    assert sizes["test"] == 374
    assert 200 <= sizes["validation"] <= 250  # each emoji twice, and some with genders
    for split in sizes:
        images, labels = everything(emoji, split)
        assert (images.shape[1:], images.dtype, labels.dtype) == ((3, 32, 32), torch.float32, torch.int64)
        assert images.min() == -1
        assert images.max() == 1
        assert labels.unique().tolist() == list(range(9))


def test_classes_are_the_groups_of_unicode(emoji: Emoji) -> None:
    assert emoji.class_names is not None
    labels = torch.cat([everything(emoji, split).labels for split in emoji.sizes()])
    counts = dict(zip(emoji.class_names, (torch.bincount(labels, minlength=9) // 2).tolist(), strict=True))
    assert counts == {
        "Activities": 85,
        "Animals & Nature": 159,
        "Flags": 261,
        "Food & Drink": 131,
        "Objects": 264,
        "People & Body": 358,
        "Smileys & Emotion": 169,
        "Symbols": 224,
        "Travel & Places": 218,
    }


def test_the_border_is_white(emoji: Emoji) -> None:
    images, _ = everything(emoji, "train")
    assert images[:, :, 0, 0].median() == 1


def test_a_role_is_an_emoji_without_its_gender() -> None:
    assert role("1f3c3-200d-2640-fe0f") == role("1f3c3-200d-2642-fe0f") == role("1f3c3") == "1f3c3"
    assert role("1f468-200d-1f33e") == role("1f469-200d-1f33e") == "1f33e"
    assert role("1f468") == "1f468"


def test_each_style_draws_every_emoji_in_the_same_split(emoji: Emoji) -> None:
    alone = {}
    styles: tuple[Any, ...] = ("google", "twitter")
    for style in styles:
        dataset = Emoji("emoji_32", style, (3, 32, 32), 64, 100, seed=1)
        dataset.setup()
        alone[style] = dataset
    for split, size in emoji.sizes().items():
        both = everything(emoji, split)
        parts = [everything(dataset, split) for dataset in alone.values()]
        assert 2 * len(parts[0].images) == size
        assert torch.equal(both.images, torch.cat([part.images for part in parts]))
        assert torch.equal(parts[0].labels, parts[1].labels)
        assert not torch.equal(parts[0].images, parts[1].images)
    assert len({emoji.digest(), *(dataset.digest() for dataset in alone.values())}) == 3


def test_no_drawing_is_in_two_splits_nor_nearly(emoji: Emoji) -> None:
    """No two splits have drawings in one style that differ by less than 4 of 255 levels over 16x16 pixels."""
    small = {}
    for split, size in emoji.sizes().items():
        halves = torch.nn.functional.avg_pool2d(everything(emoji, split).images, 2).flatten(1).mul(127.5)
        small[split] = halves.split(size // 2)
    for first, second in itertools.combinations(small, 2):
        for one, other in zip(small[first], small[second], strict=True):
            assert torch.cdist(one, other).min() / (3 * 16 * 16) ** 0.5 > 3.9


def test_the_native_size_is_64_pixels_and_smaller_ones_are_averages(emoji: Emoji) -> None:
    whole = Emoji("emoji", "both", (3, 64, 64), 64, 100, seed=0)
    whole.setup()
    halves = torch.nn.functional.avg_pool2d(everything(whole, "test").images, 2)
    torch.testing.assert_close(everything(emoji, "test").images, halves, rtol=0, atol=1.01 / 255)


def test_other_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="4 channels; images have 1 or 3"):
        check(compose("datasets", ["check", "dataset=emoji", "dataset.data_shape=[4,64,64]"]))
