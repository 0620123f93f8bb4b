"""Prints how fast the Fréchet distance is beside the square root of a matrix that other packages take: one thread.

    python scripts/bench_metrics.py            # about 3 minutes
    python scripts/bench_metrics.py --rounds 1

Each round measures each way once, one after the other; a ratio is the median over the rounds of the ratios within a
round, of seconds of the processor, so that work beside it counts little. Equal distances are asserted. scipy and
threadpoolctl come with scikit-learn, `pip install '.[test]'`.
"""

import argparse
import statistics
import time

import numpy as np
import scipy
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from torch import Tensor

from genlab.metrics.frechet import frechet_distance

CASES = ((64, 2000), (2048, 3000))
"""Features and rows: of the embedded networks, and of Inception's pooled layer."""


def features(columns: int, rows: int, shift: float, seed: int) -> Tensor:
    """What a network's last layer is like: correlated features that are never negative."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    mixing = torch.randn(columns, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.relu(noise @ mixing / columns**0.5 + shift)


def by_scipy(real: Tensor, fake: Tensor) -> float:
    """The formula as it is printed, as pytorch-fid and torch-fidelity have it."""
    x, y = real.numpy(), fake.numpy()
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(c @ d)
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(c) + np.trace(d) - 2 * np.trace(root).real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)  # those of numpy and scipy
    table = Table("features", "rows", "scipy s", "genlab s", "ratio", "relative difference", box=None)
    for columns, rows in CASES:
        real, fake = features(columns, rows, 0.0, seed=1), features(columns, rows, 0.1, seed=2)
        seconds: list[tuple[float, float]] = []
        for _ in range(given.rounds):
            began = time.process_time()
            theirs = by_scipy(real, fake)
            between = time.process_time()
            mine = frechet_distance(real, fake)
            seconds.append((between - began, time.process_time() - between))
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        ratio = statistics.median(slow / fast for slow, fast in seconds)
        slow, fast = (statistics.median(column) for column in zip(*seconds, strict=True))
        difference = abs(mine - theirs) / theirs
        table.add_row(f"{columns}", f"{rows:,}", f"{slow:.3f}", f"{fast:.3f}", f"{ratio:.1f}", f"{difference:.1e}")
    console = Console(width=120)
    console.print(table)
    console.print(f"1 thread, medians of {given.rounds} rounds, torch {torch.__version__}, scipy {scipy.__version__}")


if __name__ == "__main__":
    main()
