"""Coloured bags and shoes: which images are in which domain, and that a colour follows from an image's number."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.bags_and_shoes import BagsAndShoes, coloured, hues, saturated
from genlab.datasets.embedded import ASSETS
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError


@pytest.fixture(scope="module")
def dataset() -> BagsAndShoes:
    made = BagsAndShoes("bags_and_shoes", (3, 32, 32), 64, 100, seed=0)
    made.setup()
    return made


def everything(dataset: BagsAndShoes, split: str) -> Any:
    source: Any = dataset.sources[split]
    return source.__getitems__(Chosen(-1, torch.arange(len(source))))


def test_colours_are_those_of_the_hue_at_full_saturation_and_value() -> None:
    hue = torch.linspace(0, 0.99, 34)
    expected = [colorsys.hsv_to_rgb(float(value), 1, 1) for value in hue]
    torch.testing.assert_close(saturated(hue), torch.tensor(expected), rtol=0, atol=1e-5)


def test_the_largest_channel_is_the_image_without_colour() -> None:
    images = torch.randint(0, 256, (9, 1, 4, 4)).byte()
    assert torch.equal(coloured(images, torch.rand(9)).amax(1, keepdim=True), images)


def test_a_hue_is_the_image_s_own_in_every_run() -> None:
    assert torch.equal(hues(12_000, "train"), hues(12_000, "train"))
    assert not torch.equal(hues(2_000, "train"), hues(2_000, "test"))
    counts = torch.histc(hues(12_000, "train"), 6, 0, 1)
    assert counts.min() > 1800


@pytest.mark.parametrize(("side", "classes"), [(0, [8]), (1, [5, 7, 9])])
def test_each_domain_has_its_classes(side: int, classes: list[int], dataset: BagsAndShoes) -> None:
    with np.load(ASSETS / "fashion_mnist.npz") as arrays:
        known = {
            image.tobytes(): int(label)
            for split in ("train", "test")
            for image, label in zip(arrays[f"{split}_images"], arrays[f"{split}_labels"], strict=True)
        }
    for split in ("train", "validation", "test"):
        grey = ((everything(dataset, split)[side].amax(1) + 1) * 127.5).round().byte()
        assert (grey[:, [0, 1, 30, 31]] == 0).all()
        labels = {known[image.numpy().tobytes()] for image in grey[:, 2:30, 2:30]}
        assert labels <= set(classes)
        assert split == "validation" or labels == set(classes)


def test_sizes_are_those_of_the_larger_domain(dataset: BagsAndShoes) -> None:
    assert dataset.sizes() == {"train": 3500, "validation": 100, "test": 600}
    assert not dataset.has_counterparts


def test_grey_is_refused() -> None:
    with pytest.raises(UsageError, match="colours need 3"):
        check(compose("datasets", ["check", "dataset=bags_and_shoes", "dataset.data_shape=[1,32,32]"]))
