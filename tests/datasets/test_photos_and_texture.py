"""Photographs and one texture as two domains."""

from typing import Any

import pytest
import torch

from genlab.datasets.images import centred
from genlab.datasets.loader import Chosen
from genlab.datasets.photos_and_texture import PhotosAndTexture


@pytest.fixture(scope="module")
def dataset() -> PhotosAndTexture:
    found = PhotosAndTexture("photos_and_texture", "stones", (3, 32, 32), 8, 4, 3, seed=5)
    found.setup()
    return found


def test_the_second_domain_is_the_texture(dataset: PhotosAndTexture) -> None:
    batch = next(iter(dataset.train_dataloader()))
    assert batch.first.shape == batch.second.shape == (8, 3, 32, 32)
    whole = centred(dataset.texture.picture())
    corners = whole.unfold(1, 32, 1).unfold(2, 32, 1)[..., 0, 0].permute(1, 2, 0).reshape(-1, 3)
    for crop, photo in zip(batch.second, batch.first, strict=True):
        places = (corners == crop[:, 0, 0]).all(1).nonzero().flatten().tolist()
        windows = [whole[:, place // 225 : place // 225 + 32, place % 225 : place % 225 + 32] for place in places]
        assert any(torch.equal(window, crop) for window in windows)
        assert not any(torch.equal(window, photo) for window in windows)


def test_an_epoch_has_so_many_crops_of_each_photograph(dataset: PhotosAndTexture) -> None:
    assert dataset.sizes()["train"] == 34 * 3
    assert set(dataset.sizes()) == {"train", "validation", "test"}
    source: Any = dataset.sources["train"]
    assert len(source.first) == len(source.second)


def test_held_out_items_are_the_same_in_every_epoch_and_of_every_seed(dataset: PhotosAndTexture) -> None:
    other = PhotosAndTexture("photos_and_texture", "stones", (3, 32, 32), 8, 4, 3, seed=6)
    other.setup()
    items = Chosen(-1, torch.tensor([0, 5, 70]))
    for split in ("validation", "test"):
        found, again = (each.sources[split].__getitems__(items) for each in (dataset, other))
        assert torch.equal(found.first, again.first)
        assert torch.equal(found.second, again.second)


def test_another_texture_is_another_fingerprint(dataset: PhotosAndTexture) -> None:
    other = PhotosAndTexture("photos_and_texture", "moss", (3, 32, 32), 8, 4, 3, seed=5)
    other.setup()
    assert other.fingerprint() != dataset.fingerprint()
