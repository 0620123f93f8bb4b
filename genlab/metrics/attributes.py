"""Whether samples show the attributes that were asked for, as an embedded classifier of the avatars sees them.

Jin et al., 2017, arXiv:1708.05509, count by hand how many samples show each attribute that is asked for.
"""

from functools import cache
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from genlab.datasets.avatars import Avatars
from genlab.datasets.embedded import asset, index
from genlab.metrics.evaluation import Evaluation, Score, progress
from genlab.models.capabilities import TakesAttributes
from genlab.networks.attribute_classifier import AttributeClassifier

FILE = "avatar_attributes.safetensors"


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, TakesAttributes):
        return f"{evaluation.model_name} takes no attributes"
    return unfit_for_judge(evaluation)


def measure(evaluation: Evaluation) -> list[Score]:
    """Three shares; the classifier errs on real images, too, so a perfect model has ``of_real_images``, not 1.

    ``attribute_accuracy``: of all attributes, present or absent, that are seen as asked for, where samples are asked
    for the attributes of training images; ``attribute_precision``: of those asked for that are seen, in the same
    samples; ``single_attribute_precision``: the same where one attribute is asked for at a time and the others are
    free. Each is the mean over attributes.
    """
    model, dataset = evaluation.model, evaluation.dataset
    assert isinstance(model, TakesAttributes)
    dataset.setup()
    of_training: Any = dataset.sources["train"]
    drawn = torch.randint(len(of_training), (evaluation.num_samples,), generator=evaluation.generator())
    asked = of_training.attributes[drawn]
    seen = judged_samples(evaluation, asked, "samples of attributes")
    names = model.attribute_names
    single = torch.full((evaluation.num_samples, len(names)), torch.nan)
    number = torch.arange(evaluation.num_samples) % len(names)
    single[torch.arange(evaluation.num_samples), number] = 1
    seen_singly = judged_samples(evaluation, single, "samples of one attribute")
    shares = {
        "attribute_accuracy": [(seen == asked)[:, place] for place in range(len(names))],
        "attribute_precision": [seen[asked[:, place] == 1, place] for place in range(len(names))],
        "single_attribute_precision": [seen_singly[number == place, place] for place in range(len(names))],
    }
    how = {"num_samples": evaluation.num_samples, "seed": evaluation.seed} | about_judge()
    return [share_of_each(name, names, found, how) for name, found in shares.items()]


def share_of_each(name: str, names: list[str], found: list[Tensor], how: dict[str, Any]) -> Score:
    """The mean over attributes of the share of each, of those that were asked for at all."""
    shares = {name: each.float().mean().item() for name, each in zip(names, found, strict=True) if len(each)}
    least = min(shares, key=lambda name: shares[name])
    each = {name: round(share, 3) for name, share in shares.items()}
    how = {"least": least, "least_share": shares[least]} | how | {"of_each": each}
    return Score(name, sum(shares.values()) / len(shares), how)


def judged_samples(evaluation: Evaluation, condition: Tensor, doing: str) -> Tensor:
    """``(N, A)``, 0 or 1: what the samples of conditions ``(N, A)`` show."""
    model, generator = evaluation.model, evaluation.generator()
    assert isinstance(model, TakesAttributes)
    parts = progress(condition.split(evaluation.batch_size), doing)
    return torch.cat([judged(model.sample(len(part), part, generator)) for part in parts])


def unfit_for_judge(evaluation: Evaluation) -> str | None:
    """Why the classifier knows nothing of the data, or None."""
    dataset = evaluation.dataset
    if not isinstance(dataset, Avatars):
        return f"no embedded classifier knows attributes of '{dataset.name}', but those of avatars"
    return None if dataset.data_shape[0] == 3 else "the embedded classifier of attributes needs colours"


@cache
def judge() -> AttributeClassifier:
    weights = safetensors.torch.load(asset(FILE))
    classifier = AttributeClassifier(len(weights["layers.16.bias"]))
    classifier.load_state_dict(weights)
    return classifier.eval()


def judged(images: Tensor) -> Tensor:
    """Images ``(N, 3, H, W)`` in [-1, 1] -> ``(N, A)``, 0 or 1, on the CPU."""
    classifier = judge().to(images.device)
    return (classifier(images.float()) > 0).float().cpu()


def about_judge() -> dict[str, Any]:
    return {"network": FILE.removesuffix(".safetensors"), "sha256": index()[FILE]["sha256"]}
