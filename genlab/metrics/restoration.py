"""How near a restored photograph comes to the original, and how near the answer without learning."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from genlab.losses.fidelity import BORDER, brightness, signal_to_noise
from genlab.losses.perceptual import perceptual_distance
from genlab.metrics.evaluation import Evaluation, Score, holds_images, mean_score
from genlab.models.capabilities import Restores
from genlab.networks.vgg import best_features

WINDOW = 11
"""Pixels on a side of the Gaussian window of SSIM."""


def unfit(evaluation: Evaluation) -> str | None:
    model, dataset = evaluation.model, evaluation.dataset
    if not isinstance(model, Restores):
        return f"{evaluation.model_name} restores nothing"
    if not holds_images(dataset):
        return f"'{dataset.name}' holds no single images"
    least = WINDOW + 2 * BORDER
    if min(whole(side, model) for side in dataset.data_shape[1:]) < least:
        return f"images of '{dataset.name}' are smaller than {least}x{least}, a window of SSIM within the border"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """Three scores of held-out images that the model degrades and restores, each with that of ``baseline`` beside it.

    ``psnr`` and ``ssim`` are of the brightness without a border of 4 pixels, as papers on super-resolution have it;
    ``perceptual_distance_<network>`` is of all.
    """
    model, generator = evaluation.model, evaluation.generator()
    assert isinstance(model, Restores)
    network = best_features().to(evaluation.model.device)
    items = evaluation.items(evaluation.num_samples)
    found: dict[str, list[Tensor]] = {}
    for images in evaluation.batches(items, evaluation.batch_size, "restored images"):
        truth = images[:, :, : whole(images.shape[2], model), : whole(images.shape[3], model)]
        degraded = model.degrade(truth, generator)
        for kind, made in (("", model.translate(degraded)), ("baseline ", model.baseline(degraded))):
            scores = {
                "psnr": signal_to_noise(made, truth, BORDER),
                "ssim": similarity(made, truth),
                f"perceptual_distance_{network.name}": perceptual_distance(network, made, truth),
            }
            for name, values in scores.items():
                found.setdefault(kind + name, []).append(values)
    how: dict[str, Any] = {
        "degradation": model.degradation,
        "split": evaluation.held_out[0],
        "num_images": len(items),
        "seed": evaluation.seed,
    }
    return [
        with_baseline(name, torch.cat(found[name]), torch.cat(found[f"baseline {name}"]), how | about)
        for name, about in (
            ("psnr", {"unit": "dB", "channel": "Y", "border": BORDER}),
            ("ssim", {"channel": "Y", "border": BORDER}),
            (f"perceptual_distance_{network.name}", {"network": network.name}),
        )
    ]


def with_baseline(name: str, values: Tensor, baseline: Tensor, how: dict[str, Any]) -> Score:
    """The mean of ``(N,)`` values over the images in which both are finite: noise of none leaves no error at all."""
    both = values.isfinite() & baseline.isfinite()
    if not both.all():
        how = how | {"left_out_without_error": int((~both).sum())}
    if not both.any():
        return Score(name, None, how | {"undefined": "no image has an error"})
    return mean_score(name, values[both], {"baseline": baseline[both].double().mean().item()} | how)


def similarity(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al., 2004, doi:10.1109/TIP.2003.819861) of the brightness of each image, ``(N,)``.

    The mean over all windows of 11x11 pixels, weighted by a Gaussian of 1.5 pixels, that lie within the image.

    Shapes: ``(N, C, H, W)`` in [-1, 1], both.
    """
    _, windows = structural_similarity_index_measure(
        brightness(images, BORDER), brightness(truth, BORDER), data_range=1.0, reduction="none", return_full_image=True
    )
    edge = WINDOW // 2
    return windows[:, :, edge:-edge, edge:-edge].mean((1, 2, 3))


def whole(side: int, model: Restores) -> int:
    """The longest side up to this one that the model can degrade and restore."""
    return side // (model.scale * model.stride) * model.scale * model.stride
