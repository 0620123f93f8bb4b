"""Whether translations are seen as what they should be, by an embedded classifier.

Kim et al., 2017, arXiv:1703.05192, section 4.2: shoes of bags should be shoes; Taigman et al., 2017, arXiv:1611.02200,
section 5.1: a handwritten digit should be the one that was translated.
"""

import torch
from torch import Tensor

from genlab.datasets.bags_and_shoes import BAGS, SHOES, BagsAndShoes
from genlab.datasets.batches import LabelledImages, LabelledUnpairedImages
from genlab.datasets.loader import Chosen
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
    the score ``translated_accuracy``. Beside it stands the share of the untranslated images that are seen so already.
    """
    if evaluation.dataset.batch_type is LabelledUnpairedImages:
        return [scored(evaluation, "x_to_y", "translated_accuracy")]
    assert isinstance(evaluation.model, Translates)
    return [scored(evaluation, direction, f"recognised_{direction}") for direction in evaluation.model.directions]


def scored(evaluation: Evaluation, direction: str, name: str) -> Score:
    model, network = evaluation.model, evaluation.network
    assert isinstance(model, Translates)
    assert network is not None
    split, source = evaluation.held_out
    assert isinstance(source, Unpaired | LabelledUnpaired)
    domain = source.first if direction == "x_to_y" else source.second
    parts = torch.arange(len(domain)).split(evaluation.batch_size)
    before, after, labels, generator = list[Tensor](), list[Tensor](), list[Tensor](), evaluation.generator()
    for part in progress(parts, "translations"):
        batch = domain.__getitems__(Chosen(-1, part))
        assert isinstance(batch, LabelledImages)
        images = batch.images.to(model.device)
        before.append(network.features(images))
        after.append(network.features(model.translate(images, direction, generator)))
        labels.append(batch.labels)
    how = {"split": split, "num_images": len(domain), "seed": evaluation.seed}
    if reason := not_finite(torch.cat(after), "translations"):
        return Score(name, None, how | {"undefined": reason} | evaluation.about_network)
    seen = [network.log_probabilities(torch.cat(features)).argmax(1).cpu() for features in (before, after)]
    if evaluation.dataset.batch_type is LabelledUnpairedImages:
        untranslated, is_right = ((found == torch.cat(labels)).double() for found in seen)
    else:
        untranslated, is_right = (torch.isin(found, torch.tensor(CLASSES[direction])).double() for found in seen)
    values = drawn_counts(len(is_right), evaluation.generator()) @ is_right / len(is_right)
    how = {"untranslated": untranslated.mean().item()} | how | evaluation.about_network
    return estimated(name, values, 0, 1, how)
