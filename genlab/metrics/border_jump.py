"""How much of the edge that pasting leaves is still seen after blending.

The jump is the mean absolute difference of two neighbouring pixels of which the mask chooses one; 0 to 2. It is never
0: the photographs have edges of their own. One that blurs the border or leaves the source out makes it small, too, so
it is to be read with the correlation of what lies inside.
"""

import torch
from torch import Tensor

from genlab.datasets.composites import cutouts_on_photographs, photographs_on_photographs
from genlab.metrics.evaluation import Evaluation, Score, progress
from genlab.models.capabilities import Blends
from genlab.networks.gaussian_poisson import blend_upwards, differences, pairs_within, resized

SIDE = 256
"""Pixels of the compositions: more than the model has seen, as blending is for large images."""

BETA = 1.0
"""Of the equation without a network, as in the paper of GP-GAN."""

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

    Of all unseen compositions; it is 1 if nothing is blended. Beside it stand the jumps themselves: ``blended``;
    ``pasted``; ``of_destination``, as if nothing had been pasted; and ``without_network``, what the Gaussian-Poisson
    equation leaves with the colours of the composite itself, at the size that the model is trained at.
    ``interior_correlation`` is 1 if the details within the mask are still the source's.
    """
    model = evaluation.model
    assert isinstance(model, Blends)
    height, width = evaluation.dataset.data_shape[1:]
    scores = []
    for name, compose in COMPOSITIONS.items():
        measured: list[Tensor] = []
        composed = compose(SIDE)
        parts = zip(*(each.split(evaluation.batch_size) for each in composed), strict=True)
        for part in progress(list(parts), "blending"):
            source, destination, mask = (each.to(model.device) for each in part)
            blended = model.blend(source, destination, mask)
            pasted = torch.where(mask, source, destination)
            solved = blend_upwards(resized(pasted, (height, width)), source, destination, mask, BETA)
            values = [border_jump(images, mask) for images in (blended, pasted, destination, solved)]
            measured.append(torch.stack([*values, interior_correlation(blended, source, mask)], 1).cpu())
        names = ("blended", "pasted", "of_destination", "without_network", "interior_correlation")
        how = dict(zip(names, torch.cat(measured).double().mean(0).tolist(), strict=True))
        about = {"split": "test", "num_compositions": len(composed.mask), "side": SIDE}
        scores.append(Score(name, how["blended"] / how["pasted"], how | about))
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


def interior_correlation(images: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Pearson's correlation of the differences of neighbours within the mask with those of the source, of each image.

    Those of all channels, down and to the right, together; 0 where either image has none.

    Shapes:
        images, source: ``(N, C, H, W)``.
        mask: ``(N, 1, H, W)`` bool, with neighbours in each image.
        returns: ``(N,)``.
    """
    correlations = []
    for image, original, chosen in zip(images, source, mask[:, 0], strict=True):
        rows = torch.stack([inner_differences(image, chosen), inner_differences(original, chosen)])
        correlations.append(torch.corrcoef(rows)[0, 1].nan_to_num(0))
    return torch.stack(correlations)


def inner_differences(image: Tensor, mask: Tensor) -> Tensor:
    """All differences of neighbours that a mask ``(H, W)`` bool chooses both of an image ``(C, H, W)``, in one row."""
    found = zip(differences(image), pairs_within(mask), strict=True)
    return torch.cat([part[:, is_inner].flatten() for part, is_inner in found])
