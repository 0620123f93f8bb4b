"""The faces with attributes: what they hold, and that an edit changes what it says and nothing else."""

import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.avatars import Avatars, Counterfactuals
from genlab.errors import UsageError

NAMES = [
    *("long_hair", "black_hair", "brown_hair", "blond_hair", "red_hair", "dark_skin", "glasses", "sunglasses"),
    *("smile", "open_mouth", "thick_brows", "blush", "mustache"),
]


@pytest.fixture(scope="module")
def avatars() -> Avatars:
    dataset = Avatars("avatars", (3, 64, 64), 64, 500, seed=0)
    dataset.setup()
    return dataset


@pytest.fixture(scope="module")
def pairs(avatars: Avatars) -> Counterfactuals:
    return avatars.counterfactuals()


def test_sizes_types_and_ranges(avatars: Avatars) -> None:
    assert avatars.sizes() == {"train": 7000, "validation": 500, "test": 500}
    for loader in (avatars.train_dataloader(), avatars.val_dataloader(), avatars.test_dataloader()):
        batch = next(iter(loader))
        assert (batch.images.shape, batch.images.dtype) == ((64, 3, 64, 64), torch.float32)
        assert (batch.attributes.shape, batch.attributes.dtype) == ((64, 13), torch.float32)
        assert -1 <= batch.images.min() < -0.9
        assert 0.9 < batch.images.max() <= 1
        assert batch.attributes.unique().tolist() == [0, 1]


def test_every_attribute_is_held_by_some_and_lacked_by_some(avatars: Avatars) -> None:
    assert avatars.attribute_names == NAMES
    for loader in (avatars.train_dataloader(), avatars.val_dataloader(), avatars.test_dataloader()):
        shares = torch.cat([batch.attributes for batch in loader]).mean(0)
        assert ((shares > 0.1) & (shares < 0.9)).all(), shares


def test_what_excludes_each_other_is_never_together(avatars: Avatars) -> None:
    attributes = torch.cat([batch.attributes for batch in avatars.train_dataloader()])
    for names in (NAMES[1:5], ["glasses", "sunglasses"], ["blush", "mustache"]):
        assert attributes[:, [NAMES.index(name) for name in names]].sum(1).max() == 1


def test_no_face_is_in_two_splits_nor_among_the_edits(avatars: Avatars, pairs: Counterfactuals) -> None:
    loaders = (avatars.train_dataloader(), avatars.val_dataloader(), avatars.test_dataloader())
    kept = [{bytes(image) for batch in loader for image in batch.images.numpy()} for loader in loaders]
    kept.append(set(map(bytes, pairs.originals.numpy())))
    assert [len(faces) for faces in kept] == [7000, 500, 500, 300]
    assert len(set.union(*kept)) == 8300


def test_attributes_stay_with_their_images(avatars: Avatars) -> None:
    """Skin: the middle of the face is darker with ``dark_skin``."""
    for loader in (avatars.train_dataloader(), avatars.val_dataloader(), avatars.test_dataloader()):
        batches = list(loader)
        middles = torch.cat([batch.images[:, :, 32:48, 28:44].mean((1, 2, 3)) for batch in batches])
        dark = torch.cat([batch.attributes[:, NAMES.index("dark_skin")] for batch in batches]) == 1
        order = middles.argsort()
        assert dark[order[: int(dark.sum())]].double().mean() > 0.8  # less than a half if they were mixed up


def test_each_edit_is_seen_and_moves_its_attribute(pairs: Counterfactuals) -> None:
    count = 300 * 6
    assert pairs.originals.shape == pairs.edited.shape == (count, 3, 64, 64)
    assert pairs.attributes.shape == pairs.edited_attributes.shape == (count, 13)
    assert (pairs.edits.shape, pairs.edits.dtype) == ((count,), torch.int64)
    assert pairs.originals.min() >= -1
    assert pairs.originals.max() <= 1
    assert ((pairs.originals != pairs.edited).flatten(1).any(1)).all()
    change = pairs.edited_attributes - pairs.attributes
    assert (change.gather(1, pairs.edits[:, None]) != 0).all()


def test_an_edit_of_the_hair_is_named_after_its_new_colour_and_no_other_moves_two(pairs: Counterfactuals) -> None:
    change = pairs.edited_attributes - pairs.attributes
    moved = change.abs().sum(1)
    is_colour = (pairs.edits >= NAMES.index("black_hair")) & (pairs.edits <= NAMES.index("red_hair"))
    assert is_colour.sum() == 300
    assert (moved[~is_colour] == 1).all()
    assert (change.gather(1, pairs.edits[:, None])[is_colour] == 1).all()
    assert set(moved[is_colour].tolist()) == {1, 2}
    assert (change[:, NAMES.index("long_hair")].abs().sum(), is_colour.sum()) == (300, 300)


def test_an_edit_leaves_most_of_the_face_as_it_was(pairs: Counterfactuals) -> None:
    """What compression smears around the edit is small."""
    touched = ((pairs.originals - pairs.edited).abs().amax(1) > 0.25).double().mean((1, 2))
    for name, most in (("glasses", 0.2), ("smile", 0.1), ("mustache", 0.1)):
        of_it = touched[pairs.edits == NAMES.index(name)]
        assert len(of_it) == 300
        assert of_it.max() < most, name
        assert of_it.min() > 0, name


def test_smaller_faces_are_averages_and_grey_ones_have_one_channel(pairs: Counterfactuals) -> None:
    half = Avatars("avatars", (3, 32, 32), 64, 500, seed=0).counterfactuals()
    averages = torch.nn.functional.avg_pool2d(pairs.edited, 2)
    torch.testing.assert_close(half.edited, averages, atol=1.01 / 255, rtol=0)  # half of a level of 255
    assert torch.equal(half.edited_attributes, pairs.edited_attributes)
    grey = Avatars("avatars", (1, 16, 16), 64, 500, seed=0)
    assert grey.counterfactuals().edited.shape == (1800, 1, 16, 16)


def test_other_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="4 channels; images have 1 or 3"):
        check(compose("datasets", ["check", "dataset=avatars", "dataset.data_shape=[4,64,64]"]))
