"""Translations that are what they should be, and images that are not translated."""

from typing import Any

import pytest
import torch
from tiny import Silent, evaluation
from torch import Tensor

from genlab.datasets.bags_and_shoes import BagsAndShoes
from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledUnpairedImages
from genlab.datasets.embedded import Embedded
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.pairs import Unpaired
from genlab.datasets.street_digits import LabelledUnpaired
from genlab.metrics import recognised
from genlab.metrics.features import embedded
from genlab.models.base import GenerativeModel


class Digits(Dataset):
    """MNIST as both domains."""

    batch_type = LabelledUnpairedImages
    num_classes = 10
    features = "digit"

    def __init__(self) -> None:
        super().__init__("digits", (1, 28, 28), 64, 0, 0)

    def load(self) -> dict[str, Source]:
        test = Embedded("mnist", "mnist", (1, 28, 28), 64, 5000, 0).load()["test"]
        assert isinstance(test, ImagesInMemory)
        some = ImagesInMemory(test.images[:300], test.labels[:300])
        return {"train": LabelledUnpaired(some, some, 0), "test": LabelledUnpaired(some, some, 0)}

    def digest(self) -> str:
        return "digits"


class Translator(GenerativeModel):
    """Gives, for any image, those of one kind in turn; without any, the image itself."""

    batch_type = LabelledUnpairedImages
    directions = ("x_to_y", "y_to_x")
    stride = scale = 1

    def __init__(self, **results: Tensor) -> None:
        super().__init__()
        self.results = results

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        if direction not in self.results:
            return images
        return self.results[direction][torch.arange(len(images)) % len(self.results[direction])]


@pytest.fixture(scope="module")
def bags_and_shoes() -> BagsAndShoes:
    dataset = BagsAndShoes("bags_and_shoes", (3, 32, 32), 64, 100, 0)
    dataset.setup()
    return dataset


@torch.no_grad()
def test_bags_that_became_shoes_and_shoes_that_became_bags(bags_and_shoes: BagsAndShoes) -> None:
    test = bags_and_shoes.sources["test"]
    assert isinstance(test, Unpaired)
    bags, shoes = (all_of(domain).images for domain in (test.first, test.second))
    network = embedded("fashion")
    perfect = recognised.measure(evaluation(Translator(x_to_y=shoes, y_to_x=bags), bags_and_shoes, network))
    assert [score.name for score in perfect] == ["recognised_x_to_y", "recognised_y_to_x"]
    assert [score.how["num_images"] for score in perfect] == [len(bags), len(shoes)]
    assert all(score.value is not None and score.value > 0.9 for score in perfect)
    assert [score.how["num_targets"] for score in perfect] == [len(shoes), len(bags)]
    assert all(score.how["real_targets"] > 0.9 for score in perfect)
    idle = recognised.measure(evaluation(Translator(), bags_and_shoes, network))
    assert all(score.value == score.how["untranslated"] < 0.1 for score in idle)


@torch.no_grad()
def test_pure_blue_is_seen_as_well_as_white(bags_and_shoes: BagsAndShoes) -> None:
    test = bags_and_shoes.sources["test"]
    assert isinstance(test, Unpaired)
    white = all_of(test.second).images.amax(1, keepdim=True).expand(-1, 3, -1, -1)
    blue = torch.cat([torch.full_like(white[:, :2], -1), white[:, 2:]], 1)
    network = embedded("fashion")
    scores = [
        recognised.measure(evaluation(Translator(x_to_y=shoes), bags_and_shoes, network))[0] for shoes in (white, blue)
    ]
    assert scores[0].value == scores[1].value
    assert scores[1].value is not None
    assert scores[1].value > 0.9


def all_of(domain: Source) -> Any:
    """All its items in one batch."""
    return domain.__getitems__(Chosen(-1, torch.arange(len(domain))))


@torch.no_grad()
def test_digits_should_be_those_that_they_were() -> None:
    dataset, network = Digits(), embedded("digit")
    dataset.setup()
    (score,) = recognised.measure(evaluation(Translator(), dataset, network))
    assert score.name == "translated_accuracy"
    assert score.value is not None
    assert score.value > 0.97
    assert score.value == score.how["untranslated"] == score.how["real_targets"]
    always_one = Translator(x_to_y=all_of(dataset.sources["test"]).first[2:3])
    (score,) = recognised.measure(evaluation(always_one, dataset, network))
    test = dataset.sources["test"]
    assert isinstance(test, LabelledUnpaired)
    assert score.value == pytest.approx((test.first.labels == test.first.labels[2]).double().mean().item())


def test_it_applies_where_it_is_known_what_translations_should_be(bags_and_shoes: BagsAndShoes) -> None:
    fashion, digit = embedded("fashion"), embedded("digit")
    assert recognised.unfit(evaluation(Translator(), bags_and_shoes, fashion)) is None
    assert recognised.unfit(evaluation(Silent(), bags_and_shoes, fashion)) == "Silent does not translate images"
    reason = recognised.unfit(evaluation(Translator(), bags_and_shoes, digit))
    assert reason == "the classes of 'bags_and_shoes' are those that features=fashion tells"
    mnist = Embedded("mnist", "mnist", (1, 28, 28), 64, 0, 0)
    assert recognised.unfit(evaluation(Translator(), mnist, digit)) == (
        "nobody has said what translations of 'mnist' should be seen as"
    )
