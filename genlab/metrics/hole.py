"""How near what fills a hole comes to what was there."""

import torch
from torch import Tensor

from genlab.losses.fidelity import hole_signal_to_noise
from genlab.metrics.evaluation import Evaluation, Score, holds_images
from genlab.metrics.restoration import with_baseline
from genlab.models.capabilities import FillsHoles


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, FillsHoles):
        return f"{evaluation.model_name} fills no holes"
    return None if holds_images(evaluation.dataset) else f"'{evaluation.dataset.name}' holds no single images"


def measure(evaluation: Evaluation) -> list[Score]:
    """``hole_psnr``: of the colours within the holes of held-out images, with that of ``baseline`` beside it."""
    model, generator, items = evaluation.model, evaluation.generator(), evaluation.items(evaluation.num_samples)
    assert isinstance(model, FillsHoles)
    found: list[Tensor] = []
    baseline: list[Tensor] = []
    for images in evaluation.batches(items, evaluation.batch_size, "filled holes"):
        degraded = model.degrade(images, generator)
        hole = model.hole(degraded)
        found.append(hole_signal_to_noise(model.translate(degraded), images, hole))
        baseline.append(hole_signal_to_noise(model.baseline(degraded), images, hole))
    how = {
        "unit": "dB",
        "degradation": model.degradation,
        "split": evaluation.held_out[0],
        "num_images": len(items),
        "seed": evaluation.seed,
    }
    return [with_baseline("hole_psnr", torch.cat(found), torch.cat(baseline), how)]
