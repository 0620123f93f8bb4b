"""How much of an image is lost on the way to the other domain and back.

Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017,
arXiv:1703.10593, equation 2.
"""

import torch

from genlab.datasets.loader import Chosen
from genlab.datasets.pairs import images_of
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
    """``cycle_error_x`` and ``…_y``: mean absolute error of pixels in [-1, 1].

    Over at most ``num_samples`` held-out images of each domain.
    """
    model, scores = evaluation.model, []
    assert isinstance(model, Translates)
    for (there, back), domain in zip(BACK.items(), translation_distance.domains(evaluation), strict=True):
        errors = []
        items = translation_distance.some_of(domain, evaluation)
        for part in progress(items.split(evaluation.batch_size), "there and back"):
            images = images_of(domain, Chosen(-1, part)).to(model.device)
            again = model.translate(model.translate(images, there), back)
            errors.append((again.float() - images).abs().flatten(1).mean(1).cpu())
        how = {"split": evaluation.held_out[0], "num_images": len(items)}
        scores.append(mean_score(f"cycle_error_{there[0]}", torch.cat(errors), how))
    return scores
