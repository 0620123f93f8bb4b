"""The embedded judge of attributes, and what it says of samples that are known."""

from typing import Any

import pytest
import torch
from tiny import Repeats, Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.avatars import Avatars
from genlab.datasets.batches import ImagesWithAttributes
from genlab.datasets.loader import Chosen
from genlab.metrics import attributes
from genlab.metrics.evaluation import Score
from genlab.models.base import GenerativeModel


class Photographs(GenerativeModel):
    """Shows real faces that come nearest to what is asked for, or to its opposite."""

    batch_type = ImagesWithAttributes

    def __init__(self, dataset: Avatars, contrary: bool = False) -> None:
        super().__init__()
        source = dataset.sources["test"]
        self.faces, self.shown = source.__getitems__(Chosen(-1, torch.arange(len(source))))
        self.attribute_names = dataset.attribute_names
        self.contrary = contrary

    def condition(self, words: Any) -> Tensor:
        return torch.tensor([float(name in words) for name in self.attribute_names])

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        asked = 1 - condition if self.contrary else condition
        misses = (asked[:, None] - self.shown).abs().nan_to_num(0).sum(2)
        return self.faces[misses.argmin(1)]


@pytest.fixture(scope="module", params=[64, 32])
def avatars(request: pytest.FixtureRequest) -> Avatars:
    dataset = Avatars("avatars", (3, request.param, request.param), 64, 0, 0)
    dataset.setup()
    return dataset


@torch.no_grad()
def measured(model: GenerativeModel, dataset: Avatars) -> dict[str, Score]:
    return {score.name: score for score in attributes.measure(evaluation(model, dataset, None, num_samples=260))}


@torch.no_grad()
def test_the_judge_knows_the_attributes_of_test_images_at_both_sizes(avatars: Avatars) -> None:
    source = avatars.sources["test"]
    images, truth = source.__getitems__(Chosen(-1, torch.arange(len(source))))
    accuracy = (attributes.judged(images) == truth).float().mean(0)
    assert accuracy.mean() > 0.995
    assert accuracy.min() > 0.97


def test_photographs_have_what_is_asked_for(avatars: Avatars) -> None:
    scores = measured(Photographs(avatars), avatars)
    assert list(scores) == ["attribute_accuracy", "attribute_precision", "single_attribute_precision"]
    values = [score.value for score in scores.values() if score.value is not None]
    assert values == pytest.approx([0.95, 0.95, 0.99], abs=0.05)
    how = scores["single_attribute_precision"].how
    assert list(how["of_each"]) == avatars.attribute_names
    assert how["least_share"] == pytest.approx(min(how["of_each"].values()), abs=1e-3)
    assert how["num_samples"] == 260
    assert len(how["sha256"]) == 64


def test_the_opposite_of_what_is_asked_for_scores_nothing(avatars: Avatars) -> None:
    scores = measured(Photographs(avatars, contrary=True), avatars)
    found = [scores[name].value for name in ("attribute_accuracy", "single_attribute_precision")]
    assert all(value is not None and value < 0.35 for value in found)


def test_it_applies_to_models_that_take_attributes_of_coloured_avatars() -> None:
    grey = Avatars("avatars", (1, 32, 32), 64, 0, 0)
    others = Splits(train=torch.zeros(1, 1, 2, 2))
    model = Photographs.__new__(Photographs)
    GenerativeModel.__init__(model)
    model.attribute_names = []
    assert attributes.unfit(evaluation(Silent(), grey)) == "Silent takes no attributes"
    assert attributes.unfit(evaluation(Repeats(torch.zeros(1)), grey)) == "Repeats takes no attributes"
    assert attributes.unfit(evaluation(model, grey)) == "the embedded classifier of attributes needs colours"
    assert attributes.unfit(evaluation(model, others)) == (
        "no embedded classifier knows attributes of 'tiny', but those of avatars"
    )
    assert attributes.unfit(evaluation(model, Avatars("avatars", (3, 32, 32), 64, 0, 0))) is None
