"""Whether translations look like images of the domain they lead to: the Fréchet distance of the two, of each direction.

No pairs are needed; beside it stands the distance that the images have before they are translated.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from genlab.datasets.batches import LabelledUnpairedImages, PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.pairs import Unpaired, images_of
from genlab.datasets.street_digits import LabelledUnpaired
from genlab.metrics.evaluation import Evaluation, Score, estimated, not_finite, progress, too_few
from genlab.metrics.features import FeatureNetwork, embedded
from genlab.metrics.frechet import frechet_distance, resampled_distances
from genlab.metrics.translation_error import Given
from genlab.models.capabilities import Translates


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Translates):
        return f"{evaluation.model_name} does not translate images"
    if evaluation.dataset.batch_type not in (PairedImages, UnpairedImages, LabelledUnpairedImages):
        return f"'{evaluation.dataset.name}' has no two domains of images"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``fd_<network>_<direction>`` of at most ``num_samples`` held-out images of each domain; 0 if both are alike.

    It falls with the number of images, so only equal numbers compare.
    """
    network = evaluation.network or embedded("imagenet").to(evaluation.model.device)
    model, sources = evaluation.model, domains(evaluation)
    assert isinstance(model, Translates)

    def domain(place: int) -> Iterable[Tensor]:
        items = some_of(sources[place], evaluation).split(evaluation.batch_size)
        for part in progress(items, f"features of held-out images, {'XY'[place]}"):
            yield images_of(sources[place], Chosen(-1, part)).to(model.device)

    x, y = (features(network, domain(place)) for place in (0, 1))
    about = {"network": network.name, "sha256": network.sha256, "resize": network.resize}
    scores = []
    for direction in model.directions:
        place, before, target = (0, x, y) if direction == "x_to_y" else (1, y, x)
        made = features(network, (model.translate(images, direction) for images in domain(place)))
        how: dict[str, Any] = {"split": evaluation.held_out[0], "num_images": len(made), "num_targets": len(target)}
        how |= {"seed": evaluation.seed} | about
        scores.append(distance(f"fd_{network.name}_{direction}", target, made, before, evaluation, how))
    return scores


def domains(evaluation: Evaluation) -> tuple[Source, Source]:
    """The held-out images of both domains as ``LabelledImages``, each once.

    Items go through the smaller of two unequal domains again and again, and need not reach the end of the larger.
    """
    _, held = evaluation.held_out
    if isinstance(held, Unpaired | LabelledUnpaired):
        return held.first, held.second
    return Given(held, "x_to_y"), Given(held, "y_to_x")


def some_of(domain: Source, evaluation: Evaluation) -> Tensor:
    """Numbers of at most ``num_samples`` images, ascending and drawn by the seed."""
    order = torch.randperm(len(domain), generator=evaluation.generator())
    return order[: evaluation.num_samples].sort().values


def features(network: FeatureNetwork, images: Iterable[Tensor]) -> Tensor:
    """``(N, D)`` float64."""
    return torch.cat([network.features(part.clamp(-1, 1)).cpu().double() for part in images])


def distance(
    name: str, target: Tensor, made: Tensor, before: Tensor, evaluation: Evaluation, how: dict[str, Any]
) -> Score:
    """Of translations from the target domain, with that of the images before they were translated."""
    fault = too_few(target, 2, "held-out images") or too_few(made, 2, "translations")
    fault = fault or not_finite(target, "held-out images") or not_finite(made, "translations")
    if fault:
        return Score(name, None, how | {"undefined": fault})
    [values] = resampled_distances(target, made, evaluation.generator())
    return estimated(name, values, 0, math.inf, {"untranslated": frechet_distance(target, before)} | how)
