"""Areas under the curve in closed form, and the signs of a generator that has collapsed."""

import math

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen, Source
from genlab.metrics import anomaly
from genlab.metrics.evaluation import Score
from genlab.models.base import GenerativeModel


class Labelled:
    """Given images with given labels."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        return LabelledImages(self.images[chosen.items], self.labels[chosen.items])


class Anomalies(Splits):
    """Given test images with labels 0 or 1 and perhaps masks."""

    has_anomalies = True

    def __init__(self, images: Tensor, labels: Tensor, masks: Tensor | None = None) -> None:
        super().__init__(train=images)
        self.labels = labels
        self.test_masks = masks

    def load(self) -> dict[str, Source]:
        images = self.splits["train"]
        return {"train": Labelled(images, torch.zeros(len(images))), "test": Labelled(images, self.labels)}


class Restores(GenerativeModel):
    """Restores by a rule; scores by the absolute difference, times ``scale``."""

    batch_type = LabelledImages

    def __init__(self, keep: float, scale: float = 1.0) -> None:
        super().__init__()
        self.keep, self.scale = keep, scale

    def restore(self, images: Tensor) -> Tensor:
        return images.clamp(-0.5, 0.5) * self.keep

    def anomaly_score(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        return self.scale * self.anomaly_map(images, restored).flatten(1).mean(1)

    def anomaly_map(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        return (images - (self.restore(images) if restored is None else restored)).abs()


LABELS = torch.tensor([0, 1]).repeat(10)


def some_images() -> tuple[Tensor, Tensor]:
    """Noise within ±0.5, every second image with a square of ones at a corner; where the square is."""
    images = torch.rand(20, 1, 12, 12, generator=torch.Generator().manual_seed(0)) - 0.5
    masks = torch.zeros(20, 1, 12, 12, dtype=torch.bool)
    masks[1::2, :, :4, :4] = True
    return images.masked_fill(masks, 1.0), masks


def measured(model: Restores, images: Tensor, masks: Tensor | None = None, **settings: int) -> dict[str, Score]:
    with torch.no_grad():
        scores = anomaly.measure(evaluation(model, Anomalies(images, LABELS, masks), None, **settings))
    return {score.name: score for score in scores}


@pytest.mark.parametrize(
    ("values", "labels", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1], 1.0),
        ([0.0, 1.0, 2.0, 3.0], [1, 1, 0, 0], 0.0),
        ([0.0, 1.0, 2.0, 3.0], [0, 1, 0, 1], 0.75),
        ([5.0, 5.0, 5.0, 5.0], [0, 1, 0, 1], 0.5),
        ([1.0, 1.0, 2.0], [0, 1, 1], 0.75),
        ([600.0, 700.0, 800.0, 900.0], [0, 0, 1, 1], 1.0),
        ([-3e4, 2e4, 3e4], [1, 0, 1], 0.5),
    ],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(
    values: list[float], labels: list[int], expected: float
) -> None:
    assert anomaly.auroc(torch.tensor(values), torch.tensor(labels)) == pytest.approx(expected)


def test_a_perfect_detector() -> None:
    scores = measured(Restores(keep=1.0), *some_images())
    assert list(scores) == ["image_auroc", "peak_auroc", "pixel_auroc", "normal_score", "anomaly_ratio"]
    assert [scores[name].value for name in ("image_auroc", "peak_auroc", "pixel_auroc")] == [1, 1, 1]
    assert scores["image_auroc"].how == {"split": "test", "num_normal": 10, "num_anomalous": 10}
    assert scores["normal_score"].value == 0
    assert scores["normal_score"].how["diversity_kept"] == pytest.approx(1)


def test_a_model_that_restores_everything_to_grey_has_collapsed_however_well_it_scores() -> None:
    scores = measured(Restores(keep=0.0), *some_images())
    assert scores["image_auroc"].value == 1
    assert scores["image_auroc"].how["collapsed"] == "restored normal images differ 0.00 times as much as the images"


def test_a_ratio_near_one_is_a_collapse_unless_anomalies_are_small() -> None:
    images, masks = some_images()
    kept = measured(Restores(keep=0.6), images)
    assert kept["anomaly_ratio"].value == pytest.approx(1.55, abs=0.1)
    assert "collapsed" not in kept["anomaly_ratio"].how
    faint = torch.where(masks, images.clamp(max=0.55), images)
    assert "score only" in measured(Restores(keep=0.6), faint)["anomaly_ratio"].how["collapsed"]
    assert "collapsed" not in measured(Restores(keep=0.6), faint, masks)["anomaly_ratio"].how


def test_large_scores_are_not_taken_for_logits() -> None:
    images, _ = some_images()
    small, large = (measured(Restores(0.6, scale), images)["image_auroc"].value for scale in (1e-3, 1e5))
    assert small == large == 1


def test_batches_change_nothing_and_fewer_images_are_drawn_by_the_seed() -> None:
    images, masks = some_images()
    whole, parts = (measured(Restores(0.6), images, masks, batch_size=size) for size in (20, 3))
    assert {name: score.value for name, score in whole.items()} == pytest.approx(
        {name: score.value for name, score in parts.items()}
    )
    some = measured(Restores(1.0), images, masks, num_samples=8)
    assert some["image_auroc"].how["num_normal"] + some["image_auroc"].how["num_anomalous"] == 8
    assert some["pixel_auroc"].value == 1


def test_a_value_that_is_not_finite_leaves_the_area_undefined() -> None:
    images, masks = some_images()
    images[3, 0, 2, 2] = math.nan
    scores = measured(Restores(1.0), images, masks)
    assert scores["image_auroc"].value is None
    assert scores["image_auroc"].how["undefined"] == "1 of 20 values are not finite"


def test_one_kind_alone_leaves_the_area_undefined() -> None:
    images, _ = some_images()
    dataset = Anomalies(images, torch.zeros(20, dtype=torch.int64))
    [image, peak] = anomaly.measure(evaluation(Restores(1.0), dataset, None))
    assert image.value is peak.value is None
    assert image.how["undefined"] == "all are normal or all are anomalous"


def test_it_applies_to_detectors_and_data_with_anomalies() -> None:
    images, _ = some_images()
    anomalies = Anomalies(images, LABELS)
    assert anomaly.unfit(evaluation(Restores(1.0), anomalies, None)) is None
    assert anomaly.unfit(evaluation(Silent(), anomalies, None)) == "Silent detects no anomalies"
    plain = Splits(train=images)
    assert anomaly.unfit(evaluation(Restores(1.0), plain, None)) == "'tiny' has no anomalous images"
