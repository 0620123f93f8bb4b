"""How often each three words stand in a row, and what that says of the middle one."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

BITS = 20
"""Of a word's number; three of them are one key of 60 bits."""

MAX_WORDS = 2**BITS
ESTIMATORS = ("uniform", "frequency", "given the word before", "given the word after", "given both")


@dataclass(frozen=True)
class Table:
    """Counts by key; keys are ``(K,)`` int64, ascending, counts as many."""

    keys: Tensor
    counts: Tensor

    @classmethod
    def of(cls, keys: Tensor, counts: Tensor) -> "Table":
        """Adds up the counts of equal keys."""
        distinct, place = keys.unique(return_inverse=True)
        return cls(distinct, torch.zeros_like(distinct).index_add_(0, place, counts))

    def __getitem__(self, keys: Tensor) -> Tensor:
        """The counts of keys, 0 of those that are not there; any shape."""
        if len(self.keys) == 0:
            return torch.zeros_like(keys)
        places = torch.searchsorted(self.keys, keys.contiguous()).clamp_(max=len(self.keys) - 1)
        return torch.where(self.keys[places] == keys, self.counts[places], 0)


class Trigrams(nn.Module):
    """Counts of trigrams, on the CPU; they are part of a ``state_dict``, however many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))

    def add(self, tokens: Tensor) -> None:
        """Counts each three neighbours in rows ``(N, T)``."""
        keys = key(tokens[:, :-2], tokens[:, 2:], tokens[:, 1:-1]).flatten()
        counted = torch.cat([self.table.counts, torch.ones_like(keys)])
        self.set_table(Table.of(torch.cat([self.table.keys, keys]), counted))

    def set_table(self, table: Table) -> None:
        self.table = table
        self.__dict__.pop("marginals", None)

    def get_extra_state(self) -> Tensor:
        """Keys and counts, ``(2, K)`` int64."""
        return torch.stack([self.table.keys, self.table.counts])

    def set_extra_state(self, state: Tensor) -> None:
        self.set_table(Table(*state.cpu()))

    @cached_property
    def marginals(self) -> dict[str, Table]:
        """Counts with some places left open: of pairs and of single words."""
        before, after, middle = self.table.keys >> 2 * BITS, (self.table.keys >> BITS) % MAX_WORDS, self.table.keys
        middle = middle % MAX_WORDS
        kept = {
            "before and after": key(before, after),
            "before and middle": key(before, middle),
            "middle and after": key(middle, after),
            "before": before,
            "after": after,
            "middle": middle,
        }
        return {name: Table.of(keys, self.table.counts) for name, keys in kept.items()}

    def middles(self, before: int, after: int) -> tuple[Tensor, Tensor]:
        """The words seen between two others, and how often, both ``(M,)``."""
        least = key(torch.tensor(before), torch.tensor(after), torch.tensor(0))
        first, end = torch.searchsorted(self.table.keys, torch.stack([least, least + MAX_WORDS])).tolist()
        return self.table.keys[first:end] % MAX_WORDS, self.table.counts[first:end]

    def pairs_seen(self, before: Tensor, after: Tensor, left_out: int = 0) -> Tensor:
        """How often the two words stand around another, any shape."""
        return (self.marginals["before and after"][key(before, after)] - left_out).clamp_(min=0)

    def estimates(
        self, before: Tensor, middle: Tensor, after: Tensor, vocabulary_size: int, left_out: int = 0
    ) -> Tensor:
        """p(middle) by each of ``ESTIMATORS``, ``(L,)`` -> ``(L, 5)`` float64; each sums to 1 over the vocabulary.

        One that has never seen what it is given is uniform.

        Args:
            left_out: 1: as if this trigram had been counted once less.
        """
        counts = self.marginals
        uniform = torch.full((len(middle),), 1 / vocabulary_size, dtype=torch.float64)

        def share(seen: Tensor, given: Tensor) -> Tensor:
            seen, given = (seen - left_out).clamp(min=0), (given - left_out).clamp(min=0)
            return torch.where(given > 0, seen / given.clamp(min=1).double(), uniform)

        columns = [
            uniform,
            share(counts["middle"][middle], self.table.counts.sum().expand(len(middle))),
            share(counts["before and middle"][key(before, middle)], counts["before"][before]),
            share(counts["middle and after"][key(middle, after)], counts["after"][after]),
            share(self.table[key(before, after, middle)], counts["before and after"][key(before, after)]),
        ]
        return torch.stack(columns, 1)


def key(*words: Tensor) -> Tensor:
    """Numbers of words as one number each; broadcasts."""
    found = words[0]
    for word in words[1:]:
        found = (found << BITS) | word
    return found
