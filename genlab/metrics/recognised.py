"""Whether translations are seen as what they should be, by an embedded classifier.

Kim et al., 2017, arXiv:1703.05192, section 4.2: shoes of bags should be shoes; Taigman et al., 2017, arXiv:1611.02200,
section 5.1: a handwritten digit should be the one that was translated.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from genlab.datasets.bags_and_shoes import BAGS, SHOES, BagsAndShoes
from genlab.datasets.batches import LabelledImages, LabelledUnpairedImages
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.pairs import Unpaired
from genlab.datasets.street_digits import LabelledUnpaired
from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score, estimated, not_finite, progress
from genlab.models.capabilities import Translates

CLASSES = {"x_to_y": SHOES, "y_to_x": BAGS}
"""What the results of a direction may be seen as."""


def unfit(evaluation: Evaluation) -> str | None:
    model, dataset, network = evaluation.model, evaluation.dataset, evaluation.network
    if not isinstance(model, Translates):
        return f"{evaluation.model_name} does not translate images"
    if not isinstance(dataset, BagsAndShoes) and dataset.batch_type is not LabelledUnpairedImages:
        return f"nobody has said what translations of '{dataset.name}' should be seen as"
    if network is None or network.name != f"{dataset.features}_features":
        return f"the classes of '{dataset.name}' are those that features={dataset.features} tells"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``recognised_<direction>``: the share of translations of held-out images that are seen as they should be.

    Those of bags as shoes and the other way round; those of labelled images as the class of their source, which makes
    the score ``translated_accuracy``. Beside it stands the share of the untranslated images that are seen so already,
    and ``real_targets``, of the held-out images of the other domain that are seen as what they are.
    """
    if evaluation.dataset.batch_type is LabelledUnpairedImages:
        return [scored(evaluation, "x_to_y", "translated_accuracy")]
    assert isinstance(evaluation.model, Translates)
    return [scored(evaluation, direction, f"recognised_{direction}") for direction in evaluation.model.directions]


def scored(evaluation: Evaluation, direction: str, name: str) -> Score:
    model, generator = evaluation.model, evaluation.generator()
    assert isinstance(model, Translates)
    split, source = evaluation.held_out
    assert isinstance(source, Unpaired | LabelledUnpaired)
    domain, targets = (source.first, source.second) if direction == "x_to_y" else (source.second, source.first)
    made, labels = features(evaluation, domain, lambda images: model.translate(images, direction, generator))
    how = {"split": split, "num_images": len(domain), "num_targets": len(targets), "seed": evaluation.seed}
    if reason := not_finite(made, "translations"):
        return Score(name, None, how | {"undefined": reason} | evaluation.about_network)
    right = is_right(evaluation, made, labels, direction)
    values = drawn_counts(len(right), evaluation.generator()) @ right / len(right)
    trivial = {
        about: is_right(evaluation, *features(evaluation, images, lambda same: same), direction).mean().item()
        for about, images in (("untranslated", domain), ("real_targets", targets))
    }
    return estimated(name, values, 0, 1, trivial | how | evaluation.about_network)


def features(evaluation: Evaluation, domain: Source, translate: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """What the network sees in all images of a domain once they are translated, ``(N, D)``, and their labels, ``(N,)``.

    Of bags and shoes it is shown the largest channel, which is the white picture that was coloured: as grey values, a
    blue one would be nearly black.
    """
    assert evaluation.network is not None
    found, labels = [], []
    for part in progress(torch.arange(len(domain)).split(evaluation.batch_size), "translations"):
        batch = domain.__getitems__(Chosen(-1, part))
        assert isinstance(batch, LabelledImages)
        images = translate(batch.images.to(evaluation.model.device))
        if isinstance(evaluation.dataset, BagsAndShoes):
            images = images.amax(1, keepdim=True)
        found.append(evaluation.network.features(images))
        labels.append(batch.labels)
    return torch.cat(found), torch.cat(labels)


def is_right(evaluation: Evaluation, found: Tensor, labels: Tensor, direction: str) -> Tensor:
    """Of images with these features and labels, 1 for each that is seen as it should be, else 0: ``(N,)`` float64."""
    assert evaluation.network is not None
    seen = evaluation.network.log_probabilities(found).argmax(1).cpu()
    if evaluation.dataset.batch_type is LabelledUnpairedImages:
        return (seen == labels).double()
    return torch.isin(seen, torch.tensor(CLASSES[direction])).double()
