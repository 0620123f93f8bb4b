"""List the runs and how far they are."""

import json as json_format
import os
from pathlib import Path
from typing import Any

from genlab.errors import RunError


def main(root: str, json: bool) -> None:
    """Prints one line a run.

    Args:
        root: the folder to look in.
        json: prints a list of ``{"run", "model", "dataset", "state", "epoch", "step", "monitor"}``.
    """
    from genlab.run import Run

    folder = Path(root).expanduser()
    if root != "outputs" and not folder.is_dir():
        raise RunError(f"root={root}: there is no such folder")
    runs = [describe(run) for run in Run.under(folder)] if folder.is_dir() else []
    if json:
        print(json_format.dumps(runs, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    if not runs:
        print(f"no runs under {folder.absolute()}; `genlab train` makes one, root=FOLDER looks in another")
        return
    table = Table("run", "model", "dataset", "state", "epoch", "step", "metric", box=None)
    for run in runs:
        table.add_row(
            *(
                str("" if value is None else value)
                for value in (
                    os.path.relpath(run["run"]),
                    run["model"],
                    run["dataset"],
                    run["state"],
                    run["epoch"],
                    run["step"],
                    metric(run["monitor"]),
                )
            )
        )
    console = Console()
    # In a file or pipe no name is cut.
    (console if console.is_terminal else Console(width=1000)).print(table)


def describe(run: Any) -> dict[str, Any]:
    """What a run folder says of itself; a damaged one is listed as such."""
    try:
        config, status = run.config, run.status
    except (RunError, ValueError, OSError, KeyError):
        return {
            "run": str(run.folder),
            "model": None,
            "dataset": None,
            "state": "damaged",
            "epoch": None,
            "step": None,
            "monitor": None,
        }
    return {
        "run": str(run.folder),
        "model": config["model"]["_target_"].split(".")[-2],
        "dataset": config["dataset"]["name"],
        "state": status["state"],
        "epoch": status.get("epoch"),
        "step": status.get("step"),
        "monitor": status.get("monitor"),
    }


def metric(monitor: dict[str, Any] | None) -> str:
    """``val/negative_elbo 98.2``: the value of the best checkpoint."""
    if not monitor:
        return ""
    best = monitor.get("best", monitor.get("last"))
    return f"{monitor.get('name')} {best:.5g}" if isinstance(best, int | float) else str(monitor.get("name"))
