"""Samples of a model: of one seed, whatever the batch and the process, or one of each seed; of labels in turn."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlab.config.suggest import nearest
from genlab.config.values import shown
from genlab.datasets.base import Dataset
from genlab.errors import UsageError
from genlab.models.capabilities import HasPrior, TakesAttributes, TakesLabels
from genlab.randomness import RowGenerator, own_seeds


def sampled(model: Any, which: range, conditions: Sequence[int] | Tensor | None, batch_size: int, seed: int) -> Tensor:
    """Some of the samples of a seed; each is the same whatever ``batch_size``, and whichever others are drawn.

    Conditions, labels or rows of attributes, are taken in turn; a model with latents draws one for each time round, so
    that a row of the picture shows what the condition changes.
    """
    per_latent = 1 if conditions is None or not isinstance(model, HasPrior) else len(conditions)
    seeds = own_seeds(-(-which.stop // per_latent), torch.Generator().manual_seed(seed))
    parts = []
    for part in torch.arange(which.start, which.stop).split(batch_size):
        condition = None
        if conditions is not None:
            condition = torch.as_tensor(conditions)[part % len(conditions)].to(model.device)
        generator = RowGenerator([seeds[item // per_latent] for item in part.tolist()])
        parts.append(model.sample(len(part), condition, generator))
    return torch.cat(parts)


def sampled_by_seed(model: Any, seeds: Sequence[int], conditions: Sequence[int] | Tensor | None) -> Tensor:
    """One draw of each seed and, for each condition, of this condition: the first that the seed gives.

    Each is drawn alone, so that not even its rounding depends on the others.
    """
    each = [None] if conditions is None else torch.as_tensor(conditions).to(model.device).split(1)
    firsts = [own_seeds(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat([model.sample(1, condition, RowGenerator(first)) for first in firsts for condition in each])


def seed_numbers(seeds: int | str | list[int]) -> Sequence[int]:
    """``0-99`` is 100 seeds; a list is itself, a number one seed.

    Raises:
        UsageError: the range has no seed, or one that is too large.
    """
    if not isinstance(seeds, str):
        return seeds if isinstance(seeds, list) else [seeds]
    first, last = map(int, seeds.split("-"))
    if not first <= last < 2**63:
        raise UsageError(f"seeds={seeds}: expected the least seed, then the largest, at most {2**63 - 1}")
    return range(first, last + 1)


def label_numbers(labels: Sequence[int | str], dataset: Dataset) -> list[int]:
    """The number of each class, given by it or by name.

    Raises:
        UsageError: there is no class of that name.
    """
    names: list[str] = []
    if any(isinstance(label, str) for label in labels):
        dataset.load_once()
        names = dataset.class_names or []
    for label in labels:
        if isinstance(label, str) and label not in names:
            listed = ", ".join(f"{number} {name}" for number, name in enumerate(names)) or "none has a name"
            raise UsageError(f"labels={shown(labels)}: no class '{label}'{nearest(label, names)}\nclasses: {listed}")
    return [names.index(label) if isinstance(label, str) else label for label in labels]


def check_labels(model: Any, labels: list[int]) -> None:
    """Whether the model knows these classes.

    Raises:
        UsageError: it takes no labels, or not all of these.
    """
    name = type(model).__name__
    if not isinstance(model, TakesLabels):
        raise UsageError(f"labels={labels}: {name} takes no labels; leave the word out")
    if max(labels) >= model.num_classes:
        raise UsageError(f"labels={labels}: the labels of this {name} are 0 to {model.num_classes - 1}")


def condition_of(model: Any, attributes: list[str]) -> Tensor:
    """What the model makes of the names of attributes, ``(A,)``.

    Raises:
        UsageError: it takes none, or not all of these.
    """
    if not isinstance(model, TakesAttributes):
        raise UsageError(f"attributes={attributes}: {type(model).__name__} takes no attributes; leave the word out")
    return model.condition(attributes)
