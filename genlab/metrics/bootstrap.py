"""How far a score might be another had other images and samples been drawn: the bootstrap.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.
"""

import torch
from torch import Tensor

NUM_RESAMPLES = 100


def drawn(rows: Tensor, generator: torch.Generator) -> Tensor:
    """As many of the rows ``(N, …)``, with replacement."""
    return rows[torch.randint(len(rows), (len(rows),), generator=generator)]


def drawn_counts(num_rows: int, generator: torch.Generator) -> Tensor:
    """How often each row is drawn in each resample, ``(1 + NUM_RESAMPLES, num_rows)`` float64.

    The first resample is the set itself: each row once.
    """
    counts = torch.ones(1 + NUM_RESAMPLES, num_rows, dtype=torch.float64)
    for resample in counts[1:]:
        resample.copy_(torch.randint(num_rows, (num_rows,), generator=generator).bincount(minlength=num_rows))
    return counts


def interval(values: Tensor, low: float, high: float) -> list[float]:
    """A 95 % interval: the value of the set itself ± 1.96 standard deviations over its resamples.

    Not quantiles of the resamples: they repeat rows, which makes sets look narrower and so further apart. A Fréchet
    distance of two resamples is nearly always larger than that of the sets, and their quantiles might not contain it.

    Args:
        values: ``(1 + R,)``, the first of the set itself.
        low, high: the least and the largest that the score can be; the interval is cut there.
    """
    margin = 1.96 * values[1:].std().item()
    return [float(max(low, values[0].item() - margin)), float(min(high, values[0].item() + margin))]
