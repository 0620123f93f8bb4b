"""Errors, distances and cycles of translators whose answers are known, beside the trivial answers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import PIXELS, Items, Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledUnpairedImages, PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.pairs import Paired, Unpaired
from genlab.losses.fidelity import structural_similarity
from genlab.metrics import cycle_error, translation_distance, translation_error
from genlab.metrics.evaluation import Evaluation, Score
from genlab.metrics.frechet import frechet_distance
from genlab.models.base import GenerativeModel

SIDE = 16


class Translator(GenerativeModel):
    """Does the same in all directions."""

    batch_type = PairedImages | UnpairedImages
    stride = 1
    scale = 1

    def __init__(self, function: Callable[[Tensor], Tensor], *directions: str) -> None:
        super().__init__()
        self.function = function
        self.directions = directions or ("x_to_y",)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        return self.function(images)


class Couples(Dataset):
    """An image and its negative: 5 to train on and 7 to test on."""

    def __init__(self, batch_type: Any, has_counterparts: bool = False) -> None:
        super().__init__("couples", (1, SIDE, SIDE), 1, 0, 0)
        self.batch_type = batch_type
        self.has_counterparts = has_counterparts
        images = torch.rand(12, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
        self.train, self.test = images[:5], images[5:]

    def load(self) -> dict[str, Source]:
        parts = {"train": self.train, "test": self.test}
        if self.batch_type is PairedImages:
            return {split: Paired(Items(images), Items(-images)) for split, images in parts.items()}
        return {split: Unpaired(Items(images), Items(-images), 0) for split, images in parts.items()}

    def digest(self) -> str:
        return "couples"


PAIRED, UNPAIRED = Couples(PairedImages), Couples(UnpairedImages, has_counterparts=True)


def found(metric: Any, setting: Evaluation) -> dict[str, Score]:
    assert metric.unfit(setting) is None
    return {score.name: score for score in metric.measure(setting)}


def test_a_perfect_translator_and_the_trivial_answers() -> None:
    scores = found(translation_error, evaluation(Translator(torch.neg), PAIRED, batch_size=3))
    assert set(scores) == {"error_x_to_y", "psnr_x_to_y", "ssim_x_to_y", "perceptual_x_to_y"}
    assert scores["error_x_to_y"].value == 0
    assert scores["ssim_x_to_y"].value == pytest.approx(1)
    assert scores["perceptual_x_to_y"].value == pytest.approx(0, abs=1e-6)
    assert scores["perceptual_x_to_y"].how["features"] == "vgg16_hed"
    assert scores["psnr_x_to_y"].value is None  # infinite
    how = scores["error_x_to_y"].how
    assert (how["split"], how["num_images"]) == ("test", 7)
    assert how["untranslated"] == pytest.approx((2 * PAIRED.test).abs().mean().item())
    apart = (PAIRED.test[:, None] - PAIRED.train[None]).square().flatten(2).sum(2)
    nearest = -PAIRED.train[apart.argmin(1)]
    assert how["nearest"] == pytest.approx((nearest + PAIRED.test).abs().mean().item())


def test_an_error_that_is_known() -> None:
    scores = found(translation_error, evaluation(Translator(lambda images: 0.5 - images), PAIRED))
    error = ((0.5 - PAIRED.test).clamp(-1, 1) + PAIRED.test).abs().flatten(1).mean(1)
    assert scores["error_x_to_y"].value == pytest.approx(error.mean().item())
    assert scores["error_x_to_y"].how["standard_error"] == pytest.approx(error.std().item() / 7**0.5)
    scores = found(translation_error, evaluation(Translator(lambda images: -0.9 * images), PAIRED))
    squared = (0.1 * PAIRED.test / 2).square().flatten(1).mean(1)
    assert scores["psnr_x_to_y"].value == pytest.approx((-10 * squared.log10()).mean().item(), rel=1e-5)
    assert scores["psnr_x_to_y"].how["unit"] == "dB"
    within = structural_similarity((1 - 0.9 * PAIRED.test) / 2, (1 - PAIRED.test) / 2)
    assert scores["ssim_x_to_y"].value == pytest.approx(within.mean().item(), rel=1e-5)
    assert 0.9 < within.mean() < 1
    assert 0 < (scores["perceptual_x_to_y"].value or 0) < scores["perceptual_x_to_y"].how["untranslated"]


def test_counterparts_of_two_domains_are_truth_in_both_directions() -> None:
    scores = found(translation_error, evaluation(Translator(torch.neg, "x_to_y", "y_to_x"), UNPAIRED))
    assert scores["error_x_to_y"].value == scores["error_y_to_x"].value == 0
    assert "nearest" not in scores["error_x_to_y"].how  # training had no pairs
    assert "untranslated" in scores["error_y_to_x"].how


def test_the_distance_to_the_other_domain() -> None:
    """Of pixels as features, where the untranslated images are as far as images from their negatives."""
    scores = found(translation_distance, evaluation(Translator(torch.neg, "x_to_y", "y_to_x"), UNPAIRED, PIXELS))
    assert set(scores) == {"fd_pixels_x_to_y", "fd_pixels_y_to_x"}
    rows = UNPAIRED.test.flatten(1)
    for score in scores.values():
        assert score.value == pytest.approx(0, abs=1e-6)
        assert score.how["untranslated"] == pytest.approx(frechet_distance(rows, -rows))
        assert score.how["network"] == "pixels"


def test_without_a_network_the_distance_takes_the_embedded_one() -> None:
    [score] = translation_distance.measure(evaluation(Translator(torch.neg), PAIRED, None))
    assert score.name == "fd_efficientnet_lite0_x_to_y"


def test_a_translation_that_is_not_finite_has_no_distance() -> None:
    [score] = translation_distance.measure(evaluation(Translator(lambda images: images / 0), PAIRED))
    assert score.value is None or score.value >= 0
    nan = Translator(lambda images: images * torch.nan)
    [score] = translation_distance.measure(evaluation(nan, PAIRED))
    assert score.value is None
    assert "7 of 7 translations are not finite" in score.how["undefined"]


def test_a_cycle_that_loses_a_known_part() -> None:
    scores = found(cycle_error, evaluation(Translator(lambda images: images / 2, "x_to_y", "y_to_x"), UNPAIRED))
    expected = pytest.approx(0.75 * UNPAIRED.test.abs().mean().item())
    assert scores["cycle_error_x"].value == expected
    assert scores["cycle_error_y"].value == expected


@pytest.mark.parametrize(
    ("metric", "model", "dataset", "reason"),
    [
        (translation_error, Silent(), PAIRED, "Silent does not translate images"),
        (
            translation_error,
            Translator(torch.neg),
            Couples(UnpairedImages),
            "nobody knows what",
        ),
        (translation_error, Translator(torch.neg), Couples(LabelledUnpairedImages), "'couples' has no pairs of images"),
        (translation_error, Translator(torch.neg), Splits(test=PAIRED.test), "'tiny' has no pairs of images"),
        (translation_distance, Translator(torch.neg), Splits(test=PAIRED.test), "'tiny' has no two domains of images"),
        (translation_distance, Silent(), PAIRED, "Silent does not translate images"),
        (cycle_error, Translator(torch.neg), UNPAIRED, "Translator translates in one direction only"),
        (cycle_error, Translator(torch.neg), Splits(test=PAIRED.test), "'tiny' has no two domains of images"),
    ],
)
def test_what_cannot_be_measured(metric: Any, model: GenerativeModel, dataset: Dataset, reason: str) -> None:
    assert reason in metric.unfit(evaluation(model, dataset))


def test_the_images_alone_are_a_source() -> None:
    PAIRED.load_once()
    pairs = PAIRED.sources["train"]
    there = translation_error.Given(pairs, "y_to_x").__getitems__(Chosen(-1, torch.tensor([1, 0]))).images
    assert torch.equal(there, -PAIRED.train[[1, 0]])
