"""How much of an image is lost on the way to the other domain and back.

Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017,
arXiv:1703.10593, equation 2.
"""

import torch

from genlab.datasets.loader import Chosen
from genlab.metrics import translation_distance
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.models.capabilities import Translates

BACK = {"x_to_y": "y_to_x", "y_to_x": "x_to_y"}


def unfit(evaluation: Evaluation) -> str | None:
    if reason := translation_distance.unfit(evaluation):
        return reason
    assert isinstance(evaluation.model, Translates)
    if set(evaluation.model.directions) != set(BACK):
        return f"{evaluation.model_name} translates in one direction only"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``cycle_error_x`` and ``…_y``: mean absolute error of pixels in [-1, 1] over all held-out images of a domain."""
    model, (split, held) = evaluation.model, evaluation.held_out
    assert isinstance(model, Translates)
    items, fields = evaluation.items(), translation_distance.SETS[evaluation.dataset.batch_type]
    errors: dict[str, list[torch.Tensor]] = {"x_to_y": [], "y_to_x": []}
    for part in progress(items.split(evaluation.batch_size), "there and back"):
        batch = held.__getitems__(Chosen(-1, part))
        for field, (there, back) in zip(fields, BACK.items(), strict=True):
            images = getattr(batch, field).to(model.device)
            again = model.translate(model.translate(images, there), back)
            errors[there].append((again.float() - images).abs().flatten(1).mean(1).cpu())
    how = {"split": split, "num_images": len(items)}
    return [mean_score(f"cycle_error_{there[0]}", torch.cat(values), how) for there, values in errors.items()]
