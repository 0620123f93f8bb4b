"""Distances and cycles of domains of which one has more images: each image counts once."""

from typing import Any

import pytest
import torch
from tiny import PIXELS, Items, evaluation
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledUnpairedImages, UnpairedImages
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Source
from genlab.datasets.pairs import Unpaired
from genlab.datasets.street_digits import LabelledUnpaired
from genlab.metrics import cycle_error, translation_distance
from genlab.metrics.frechet import frechet_distance
from genlab.models.base import GenerativeModel

FEW, MANY = (torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(count)) * 2 - 1 for count in (3, 7))


class Fades(GenerativeModel):
    """Halves contrast in both directions."""

    batch_type = UnpairedImages
    directions = ("x_to_y", "y_to_x")
    stride = scale = 1

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        return images / 2


class Unequal(Dataset):
    """As many images of each domain as are given, for training and test."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        super().__init__("unequal", (1, 2, 2), 1, 0, 0)
        self.batch_type = UnpairedImages
        self.domains = (first, second)

    def load(self) -> dict[str, Source]:
        both = Unpaired(Items(self.domains[0]), Items(self.domains[1]), 0)
        return {"train": both, "test": both}

    def digest(self) -> str:
        return "unequal"


class LabelledUnequal(Unequal):
    def __init__(self, first: Tensor, second: Tensor) -> None:
        super().__init__(first, second)
        self.batch_type = LabelledUnpairedImages

    def load(self) -> dict[str, Source]:
        first, second = (ImagesInMemory(images, torch.zeros(len(images)).long()) for images in self.domains)
        both = LabelledUnpaired(first, second, 0)
        return {"train": both, "test": both}


@pytest.mark.parametrize(("first", "second"), [(FEW, MANY), (MANY, FEW)])
def test_each_image_of_both_domains_counts_once(first: Tensor, second: Tensor) -> None:
    setting = evaluation(Fades(), Unequal(first, second), PIXELS, batch_size=2)
    there, back = translation_distance.measure(setting)
    for score, given, target in ((there, first, second), (back, second, first)):
        assert score.value == pytest.approx(frechet_distance(target.flatten(1), given.flatten(1) / 2), abs=1e-6)
        assert score.how["untranslated"] == pytest.approx(
            frechet_distance(target.flatten(1), given.flatten(1)), abs=1e-6
        )
        assert (score.how["num_images"], score.how["num_targets"]) == (len(given), len(target))
    for score, images in zip(cycle_error.measure(setting), (first, second), strict=True):
        assert score.value == pytest.approx(0.75 * images.abs().mean().item())
        assert score.how["num_images"] == len(images)


@pytest.mark.parametrize(("first", "second"), [(FEW, MANY), (MANY, FEW)])
def test_domains_of_labelled_images_are_whole_too(first: Tensor, second: Tensor) -> None:
    levels = [((images + 1) * 127.5).byte() for images in (first, second)]
    setting = evaluation(Fades(), LabelledUnequal(*levels), PIXELS)
    assert [len(domain) for domain in translation_distance.domains(setting)] == [len(first), len(second)]
    counts = [(score.how["num_images"], score.how["num_targets"]) for score in translation_distance.measure(setting)]
    assert counts == [(len(first), len(second)), (len(second), len(first))]


def test_at_most_num_samples_images_of_each_domain_are_taken() -> None:
    scores = translation_distance.measure(evaluation(Fades(), Unequal(FEW, MANY), PIXELS, num_samples=5))
    assert [(score.how["num_images"], score.how["num_targets"]) for score in scores] == [(3, 5), (5, 3)]
