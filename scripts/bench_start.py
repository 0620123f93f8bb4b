"""Prints how long the answers that need no torch take, as multiples of ``python -c "import hydra"``.

    python scripts/bench_start.py

CPU seconds of processes that are started in turn; each figure is the median, least and most of the rounds.
"""

import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

ROUNDS = 15
PROGRAM = "import sys; from genlab.cli import main; sys.exit(main())"
ANSWERS = (["--help"], ["train", "--help"], ["train", "model=nope"], ["train", "optimzer.lr=1"])


def seconds(*command: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, *command], capture_output=True, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    table = Table("command", "median", "least", "most", box=None)
    for words in ANSWERS:
        ratios = [seconds("-c", PROGRAM, *words) / seconds("-c", "import hydra") for _ in range(ROUNDS)]
        figures = (statistics.median(ratios), min(ratios), max(ratios))
        table.add_row(" ".join(["genlab", *words]), *(f"{figure:.2f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
