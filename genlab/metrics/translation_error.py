"""How near translations come to what the images really are in the other domain, where that is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from genlab.datasets.batches import LabelledImages, PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen, Source
from genlab.losses.fidelity import WINDOW, structural_similarity
from genlab.losses.perceptual import perceptual_distance
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.models.capabilities import Translates
from genlab.neighbours import nearest
from genlab.networks.vgg import VGG16Features

Measured = Callable[[Tensor, Tensor], Tensor]
"""``(N, C, H, W)`` in [-1, 1], images and truth -> ``(N,)``."""

PERCEPTUAL_SIDE = 8
"""Pixels that a side must have, so that one is left after three halvings."""


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Translates):
        return f"{evaluation.model_name} does not translate images"
    dataset = evaluation.dataset
    if issubclass(dataset.batch_type, PairedImages):
        return None
    if not issubclass(dataset.batch_type, UnpairedImages):
        return f"'{dataset.name}' has no pairs of images"
    dataset.setup("test")
    if dataset.has_counterparts and "test" in dataset.sources:
        return None
    return f"nobody knows what images of '{dataset.name}' are in the other domain"


def measure(evaluation: Evaluation) -> list[Score]:
    """Four scores of each direction, over at most ``num_samples`` held-out images.

    ``error_<direction>``: mean absolute error of pixels in [-1, 1]; ``ssim_…``: 1 if equal; ``psnr_…`` in dB; and
    ``perceptual_…``: distance of features, 0 if equal, see ``genlab.losses.perceptual``. Beside each stands what one
    has without a model: ``untranslated`` is the image itself; where training had pairs, ``nearest`` is what the
    nearest training image became, by the squared distance of pixels.
    """
    network = VGG16Features().to(evaluation.model.device)
    measures: dict[str, Measured] = {
        "error": lambda images, truth: (images - truth).abs().flatten(1).mean(1),
        "psnr": psnr,
    }
    side = min(evaluation.dataset.data_shape[1:])
    if side >= WINDOW:
        measures["ssim"] = lambda images, truth: structural_similarity((images + 1) / 2, (truth + 1) / 2)
    if side >= PERCEPTUAL_SIDE:
        measures["perceptual"] = lambda images, truth: perceptual_distance(network, images, truth)
    model = evaluation.model
    assert isinstance(model, Translates)
    return [score for direction in model.directions for score in of_direction(evaluation, direction, measures)]


def of_direction(evaluation: Evaluation, direction: str, measures: dict[str, Measured]) -> list[Score]:
    model, (split, held) = evaluation.model, evaluation.held_out
    assert isinstance(model, Translates)
    is_paired, items = issubclass(evaluation.dataset.batch_type, PairedImages), evaluation.items(evaluation.num_samples)
    train = evaluation.dataset.sources["train"]
    found: dict[str, dict[str, list[Tensor]]] = {name: {} for name in measures}
    for part in progress(items.split(evaluation.batch_size), f"translations {direction}"):
        given, truth = oriented(held.__getitems__(Chosen(-1, part)), direction)
        answers = {"translated": model.translate(given.to(model.device), direction).float().clamp(-1, 1)}
        if given.shape == truth.shape:
            answers["untranslated"] = given.to(model.device)
        if is_paired:
            _, places = nearest(given, Given(train, direction), 1)
            answers["nearest"] = oriented(train.__getitems__(Chosen(-1, places[:, 0])), direction)[1].to(model.device)
        truth = truth.to(model.device)
        for name, measured in measures.items():
            for answer, images in answers.items():
                found[name].setdefault(answer, []).append(measured(images, truth).cpu())
    scores = []
    for name, values in found.items():
        each = {answer: torch.cat(parts) for answer, parts in values.items()}
        trivial = {answer: each[answer].double().mean() for answer in each if answer != "translated"}
        how: dict[str, Any] = {answer: value.item() for answer, value in trivial.items() if value.isfinite()}
        how |= {"split": split, "num_images": len(items)} | ({"unit": "dB"} if name == "psnr" else {})
        how |= {"features": "vgg16_hed"} if name == "perceptual" else {}
        scores.append(mean_score(f"{name}_{direction}", each["translated"], how))
    return scores


@dataclass(frozen=True)
class Given:
    """The images that are translated in one direction, as a source of images alone."""

    pairs: Source
    direction: str

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        images = oriented(self.pairs.__getitems__(chosen), self.direction)[0]
        return LabelledImages(images, torch.zeros(len(images), dtype=torch.int64))


def oriented(batch: PairedImages | UnpairedImages, direction: str) -> tuple[Tensor, Tensor]:
    """What is translated in a direction, and what it should become."""
    first, second = batch
    return (first, second) if direction == "x_to_y" else (second, first)


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    return peak_signal_noise_ratio((images + 1) / 2, (truth + 1) / 2, data_range=1.0, reduction="none", dim=(1, 2, 3))
