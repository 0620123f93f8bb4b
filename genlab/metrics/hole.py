"""How near what fills a hole comes to what was there."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from genlab.losses.fidelity import hole_signal_to_noise
from genlab.metrics.evaluation import Evaluation, Score, holds_images
from genlab.metrics.restoration import beside
from genlab.models.capabilities import FillsHoles

RING = 4
"""Pixels around a hole whose mean is the simplest filling."""


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, FillsHoles):
        return f"{evaluation.model_name} fills no holes"
    return None if holds_images(evaluation.dataset) else f"'{evaluation.dataset.name}' holds no single images"


def measure(evaluation: Evaluation) -> list[Score]:
    """``hole_psnr``: of the colours within the holes of held-out images.

    Beside it stand those of two fillings without learning: ``baseline``, the model's own, and ``ring_mean``, the mean
    of the visible pixels that are at most 4 rows and columns away.
    """
    model, generator, items = evaluation.model, evaluation.generator(), evaluation.items(evaluation.num_samples)
    assert isinstance(model, FillsHoles)
    found: list[Tensor] = []
    others: dict[str, list[Tensor]] = {"baseline": [], "ring_mean": []}
    for images in evaluation.batches(items, evaluation.batch_size, "filled holes"):
        degraded = model.degrade(images, generator)
        hole = model.hole(degraded)
        found.append(hole_signal_to_noise(model.translate(degraded), images, hole))
        for answer, made in (("baseline", model.baseline(degraded)), ("ring_mean", ring_mean(degraded, hole))):
            others[answer].append(hole_signal_to_noise(made, images, hole))
    how = {
        "unit": "dB",
        "degradation": model.degradation,
        "baseline_is": model.baseline_name,
        "split": evaluation.held_out[0],
        "num_images": len(items),
        "seed": evaluation.seed,
    }
    return [beside("hole_psnr", torch.cat(found), {answer: torch.cat(each) for answer, each in others.items()}, how)]


def ring_mean(images: Tensor, hole: Tensor) -> Tensor:
    """Holes ``(N, 1, H, W)`` bool of images ``(N, C, H, W)``, each in the mean colour of what is around it."""
    ring = (max_pool2d(hole.float(), 2 * RING + 1, stride=1, padding=RING) > 0) & ~hole
    mean = (images * ring).sum((2, 3), keepdim=True) / ring.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.where(hole, mean, images)
