"""Texts that a model writes, and the array and the file they become."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.text import Sequences, sentences
from genlab.errors import DataError, UsageError
from genlab.models.capabilities import RewritesText, TakesText
from genlab.randomness import own_generators

TEXTS = 4
"""Texts that are drawn, or shown, if nobody says how many."""

LEAST_WORDS = 8
"""Of a held-out sentence, with its marks."""


def condition_of_text(model: Any, text: str) -> Tensor:
    """What the model makes of a text that it shall go on from, ``(L,)``.

    Raises:
        UsageError: it takes no text, or does not know all of its characters.
    """
    if not isinstance(model, TakesText):
        raise UsageError(f"text={text!r}: {type(model).__name__} takes no text; leave the word out")
    return model.condition(text)


def reworded(
    model: RewritesText, dataset: Dataset, text: str | None, generators: Sequence[torch.Generator]
) -> tuple[list[str], list[str]]:
    """Other wordings, one by each generator: of ``text``, or of held-out sentences, which are then given back too."""
    given = held_out_sentences(dataset, len(generators)) if text is None else [text] * len(generators)
    texts = [model.rewrite(old, generator) for old, generator in zip(given, generators, strict=True)]
    return texts, given if text is None else []


def held_out_sentences(dataset: Dataset, count: int) -> list[str]:
    """Sentences, evenly spaced, of the test split, else of those held out for validation, else of training.

    Raises:
        DataError: there are fewer.
    """
    dataset.setup()
    source = next(dataset.sources[split] for split in ("test", "validation", "train") if split in dataset.sources)
    assert isinstance(source, Sequences)
    found = sentences(source.text, LEAST_WORDS)
    if len(found) < count:
        raise DataError(
            f"'{dataset.name}' has {len(found)} held-out sentences of {LEAST_WORDS} words and marks, {count} are "
            "needed: a smaller num_samples, or text=TEXT"
        )
    return found[:: len(found) // count][:count]


def texts_for_show(model: TakesText | RewritesText, dataset: Dataset, count: int) -> str:
    """As many texts of a model, always by the same seed; or why there are none."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(model, TakesText):
        return blocks([model.text_of(tokens) for tokens in model.sample(count, None, generator)], [])
    try:
        return blocks(*reworded(model, dataset, None, own_generators(count, generator)))
    except DataError as error:
        return f"{error}\n"


def code_points(texts: Sequence[str]) -> Tensor:
    """Unicode code points, ``(N, L)`` int64; behind the end of a shorter text 0."""
    rows = [torch.tensor([ord(character) for character in text], dtype=torch.int64) for text in texts]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def blocks(texts: Sequence[str], given: Sequence[str]) -> str:
    """All texts below each other, each after a line with its number and, if there is one, the text it was made of."""
    parts = []
    for number, text in enumerate(texts):
        before = f"{given[number]}\n=> " if given else ""
        parts.append(f"--- {number:04d}\n{before}{text}\n")
    return "".join(parts)
