"""Pairs to learn blending from, and compositions of unseen photographs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from genlab.datasets.composites import (
    SCALES,
    Composites,
    PastedCrops,
    at_scale,
    cutouts_on_photographs,
    in_another_light,
    photographs_on_photographs,
    unseen_squares,
)
from genlab.datasets.loader import Chosen


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.fixture(scope="module")
def dataset() -> Composites:
    found = Composites("composites", (3, 32, 32), 8, 64, 16, 24, seed=3)
    found.setup()
    return found


def test_a_light_of_one_half_is_the_same_and_others_are_not() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(in_another_light(images, torch.full((2, 5), 0.5)), images)
    brighter = torch.tensor([[0.0, 0.5, 0.5, 0.5, 0.5]]).expand(2, 5)
    assert (in_another_light(images, brighter) >= images - 1e-6).all()
    redder = in_another_light(images, torch.tensor([[0.5, 0.5, 1.0, 0.5, 0.5]]).expand(2, 5)) - images
    assert redder[:, 0].mean() > 0.05
    torch.testing.assert_close(redder[:, 1:], torch.zeros(2, 2, 8, 8), rtol=0, atol=1e-6)
    extreme = in_another_light(images, torch.ones(2, 5))
    assert extreme.min() >= -1
    assert extreme.max() <= 1


def test_the_centre_alone_is_in_another_light() -> None:
    source = PastedCrops([noise(3, 40, 50)], (16, 16), 10, seed=1)
    batch = source.__getitems__(Chosen(0, torch.arange(10)))
    differs = (batch.source != batch.target).flatten(2).any(1).view(10, 16, 16)
    assert differs[:, 4:12, 4:12].float().mean() > 0.9
    differs[:, 4:12, 4:12] = False
    assert not differs.any()


def test_the_target_is_a_piece_of_a_photograph_or_its_mirror_image() -> None:
    photo = noise(3, 40, 50)
    target = PastedCrops([photo], (16, 16), 20, seed=1).__getitems__(Chosen(0, torch.arange(20))).target
    whole = photo.float() / 127.5 - 1
    windows = whole.unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    straight = (windows[None] - target[:, None]).abs().amax((2, 3, 4)).amin(1) < 1e-6
    mirrored = (windows[None] - target[:, None].flip(4)).abs().amax((2, 3, 4)).amin(1) < 1e-6
    assert (straight | mirrored).all()
    assert straight.any()
    assert mirrored.any()


def test_crops_are_others_in_each_epoch_and_the_same_in_evaluation() -> None:
    source = PastedCrops([noise(3, 40, 50)], (16, 16), 6, seed=1)
    items = torch.tensor([4, 0])
    first, second = (source.__getitems__(Chosen(epoch, items)).target for epoch in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, source.__getitems__(Chosen(0, torch.arange(6))).target[items])
    held = source.__getitems__(Chosen(-1, items)).source
    assert torch.equal(
        held, PastedCrops([noise(3, 40, 50)], (16, 16), 6, seed=1).__getitems__(Chosen(-1, items)).source
    )


@pytest.mark.parametrize("shape", [(3, 300, 451), (3, 768, 576)])
def test_a_crop_fits_into_each_scale(shape: tuple[int, ...]) -> None:
    sides = [tuple(at_scale(noise(*shape), scale, (64, 32)).shape[1:]) for scale in SCALES]
    assert all(height >= 64 and width >= 32 for height, width in sides)
    assert sides == sorted(sides)


def test_the_splits_have_other_photographs(dataset: Composites) -> None:
    assert dataset.sizes() == {"train": 64, "validation": 16, "test": 24}
    sources: dict[str, Any] = dict(dataset.sources)
    photos = {split: list(source.photos) for split, source in sources.items()}
    assert {split: len(found) // len(SCALES) for split, found in photos.items()} == {
        "train": 34,
        "validation": 4,
        "test": 8,
    }
    marks = {split: {tuple(photo[:, 5, 5:9].flatten().tolist()) for photo in found} for split, found in photos.items()}
    assert not marks["train"] & marks["test"]
    assert not marks["train"] & marks["validation"]


def test_batches_are_pairs_in_range(dataset: Composites) -> None:
    batch = next(iter(dataset.train_dataloader()))
    assert batch.source.shape == batch.target.shape == (8, 3, 32, 32)
    assert batch.source.dtype == torch.float32
    assert batch.source.min() >= -1
    assert batch.source.max() <= 1


def test_cutouts_lie_in_the_middle_of_unseen_photographs() -> None:
    found = cutouts_on_photographs(64)
    assert found.source.shape == found.destination.shape == (29, 3, 64, 64)
    assert found.mask.shape == (29, 1, 64, 64)
    assert found.mask.dtype == torch.bool
    assert not found.mask[:, :, :16].any()
    assert not found.mask[:, :, :, 48:].any()
    assert (found.mask.flatten(1).float().mean(1) > 0.03).all()
    assert torch.equal(found.destination[8:16], found.destination[:8])


def test_a_disc_of_each_unseen_photograph_goes_onto_the_next() -> None:
    found = photographs_on_photographs(256)
    assert torch.equal(found.destination[0], found.source[1])
    assert torch.equal(found.destination[-1], found.source[0])
    assert found.mask.shape == (8, 1, 256, 256)
    assert found.mask[0].sum() == pytest.approx(torch.pi * 70**2, rel=0.01)
    assert torch.equal(unseen_squares(256), found.source)
