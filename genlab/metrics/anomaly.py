"""How well anomalous images, and the anomalous pixels in them, are told from normal ones.

The area under the receiver operating characteristic is the probability that an anomalous item scores higher than a
normal one. A generator that has collapsed may still score well, because it restores normal images badly and others
worse; so what it makes of normal images is looked at as well.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.classification import binary_auroc

from genlab.datasets.loader import Chosen
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.models.capabilities import DetectsAnomalies

PEAK_SIDE = 7
LEAST_RATIO = 1.3
LEAST_DIVERSITY = 0.5


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, DetectsAnomalies):
        return f"{evaluation.model_name} detects no anomalies"
    if not evaluation.dataset.has_anomalies:
        return f"'{evaluation.dataset.name}' has no anomalous images"
    evaluation.dataset.setup("test")
    return None if "test" in evaluation.dataset.sources else f"'{evaluation.dataset.name}' has no test images"


def measure(evaluation: Evaluation) -> list[Score]:
    """Areas of at most ``num_samples`` test images, and the scores of the normal ones.

    ``image_auroc``: by the model's score. ``peak_auroc``: by the highest mean of 7x7 pixels in the model's map, which
    an anomaly that is small reaches sooner than a mean over the image. ``pixel_auroc``: of each pixel by the map, where
    the data set knows which are anomalous. ``normal_score``: the mean score of normal images. ``anomaly_ratio``: the
    mean score of anomalous images in parts of that.
    """
    model: Any = evaluation.model
    items = evaluation.items(evaluation.num_samples)
    masks = evaluation.dataset.test_masks
    all_labels, all_scores, all_peaks, maps = [], [], [], []
    normal_images, normal_restored = [], []
    for part in progress(items.split(evaluation.batch_size), "anomalies in test images"):
        images, labels = evaluation.held_out[1].__getitems__(Chosen(-1, part))
        images = images.to(model.device)
        restored = model.restore(images)
        found = model.anomaly_map(images, restored)
        all_labels.append(labels)
        all_scores.append(model.anomaly_score(images, restored).cpu())
        all_peaks.append(peaks(found).cpu())
        maps += [found.cpu()] if masks is not None else []
        normal_images.append(images[labels == 0].cpu())
        normal_restored.append(restored[labels == 0].cpu())
    is_anomalous, scores = torch.cat(all_labels), torch.cat(all_scores)
    normal, anomalous = scores[is_anomalous == 0], scores[is_anomalous == 1]
    how: dict[str, Any] = {"split": "test", "num_normal": len(normal), "num_anomalous": len(anomalous)}
    areas = [
        area("image_auroc", scores, is_anomalous, how),
        area("peak_auroc", torch.cat(all_peaks), is_anomalous, how),
    ]
    if masks is not None:
        pixels = torch.cat(maps).flatten()
        areas.append(area("pixel_auroc", pixels, masks[items].flatten().long(), {"num_images": len(items)}))
    if areas[0].value is None:
        return areas
    ratio = (anomalous.double().mean() / normal.double().mean().clamp(min=1e-12)).item()
    kept = diversity(torch.cat(normal_restored)) / max(diversity(torch.cat(normal_images)), 1e-12)
    sign = collapse(kept, ratio if masks is None else None)
    areas = [Score(score.name, score.value, score.how | sign) for score in areas]
    about = {"num_images": len(normal), "diversity_kept": kept} | sign
    return [*areas, mean_score("normal_score", normal, about), Score("anomaly_ratio", ratio, how | sign)]


def area(name: str, values: Tensor, is_anomalous: Tensor, how: dict[str, Any]) -> Score:
    """The area under the curve of values ``(N,)`` for labels ``(N,)`` 0 or 1."""
    if infinite := int((~values.isfinite()).sum()):
        return Score(name, None, how | {"undefined": f"{infinite} of {len(values)} values are not finite"})
    if len(is_anomalous.unique()) < 2:
        return Score(name, None, how | {"undefined": "all are normal or all are anomalous"})
    return Score(name, auroc(values, is_anomalous), how)


def auroc(values: Tensor, is_anomalous: Tensor) -> float:
    """``(N,)`` and ``(N,)`` 0 or 1 -> the probability that an anomalous value is above a normal one, ties one half."""
    values = values.double()
    # torchmetrics takes values beyond [0, 1] for logits, and the sigmoids of large ones are equal.
    in_unit = (values - values.min()) / (values.max() - values.min()).clamp(min=1e-300)
    return binary_auroc(in_unit, is_anomalous.long()).item()


def peaks(maps: Tensor) -> Tensor:
    """The highest mean of 7x7 pixels: ``(N, 1, H, W)`` -> ``(N,)``."""
    side = min(PEAK_SIDE, *maps.shape[2:])
    return avg_pool2d(maps, side, stride=1).flatten(1).amax(1)


def diversity(images: Tensor) -> float:
    """How much images ``(N, ...)`` differ: the root of the mean over pixels of the variance over images."""
    return images.double().var(0, correction=0).mean().sqrt().item()


def collapse(diversity_kept: float, ratio: float | None) -> dict[str, str]:
    """``{"collapsed": why}`` if normal images are all restored alike or score like anomalous ones, else nothing.

    Args:
        diversity_kept: of restored normal images, in parts of that of the images.
        ratio: of the mean scores of anomalous and normal images; None where anomalies are small parts of an image, and
            the ratio is near 1 for good models, too.
    """
    if diversity_kept < LEAST_DIVERSITY:
        return {"collapsed": f"restored normal images differ {diversity_kept:.2f} times as much as the images"}
    if ratio is not None and ratio < LEAST_RATIO:
        return {"collapsed": f"anomalous images score only {ratio:.2f} times as high as normal ones"}
    return {}
