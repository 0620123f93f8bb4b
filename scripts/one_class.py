"""Trains on each digit of MNIST alone and prints how well the other nine are told from it.

    python scripts/one_class.py                               # f-AnoGAN, ten runs
    python scripts/one_class.py --digits 1 8 --seed 1
    python scripts/one_class.py --experiment anogan_digits

Runs lie in outputs/one_class/<experiment>-seed-<seed>/<digit>; those that are finished are not trained again.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

SCORES = ("image_auroc", "peak_auroc", "normal_score", "anomaly_ratio")


def genlab(*words: str, quiet: bool = False) -> str:
    """Runs one command of genlab; gives what it printed if ``quiet``."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run([sys.executable, "-m", "genlab", *words], check=True, text=True, stdout=output)
    return done.stdout or ""


def is_finished(run: Path) -> bool:
    status = run / "status.json"
    return status.is_file() and json.loads(status.read_text(encoding="utf-8"))["state"] == "finished"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="f_anogan_digits")
    parser.add_argument("--digits", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = Table("digit", *SCORES, "diversity kept", "collapsed", "minutes", box=None)
    areas = []
    for digit in options.digits:
        run = Path("outputs", "one_class", f"{options.experiment}-seed-{options.seed}", str(digit))
        start = time.monotonic()
        if not is_finished(run):
            words = [f"experiment={options.experiment}", f"dataset.normal_class={digit}", f"seed={options.seed}"]
            genlab("train", *words, f"run_dir={run}")
        minutes = (time.monotonic() - start) / 60
        report = json.loads(genlab("evaluate", str(run), "metrics=[anomaly]", "json=true", quiet=True))
        areas.append(report["metrics"]["image_auroc"])
        about = report["how"]["normal_score"]
        values = [f"{report['metrics'][score]:.4g}" for score in SCORES]
        sign = "yes" if "collapsed" in about else "no"
        table.add_row(str(digit), *values, f"{about['diversity_kept']:.2f}", sign, f"{minutes:.1f}")
    Console(width=120).print(table)
    print(f"mean image_auroc {sum(areas) / len(areas):.4f} over {len(areas)} digits")


if __name__ == "__main__":
    main()
