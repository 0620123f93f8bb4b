"""Random numbers of which each row of a batch has its own, so that nothing depends on the batch it is in."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class RowGenerator(torch.Generator):
    """Another generator for each row that ``row_by_row`` draws, and goes on with a row's own where it draws again.

    So a sample depends on its own seed alone, and any process can draw any of them.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.states = [torch.Generator().manual_seed(seed).get_state() for seed in seeds]


def row_by_row(
    num_rows: int, draw: Callable[..., Tensor], *arguments: Any, generator: torch.Generator | None
) -> Tensor:
    """Stacks ``num_rows`` draws: the nth is the same however many are drawn at a time, which one large draw is not.

    Args:
        draw: ``torch.randn`` or alike; called with ``arguments`` and the generator.
    """
    rows = []
    for row in range(num_rows):
        if isinstance(generator, RowGenerator):
            generator.set_state(generator.states[row])
        rows.append(draw(*arguments, generator=generator))
        if isinstance(generator, RowGenerator):
            generator.states[row] = generator.get_state()
    return torch.stack(rows)


def own_generators(num_rows: int, generator: torch.Generator | None) -> list[torch.Generator]:
    """A generator for each row, for draws whose number is not known before; the nth is the same however many."""
    seeds = row_by_row(num_rows, torch.randint, 2**62, (), generator=generator)
    return [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
