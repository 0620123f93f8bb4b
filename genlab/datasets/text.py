"""One long text, cut into sequences of characters or words: the embedded one, or a file of the user."""

import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import Text
from genlab.datasets.embedded import asset
from genlab.datasets.layout import nearest_folder
from genlab.datasets.loader import Chosen, Source
from genlab.errors import DataError, UsageError
from genlab.networks.vocabulary import UNKNOWN, Vocabulary

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
"""A word, with an apostrophe if it has one inside, or one mark; white space is none."""

SHARED = {"characters": 0, "words": 2}
"""Tokens at the start of a sequence that are the last of the one before: of words, each three neighbours are in one."""


class Sequences:
    """A source of sequences of one stretch of text.

    Args:
        text: the stretch itself.
        tokens: ``(L,)``, its numbers, where L fills whole sequences.
        length: tokens of a sequence.
        shared: of these, those that are the last of the sequence before.
    """

    def __init__(self, text: str, tokens: Tensor, length: int, shared: int) -> None:
        self.text = text
        self.tokens = tokens
        self.windows = tokens.unfold(0, length, length - shared) if len(tokens) >= length else tokens.new_empty(0, 1)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, chosen: Chosen) -> Text:
        return Text(self.windows[chosen.items])


class TextSequences(Dataset):
    """Sequences of one text, which is split by position: training first, then validation, then test.

    The vocabulary has the most frequent tokens of the training text; all others, in any split, are one unknown token.
    Words are in lower case, and marks are words of their own. What is left at the end of the text and fills no
    sequence is not used.

    Args:
        unit: what a token is.
        data_shape: ``[T]``, tokens of a sequence.
        vocabulary_size: at most so many different tokens, the unknown one among them.
        num_validation: sequences held out for validation.
        num_test: sequences held out for evaluation alone.
        file: an embedded text.
        path: instead, a file in UTF-8; ``~`` is the home folder.
    """

    batch_type = Text

    def __init__(
        self,
        name: str,
        unit: Literal["characters", "words"],
        data_shape: tuple[Annotated[int, Field(ge=3)]],
        vocabulary_size: Annotated[int, Field(ge=2)],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        seed: int,
        file: Literal["tiny_shakespeare"] | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        if file is None and path is None:
            raise UsageError(f"the data set '{name}' needs a file of text in UTF-8: dataset.path=FILE")
        self.unit = unit
        self.length = data_shape[0]
        self.vocabulary_size = vocabulary_size
        self.num_test = num_test
        self.file = file
        self.path = Path(path).expanduser() if path is not None else None
        self.vocabulary = Vocabulary()
        self._digest = ""

    def load(self) -> dict[str, Source]:
        text = read_embedded(self.file) if self.file is not None else read_text(self.path)
        tokens: Sequence[str] = text
        starts: Sequence[int] = range(len(text) + 1)  # of each token in the text, and the end of the text
        if self.unit == "words":
            tokens, starts = words(text), [*(match.start() for match in WORD.finditer(text)), len(text)]
        step = self.length - (shared := SHARED[self.unit])
        num_sequences = max(0, len(tokens) - shared) // step
        num_train = num_sequences - self.num_validation - self.num_test
        if num_train < 1:
            raise UsageError(
                f"'{self.name}' has {len(tokens):,} {self.unit}, {num_sequences} sequences of {self.length}: "
                f"dataset.num_validation={self.num_validation} with dataset.num_test={self.num_test} leaves none to "
                "train on\nhold out fewer, or give shorter sequences: dataset.data_shape=[T]"
            )
        self.learn_vocabulary(tokens[: num_train * step + shared])
        numbers = self.vocabulary.numbers(tokens)
        self._digest = hashlib.sha256(f"{self.unit}\n{text}".encode()).hexdigest()
        sources: dict[str, Source] = {}
        first = 0
        for split, count in (("train", num_train), ("validation", self.num_validation), ("test", self.num_test)):
            end = first + count * step + (shared if count else 0)
            part = text[starts[first] : starts[end]]
            sources[split] = Sequences(part, numbers[first:end], self.length, shared)
            first += count * step
        return sources

    def learn_vocabulary(self, tokens: Sequence[str]) -> None:
        """The most frequent tokens, equally frequent ones by their alphabet; warns if not all have a place."""
        counts = Counter(token for token in tokens if token != UNKNOWN)
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        kept, others = ranked[: self.vocabulary_size - 1], ranked[self.vocabulary_size - 1 :]
        if others:
            share = sum(counts[token] for token in others) / len(tokens)
            warnings.warn(
                f"'{self.name}' has {len(ranked):,} different {self.unit} to train on; {len(others):,} of them, "
                f"{share:.2g} of the text, are unknown to dataset.vocabulary_size={self.vocabulary_size}",
                stacklevel=2,
            )
        self.vocabulary.learn([UNKNOWN, *sorted(kept)])

    def digest(self) -> str:
        """Covers the unit and the whole text."""
        return self._digest


def words(text: str) -> list[str]:
    """The words and marks of a text, in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def sentences(text: str, least: int) -> list[str]:
    """The sentences of at least ``least`` words and marks, each on one line.

    The first and the last, which may be cut off, are left out.
    """
    parts = (" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text)[1:-1])
    return [part for part in parts if len(WORD.findall(part)) >= least]


def read_embedded(file: str) -> str:
    with np.load(io.BytesIO(asset(f"{file}.npz"))) as arrays:
        return arrays["text"].tobytes().decode("utf-8")


def read_text(path: Path | None) -> str:
    """The text of a file, its line ends as ``\\n``.

    Raises:
        DataError: it is missing, empty or not UTF-8.
    """
    assert path is not None
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else f"is not there\n{nearest_folder(path)}"
        raise DataError(f"{path} {what}\nset it with dataset.path=FILE")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8, as by iconv -f LATIN1 -t UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    if not text.strip():
        raise DataError(f"{path} is empty")
    return text
