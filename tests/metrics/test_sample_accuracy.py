"""Whether samples are of the class that was asked for: real images are, and those of another class are not."""

import pytest
import torch
from tiny import Repeats, Splits, evaluation
from torch import Tensor

from genlab.datasets.embedded import Embedded
from genlab.datasets.loader import Chosen
from genlab.metrics import sample_accuracy as metric
from genlab.metrics.evaluation import Evaluation, Score
from genlab.metrics.features import embedded
from genlab.models.base import GenerativeModel


class OfClass(GenerativeModel):
    """Draws real images of the class ``rule`` of the label."""

    num_classes = 10

    def __init__(self, images: Tensor, labels: Tensor, rule: list[int]) -> None:
        super().__init__()
        self.images = [images[labels == rule[label]] for label in range(10)]

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        assert condition is not None
        drawn = [int(torch.randint(100, (), generator=generator)) for _ in condition]
        return torch.stack([self.images[label][i] for label, i in zip(condition.tolist(), drawn, strict=True)])


@pytest.fixture(scope="module")
def fashion() -> Embedded:
    return Embedded("fashion_mnist", "fashion_mnist", (1, 28, 28), 128, 0, 0)


def of(dataset: Embedded, rule: list[int], **settings: int) -> Evaluation:
    dataset.setup("test")
    source = dataset.sources["test"]
    images, labels = source.__getitems__(Chosen(-1, torch.arange(len(source))))
    return evaluation(OfClass(images, labels, rule), dataset, embedded("fashion"), **({"num_samples": 1000} | settings))


@torch.no_grad()
def measured(found: Evaluation) -> Score:
    assert metric.unfit(found) is None
    [score] = metric.measure(found)
    assert score.name == "sample_accuracy"
    return score


def test_real_images_are_as_accurate_as_the_classifier(fashion: Embedded) -> None:
    score = measured(of(fashion, list(range(10))))
    assert score.value == pytest.approx(0.8975, abs=0.03)  # its accuracy on all test images
    low, high = score.how["interval"]
    assert low < score.value < high
    assert high - low == pytest.approx(2 * 1.96 * (score.value * (1 - score.value) / 1000) ** 0.5, rel=0.3)
    assert score.how["least_accurate"] == "shirt"  # which it takes for T-shirts and coats
    assert score.how["least_accuracy"] < 0.8
    assert (score.how["num_samples"], score.how["network"]) == (1000, "fashion_features")
    assert {"seed", "sha256", "resize"} < score.how.keys()


def test_images_of_another_class_are_wrong(fashion: Embedded) -> None:
    score = measured(of(fashion, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]))
    assert score.value is not None
    assert score.value < 0.1
    assert score.how["least_accuracy"] == 0


def test_a_model_without_one_class_is_seen_through(fashion: Embedded) -> None:
    score = measured(of(fashion, [0, 8, 2, 3, 4, 5, 6, 7, 8, 9]))
    assert score.value == pytest.approx(0.8, abs=0.03)
    assert (score.how["least_accurate"], score.how["least_accuracy"]) == ("trouser", 0)


def test_labels_come_in_turn_whatever_the_batch_size(fashion: Embedded) -> None:
    scores = [measured(of(fashion, list(range(10)), num_samples=95, batch_size=size)) for size in (1, 7, 95)]
    assert len({score.value for score in scores}) == 1
    assert measured(of(fashion, list(range(10)), num_samples=3)).how["num_samples"] == 3


def test_it_applies_where_the_classifier_tells_the_classes_of_the_data(fashion: Embedded) -> None:
    found = of(fashion, list(range(10)))
    assert metric.unfit(evaluation(Repeats(torch.zeros(1)), fashion, embedded("fashion"))) == "Repeats takes no labels"
    other = "the classes of 'fashion_mnist' are not those that digit_features tells"
    assert metric.unfit(evaluation(found.model, fashion, embedded("digit"))) == other
    unknown = "the classes of 'tiny' are not those that fashion_features tells"
    assert metric.unfit(evaluation(found.model, Splits(train=torch.zeros(1, 1, 2, 2)), embedded("fashion"))) == unknown
    one_class = Embedded("one", "fashion_mnist", (1, 28, 28), 128, 0, 0, normal_class=3)
    assert "the classes of 'one'" in str(metric.unfit(evaluation(found.model, one_class, embedded("fashion"))))
