"""Samples of a model: in batches from one generator, or one of each seed; of labels or other conditions in turn."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from genlab.errors import UsageError
from genlab.latents import latents_by
from genlab.models.capabilities import HasPrior, TakesAttributes, TakesLabels


def sampled(
    model: Any,
    num_samples: int,
    conditions: Sequence[int] | Tensor | None,
    batch_size: int,
    generator: torch.Generator,
) -> Tensor:
    """``num_samples`` draws, the same whatever ``batch_size``.

    Conditions, labels or rows of attributes, are taken in turn; a model with latents draws one for each time round, so
    that a row of the picture shows what the condition changes.
    """
    parts = torch.arange(num_samples).split(batch_size)
    if conditions is None:
        return torch.cat([model.sample(len(part), None, generator) for part in parts])
    latent = None
    if isinstance(model, HasPrior):
        latent = model.draw_latent(-(-num_samples // len(conditions)), generator)
        latent = latent.repeat_interleave(len(conditions), 0)
    of_parts = []
    for part in parts:
        condition = torch.as_tensor(conditions)[part % len(conditions)].to(model.device)
        with nullcontext() if latent is None else latents_by(model, lambda *_, given=latent[part]: given):
            of_parts.append(model.sample(len(part), condition, generator))
    return torch.cat(of_parts)


def sampled_by_seed(model: Any, seeds: Sequence[int], conditions: Sequence[int] | Tensor | None) -> Tensor:
    """One draw of each seed and, for each condition, of this condition: the first that the seed gives.

    Each is drawn alone, so that it does not depend on the others.
    """
    each = [None] if conditions is None else torch.as_tensor(conditions).to(model.device).split(1)
    return torch.cat(
        [model.sample(1, condition, torch.Generator().manual_seed(seed)) for seed in seeds for condition in each]
    )


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
