"""The slices of a brain: what is healthy, what has a lesion and where, and that the masks follow the images."""

import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.brain import Brain
from genlab.errors import UsageError


def loaded(side: int = 64) -> Brain:
    dataset = Brain("brain", (1, side, side), 64, 300, seed=0)
    dataset.setup()
    return dataset


@pytest.fixture(scope="module")
def brain() -> Brain:
    return loaded()


def split(dataset: Brain, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels of a split."""
    loaders = {
        "train": dataset.train_dataloader,
        "validation": dataset.val_dataloader,
        "test": dataset.test_dataloader,
    }
    batches = list(loaders[name]())
    return torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches])


def test_sizes_and_ranges(brain: Brain) -> None:
    assert brain.sizes() == {"train": 4200, "validation": 300, "test": 800}
    for name, size in brain.sizes().items():
        images, labels = split(brain, name)
        assert (images.shape, images.dtype, labels.dtype) == ((size, 1, 64, 64), torch.float32, torch.int64)
        assert images.min() == -1
        assert 0.5 < images.max() <= 1


def test_only_the_test_has_anomalies_and_half_of_it_does(brain: Brain) -> None:
    assert (brain.has_anomalies, brain.num_classes, brain.class_names) == (True, 2, ["healthy", "anomalous"])
    assert (split(brain, "train")[1] == 0).all()
    assert (split(brain, "validation")[1] == 0).all()
    assert split(brain, "test")[1].bincount().tolist() == [400, 400]


def test_no_image_is_in_two_splits(brain: Brain) -> None:
    kept = [set(map(bytes, split(brain, name)[0].numpy())) for name in ("train", "validation", "test")]
    assert [len(images) for images in kept] == [4200, 300, 800]
    assert len(set.union(*kept)) == 5300


def test_a_mask_shows_a_lesion_inside_the_brain_where_there_is_one(brain: Brain) -> None:
    images, labels = split(brain, "test")
    masks = brain.test_masks
    assert masks is not None
    assert (masks.shape, masks.dtype) == ((800, 1, 64, 64), torch.bool)
    areas = masks.sum((1, 2, 3))
    assert (areas[labels == 0] == 0).all()
    assert areas[labels == 1].min() >= 12
    assert areas[labels == 1].max() < 64 * 64 / 8
    border = masks.clone()
    border[:, :, 1:-1, 1:-1] = False
    assert not border.any()
    is_brain = images > -0.9
    assert (is_brain & masks).sum() / masks.sum() > 0.98


def test_masks_are_aligned_with_their_images(brain: Brain) -> None:
    """Of each four lesions the first is a bright blob and the second a dark cyst, as their own masks show."""
    images, labels = split(brain, "test")
    assert brain.test_masks is not None
    lesions, masks = images[labels == 1], brain.test_masks[labels == 1]
    inside = (lesions * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3))
    assert (inside[0::4] > inside[1::4]).double().mean() > 0.98
    others = masks.roll(4, 0)
    elsewhere = (lesions * others).sum((1, 2, 3)) / others.sum((1, 2, 3))
    assert (elsewhere[0::4] > elsewhere[1::4]).double().mean() < 0.8


@pytest.mark.parametrize("side", [16, 32, 80])
def test_masks_follow_the_images_to_another_shape(brain: Brain, side: int) -> None:
    other = loaded(side)
    assert other.test_masks is not None
    assert brain.test_masks is not None
    images, labels = split(other, "test")
    assert images.shape == (800, 1, side, side)
    assert other.test_masks.shape == (800, 1, side, side)
    assert torch.equal(other.test_masks.flatten(1).any(1), labels == 1)
    if side == 80:
        assert torch.equal(other.test_masks[:, :, 8:-8, 8:-8], brain.test_masks)
        assert (images[:, :, :8] == -1).all()
    else:
        pooled = torch.nn.functional.max_pool2d(brain.test_masks.float(), 64 // side) > 0
        assert torch.equal(other.test_masks, pooled)


def test_a_colour_brain_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dataset\.data_shape=\[3, ?64, ?64\]: expected"):
        check(compose("train", ["model=gmm", "dataset=brain", "dataset.data_shape=[3,64,64]"]))
