"""Random numbers of which each row of a batch has its own, so that nothing depends on the batch it is in."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor


class RowGenerator(torch.Generator):
    """A generator for each row that ``row_by_row`` draws: a sample depends on its own seed alone, in any process."""

    def __new__(cls, seeds: Sequence[int]) -> Self:  # torch's takes a device
        return super().__new__(cls)

    def __init__(self, seeds: Sequence[int]) -> None:
        self.rows = [torch.Generator().manual_seed(seed) for seed in seeds]


def row_by_row(
    num_rows: int, draw: Callable[..., Tensor], *arguments: Any, generator: torch.Generator | None
) -> Tensor:
    """Stacks ``num_rows`` draws: the nth is the same however many are drawn at a time, which one large draw is not.

    Args:
        draw: ``torch.randn`` or alike; called with ``arguments`` and the generator.
    """
    each = generator.rows[:num_rows] if isinstance(generator, RowGenerator) else [generator] * num_rows
    return torch.stack([draw(*arguments, generator=own) for own in each])


def own_seeds(num_rows: int, generator: torch.Generator | None) -> list[int]:
    """A seed for each row; the nth is the same however many there are."""
    return row_by_row(num_rows, torch.randint, 2**62, (), generator=generator).tolist()


def own_generators(num_rows: int, generator: torch.Generator | None) -> list[torch.Generator]:
    """A generator for each row, for draws whose number is not known before."""
    return [torch.Generator().manual_seed(seed) for seed in own_seeds(num_rows, generator)]
