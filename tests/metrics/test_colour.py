"""Colours of perfect translations, of one colour for all, and of wrong ones."""

from typing import Any

import pytest
import torch
from tiny import Silent, evaluation
from torch import Tensor

from genlab.datasets.bags_and_shoes import BagsAndShoes
from genlab.datasets.base import Dataset
from genlab.datasets.batches import PairedImages
from genlab.datasets.embedded import Embedded
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Source
from genlab.datasets.pairs import Paired
from genlab.metrics import colour
from genlab.metrics.evaluation import Score
from genlab.models.base import GenerativeModel


class Plain(Dataset):
    """Sources and targets of one colour each, each target for two sources."""

    batch_type = PairedImages

    def __init__(self, colours: Tensor) -> None:
        super().__init__("plain", (3, 2, 2), 2, 0, 0)
        self.colours = colours.repeat_interleave(2, 0)

    def load(self) -> dict[str, Source]:
        images = self.colours[:, :, None, None].expand(-1, -1, 2, 2)
        whole = ImagesInMemory(images, torch.zeros(len(images), dtype=torch.int64))
        return {"train": Paired(whole, whole), "test": Paired(whole, whole)}

    def digest(self) -> str:
        return "plain"


class Recolours(GenerativeModel):
    """Gives an image with its channels in another order, or of one grey level."""

    batch_type = PairedImages
    directions = ("x_to_y", "y_to_x")
    stride = scale = 1

    def __init__(self, order: tuple[int, ...] = (0, 1, 2), grey: float | None = None) -> None:
        super().__init__()
        self.order = order
        self.grey = grey

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        return images[:, list(self.order)] if self.grey is None else torch.full_like(images, self.grey)


@torch.no_grad()
def measured(model: GenerativeModel, dataset: Dataset) -> dict[str, Score]:
    dataset.setup()
    return {score.name: score for score in colour.measure(evaluation(model, dataset, None))}


RED_GREEN_BLUE = torch.eye(3, dtype=torch.uint8) * 255


def test_a_perfect_model_has_no_error_and_any_other_target_is_far() -> None:
    scores = measured(Recolours(), Plain(RED_GREEN_BLUE))
    assert scores["colour_error"].value == 0
    assert scores["colour_ratio"].value == 0
    # Two of three channels differ by 2.
    assert scores["colour_ratio"].how["others"] == pytest.approx(4 / 3)


def test_one_colour_for_all_is_as_far_from_every_target() -> None:
    scores = measured(Recolours(grey=0.0), Plain(RED_GREEN_BLUE))
    assert scores["colour_error"].value == 1
    assert scores["colour_ratio"].value == pytest.approx(1)
    assert scores["colour_error"].how["num_images"] == 6


def test_targets_of_one_colour_have_no_ratio() -> None:
    score = measured(Recolours(), Plain(RED_GREEN_BLUE[:1]))["colour_ratio"]
    assert score.value is None
    assert score.how["undefined"] == "all targets are one"


@pytest.fixture(scope="module")
def bags_and_shoes() -> BagsAndShoes:
    return BagsAndShoes("bags_and_shoes", (3, 32, 32), 64, 100, 0)


def test_colours_of_both_directions_correlate_as_they_are_kept_or_exchanged(bags_and_shoes: BagsAndShoes) -> None:
    kept, turned, grey = (
        measured(model, bags_and_shoes) for model in (Recolours(), Recolours((1, 2, 0)), Recolours(grey=0.5))
    )
    kinds = ("correlation", "relation")
    assert list(kept) == [f"colour_{kind}_{way}" for way in ("x_to_y", "y_to_x") for kind in kinds]
    assert all(score.value == pytest.approx(1) for score in kept.values())
    # Of hues all round the circle, two channels are opposed by half.
    for name, score in turned.items():
        assert score.value == pytest.approx(1 if name.startswith("colour_relation") else -0.5, abs=0.1)
    assert all(score.value is None for score in grey.values())


def test_it_applies_to_translations_that_have_colours_to_keep(bags_and_shoes: BagsAndShoes) -> None:
    plain = Plain(RED_GREEN_BLUE)
    assert colour.unfit(evaluation(Recolours(), plain)) is None
    assert colour.unfit(evaluation(Recolours(), bags_and_shoes)) is None
    assert colour.unfit(evaluation(Silent(), plain)) == "Silent does not translate images"
    plain.data_shape = (1, 2, 2)
    assert colour.unfit(evaluation(Recolours(), plain)) == "'plain' has no colours"
    digits = Embedded("mnist", "mnist", (1, 28, 28), 64, 0, 0)
    assert colour.unfit(evaluation(Recolours(), digits)) == "the domains of 'mnist' have no colours in common"
