"""How near a restored photograph comes to the original, and how near the answer without learning."""

from typing import Any

import torch
from torch import Tensor

from genlab.losses.fidelity import BORDER, WINDOW, brightness, signal_to_noise, structural_similarity
from genlab.losses.perceptual import ContentLoss, perceptual_distance
from genlab.metrics.evaluation import Evaluation, Score, holds_images
from genlab.models.capabilities import FillsHoles, Restores
from genlab.networks.vgg import best_features


def unfit(evaluation: Evaluation) -> str | None:
    model, dataset = evaluation.model, evaluation.dataset
    if not isinstance(model, Restores):
        return f"{evaluation.model_name} restores nothing"
    if isinstance(model, FillsHoles):
        return f"{evaluation.model_name} copies what is not in a hole; hole_psnr is of the rest"
    if not holds_images(dataset):
        return f"'{dataset.name}' holds no single images"
    least = WINDOW + 2 * BORDER
    if min(whole(side, model) for side in dataset.data_shape[1:]) < least:
        return f"images of '{dataset.name}' are smaller than {least}x{least}, a window of SSIM within the border"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """Three scores of held-out images that the model degrades and restores, each with that of ``baseline`` beside it.

    ``psnr`` and ``ssim`` are of the brightness without a border of 4 pixels, as papers on super-resolution have it;
    ``perceptual_distance_<network>`` is of all. It is no independent judge of a model that was trained to be near the
    originals in features of the same network, which ``content_loss`` then says.
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
                "ssim": structural_similarity(brightness(made, BORDER), brightness(truth, BORDER)),
                f"perceptual_distance_{network.name}": perceptual_distance(network, made, truth),
            }
            for name, values in scores.items():
                found.setdefault(kind + name, []).append(values)
    how: dict[str, Any] = {
        "degradation": model.degradation,
        "baseline_is": model.baseline_name,
        "split": evaluation.held_out[0],
        "num_images": len(items),
        "seed": evaluation.seed,
    }
    about_network = {"network": network.name}
    if isinstance(content := getattr(model, "content", None), ContentLoss):
        is_same = content.network is not None and content.network.name == network.name
        about_network["content_loss"] = content.name + (", the same network" if is_same else "")
    return [
        beside(name, torch.cat(found[name]), {"baseline": torch.cat(found[f"baseline {name}"])}, how | about)
        for name, about in (
            ("psnr", {"unit": "dB", "channel": "Y", "border": BORDER}),
            ("ssim", {"channel": "Y", "border": BORDER}),
            (f"perceptual_distance_{network.name}", about_network),
        )
    ]


def beside(name: str, values: Tensor, others: dict[str, Tensor], how: dict[str, Any]) -> Score:
    """The mean of ``(N,)`` values and those of other answers, over the images in which all are finite.

    Noise of none leaves no error at all. There is no standard error: the images may be crops of a few photographs, and
    as if they had nothing to do with each other it would be far too small.
    """
    finite = torch.stack([values, *others.values()]).isfinite().all(0)
    if not finite.all():
        how = how | {"left_out_without_error": int((~finite).sum())}
    if not finite.any():
        return Score(name, None, how | {"undefined": "no image has an error"})
    means = {answer: each[finite].double().mean().item() for answer, each in others.items()}
    return Score(name, values[finite].double().mean().item(), means | how)


def whole(side: int, model: Restores) -> int:
    """The longest side up to this one that the model can degrade and restore."""
    return side // (model.scale * model.stride) * model.scale * model.stride
