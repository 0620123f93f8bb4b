"""How much of the edge that pasting leaves is still seen after blending.

The jump is the mean absolute difference of two neighbouring pixels of which the mask chooses one; 0 to 2. It is never
0: the photographs have edges of their own.
"""

import torch
from torch import Tensor

from genlab.datasets.composites import cutouts_on_photographs, photographs_on_photographs
from genlab.metrics.evaluation import Evaluation, Score, progress
from genlab.models.capabilities import Blends

SIDE = 256
"""Pixels of the compositions: more than the model has seen, as blending is for large images."""

COMPOSITIONS = {
    "border_jump_cutouts": cutouts_on_photographs,
    "border_jump_photographs": photographs_on_photographs,
}


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Blends):
        return f"{evaluation.model_name} blends no images"
    if evaluation.dataset.data_shape[0] != 3:
        return f"the compositions have colours, '{evaluation.dataset.name}' has none"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``border_jump_cutouts``, ``border_jump_photographs``: the jump after blending over that after pasting.

    Of all unseen compositions; it is 1 if nothing is blended.
    """
    model = evaluation.model
    assert isinstance(model, Blends)
    scores = []
    for name, compose in COMPOSITIONS.items():
        jumps: list[Tensor] = []
        composed = compose(SIDE)
        parts = zip(*(each.split(evaluation.batch_size) for each in composed), strict=True)
        for part in progress(list(parts), "blending"):
            source, destination, mask = (each.to(model.device) for each in part)
            blended = model.blend(source, destination, mask)
            pasted = torch.where(mask, source, destination)
            jumps.append(torch.stack([border_jump(blended, mask), border_jump(pasted, mask)], 1).cpu())
        after, before = torch.cat(jumps).double().mean(0).tolist()
        how = {"split": "test", "num_compositions": len(composed.mask), "side": SIDE}
        scores.append(Score(name, after / before, {"blended": after, "pasted": before} | how))
    return scores


def border_jump(images: Tensor, mask: Tensor) -> Tensor:
    """The mean absolute difference of neighbours across the border of the mask, of each image.

    Shapes:
        images: ``(N, C, H, W)``.
        mask: ``(N, 1, H, W)`` bool, with a border in each image.
        returns: ``(N,)``.
    """
    sums, counts = torch.zeros(len(images), device=images.device), torch.zeros(len(images), device=images.device)
    for dim in (2, 3):
        is_border = mask.int().diff(dim=dim) != 0
        sums += (images.diff(dim=dim).abs() * is_border).mean(1).sum((1, 2))
        counts += is_border.sum((1, 2, 3))
    return sums / counts
