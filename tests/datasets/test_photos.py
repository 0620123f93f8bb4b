"""Photographs in crops: which photographs are in which split, and that chance follows from seed, epoch and item."""

from typing import Any

import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.crops import RandomCrops, grid_of_crops
from genlab.datasets.loader import Chosen
from genlab.datasets.photos import Photos, photographs
from genlab.errors import UsageError


@pytest.fixture(scope="module")
def photos() -> Photos:
    dataset = Photos("photos", (3, 64, 64), 32, 4, 2, True, seed=0)
    dataset.setup()
    return dataset


def crops(source: Any, epoch: int, items: torch.Tensor | None = None) -> torch.Tensor:
    chosen = torch.arange(len(source)) if items is None else items
    return source.__getitems__(Chosen(epoch, chosen)).images


def test_the_photographs_of_the_test_are_not_trained_on(photos: Photos) -> None:
    train, test = photographs("train"), photographs("test")
    assert (len(train), len(test)) == (38, 8)
    assert not train.keys() & test.keys()
    assert list(train) == sorted(train)
    for picture in (*train.values(), *test.values()):
        assert (picture.shape[0], picture.dtype) == (3, torch.uint8)
        assert min(picture.shape[1:]) >= 300
        assert max(picture.shape[1:]) <= 768
    sizes = photos.sizes()
    assert sizes["train"] == 34 * 2
    assert sizes["test"] == sum((picture.shape[1] // 64) * (picture.shape[2] // 64) for picture in test.values())
    assert sizes["validation"] > 100


def test_crops_are_pieces_at_their_own_resolution() -> None:
    picture = photographs("test")["koala"]
    source = RandomCrops([picture], (64, 64), 5, False, seed=0)
    places = picture.float().unfold(1, 64, 1).unfold(2, 64, 1)[:, :, :, 0, 0]
    for image in crops(source, 0):
        values = (image + 1) * 127.5
        assert torch.allclose(values, values.round(), atol=1e-3)
        corner = values[:, 0, 0].round()
        candidates = (places == corner[:, None, None]).all(0).nonzero().tolist()
        pieces = (picture[:, top : top + 64, left : left + 64].float() for top, left in candidates)
        assert any(torch.equal(piece, values.round()) for piece in pieces)


def test_crops_follow_from_seed_epoch_and_item_alone(photos: Photos) -> None:
    again, other = (Photos("photos", (3, 64, 64), 32, 4, 2, True, seed=seed) for seed in (0, 1))
    for dataset in (again, other):
        dataset.setup()
    train = photos.sources["train"]
    whole = crops(train, 3)
    assert torch.equal(whole, crops(again.sources["train"], 3))
    assert torch.equal(whole[[40, 7, 7]], crops(train, 3, torch.tensor([40, 7, 7])))
    assert not torch.equal(whole, crops(train, 4))
    assert not torch.equal(whole, crops(other.sources["train"], 3))
    assert torch.equal(crops(train, -1), crops(other.sources["train"], -1))
    assert torch.equal(crops(photos.sources["validation"], -1), crops(other.sources["validation"], -1))


def test_every_place_of_a_picture_is_reached_and_half_are_mirrored() -> None:
    numbered = RandomCrops([torch.arange(8).byte().expand(1, 4, 8)], (4, 3), 2000, True, seed=0)
    images = ((crops(numbered, 0) + 1) * 127.5).round()
    first, last = images[:, 0, 0, 0], images[:, 0, 0, 2]
    assert {int(value) for value in torch.minimum(first, last)} == {0, 1, 2, 3, 4, 5}
    assert 0.45 < (first > last).float().mean() < 0.55


def test_the_grid_tiles_the_middle_of_a_picture_without_overlap() -> None:
    picture = torch.arange(7 * 10).byte().reshape(1, 7, 10)
    tiles = grid_of_crops(picture, (3, 4))
    assert tiles.shape == (4, 1, 3, 4)
    middle = picture[:, 0:6, 1:9]
    rows = [torch.cat([tiles[row * 2], tiles[row * 2 + 1]], 2) for row in (0, 1)]
    assert torch.equal(torch.cat(rows, 1), middle)


def test_one_channel_is_grey() -> None:
    dataset = Photos("photos", (1, 96, 96), 8, 0, 1, False, seed=0)
    dataset.setup()
    assert crops(dataset.sources["train"], 0).shape == (38, 1, 96, 96)
    assert "validation" not in dataset.sizes()


def test_crops_larger_than_a_photograph_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 300 pixels"):
        check(compose("datasets", ["check", "dataset=photos", "dataset.data_shape=[3,64,301]"]))
