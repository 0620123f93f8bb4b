"""Edits of a perfect model, of one that does nothing, and of one that always does the same."""

from typing import Any

import pytest
import torch
from tiny import Silent, evaluation
from torch import Tensor

from genlab.datasets.avatars import Avatars
from genlab.datasets.batches import ImagesWithAttributes
from genlab.metrics import edits
from genlab.metrics.evaluation import Score
from genlab.models.base import GenerativeModel


class Editor(GenerativeModel):
    """Gives for the pairs in turn the truth, the original, or a share of the way between them."""

    batch_type = ImagesWithAttributes

    def __init__(self, dataset: Avatars, share: float) -> None:
        super().__init__()
        self.originals, self.edited, *_ = dataset.counterfactuals()
        self.attribute_names = dataset.attribute_names
        self.share = share
        self.done = 0

    def condition(self, words: Any) -> Tensor:
        raise AssertionError

    def edit(self, images: Tensor, condition: Tensor) -> Tensor:
        part = slice(self.done, self.done + len(images))
        assert torch.equal(images, self.originals[part])
        assert set(condition.unique().tolist()) == {0, 1}
        self.done += len(images)
        return torch.lerp(self.originals[part], self.edited[part], self.share)


@pytest.fixture(scope="module")
def avatars() -> Avatars:
    dataset = Avatars("avatars", (3, 32, 32), 64, 0, 0)
    dataset.setup()
    return dataset


@torch.no_grad()
def measured(dataset: Avatars, share: float) -> dict[str, Score]:
    found = edits.measure(evaluation(Editor(dataset, share), dataset, None, batch_size=500))
    return {score.name: score for score in found}


def test_a_perfect_model(avatars: Avatars) -> None:
    scores = measured(avatars, 1)
    assert list(scores) == ["better_edits", "edit_error", "edit_accuracy"]
    assert scores["better_edits"].value == 9
    assert scores["better_edits"].how["num_attributes"] == 9
    assert scores["better_edits"].how["num_edits"] == 1800
    assert scores["edit_error"].value == 0
    assert scores["edit_accuracy"].value == pytest.approx(0.995, abs=0.005)
    assert list(scores["edit_accuracy"].how["of_each"]) == [
        *("long_hair", "black_hair", "brown_hair", "blond_hair", "red_hair", "dark_skin", "glasses", "smile"),
        "mustache",
    ]


def test_to_do_nothing_is_no_edit(avatars: Avatars) -> None:
    scores = measured(avatars, 0)
    assert scores["better_edits"].value == 0
    assert scores["edit_error"].value == scores["edit_error"].how["unedited"] > 0.05
    assert scores["edit_accuracy"].value == pytest.approx(0.005, abs=0.005)


def test_half_of_the_way_is_half_of_the_error(avatars: Avatars) -> None:
    score = measured(avatars, 0.5)["edit_error"]
    assert score.value == pytest.approx(score.how["unedited"] / 2)


def test_it_applies_to_models_that_edit(avatars: Avatars) -> None:
    assert edits.unfit(evaluation(Silent(), avatars)) == "Silent does not edit"
    assert edits.unfit(evaluation(Editor(avatars, 1), avatars)) is None
