"""Prints how near `genlab plan` comes: what it foretells of five trainings, and what these then take.

    python scripts/bench_plan.py            # about 5 minutes on 2 cores that do nothing else

Each is planned and then trained for two epochs, in processes of their own; time is from the first step to the end of
the last epoch, memory the most that the process had.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table

RECIPES = {
    "vae": ("model=vae",),
    "dcgan": ("model=dcgan", "trainer.limit_train_batches=80"),
    "gated_pixel_cnn": ("model=gated_pixel_cnn",),
    "srresnet": ("model=srresnet", "trainer.limit_train_batches=60"),
    "cyclegan": ("model=cyclegan", "trainer.limit_train_batches=60"),
}


class Meter(pl.Callback):
    """Writes the seconds of a training and the most memory into ``path``."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began = time.perf_counter()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        measured = {"seconds": time.perf_counter() - self.began, "peak": peak}
        self.path.write_text(json.dumps(measured), encoding="utf-8")


def genlab(*words: str) -> str:
    command = [sys.executable, "-m", "genlab", *words, "accelerator=cpu", "trainer.max_epochs=2"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent).stdout


def trained(folder: Path, *words: str) -> dict[str, Any]:
    meter = {"_target_": "bench_plan.Meter", "path": str(folder / "measured.json")}
    given = "{" + ",".join(f"{key}:{value}" for key, value in meter.items()) + "}"
    genlab("train", "--allow", "bench_plan", *words, f"run_dir={folder / 'run'}", f"+callbacks.meter={given}")
    return json.loads((folder / "measured.json").read_text(encoding="utf-8"))


def main() -> None:
    table = Table("recipe", "seconds", "of plan", "GB", "of plan", box=None)
    ratios: list[float] = []
    for name, words in RECIPES.items():
        planned = json.loads(genlab("plan", *words, "json=true"))
        with tempfile.TemporaryDirectory() as folder:
            real = trained(Path(folder), *words)
        foretold = {"seconds": planned["total_seconds"], "peak": planned["peak_memory_bytes"]}
        each = {what: foretold[what] / real[what] for what in foretold}
        ratios += each.values()
        row = (f"{real['seconds']:.1f}", f"{each['seconds']:.2f}", f"{real['peak'] / 1e9:.2f}", f"{each['peak']:.2f}")
        table.add_row(name, *row)
        print(name, *row, flush=True)
    console = Console()
    console.print(table)
    console.print(
        f"largest error {max(abs(ratio - 1) for ratio in ratios):.0%}, median {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
