"""What run folders say of themselves, as a table or JSON."""

import csv
import json as json_format
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from genlab.errors import RunError, UsageError
from genlab.run import Run

Row = dict[str, Any]
"""``run, model, dataset, state, epoch, epochs, step, monitor, age, size, tags``; age in seconds, size in bytes."""

FILTERS = ("model", "dataset", "state", "tag")
STATES = ("running", "finished", "pruned", "failed", "interrupted", "killed", "damaged")


def describe(run: Run) -> Row:
    """What a run folder says of itself; a damaged one is listed as such."""
    row: Row = dict.fromkeys(("model", "dataset", "epoch", "epochs", "step", "monitor", "age"))
    row |= {"run": str(run.folder), "state": "damaged", "tags": run.tags, "size": size_of(run.folder)}
    try:
        config, status = run.config, run.status
    except (RunError, ValueError, OSError, KeyError):
        return row
    wrote = [path.stat().st_mtime for name in ("config.yaml", "status.json") if (path := run.folder / name).is_file()]
    row["age"] = time.time() - max(wrote)
    row |= {"model": config["model"]["_target_"].split(".")[-2], "dataset": config["dataset"]["name"]}
    row |= {name: status.get(name) for name in ("state", "epoch", "step", "monitor")}
    if row["state"] == "finished" and status.get("pruned") is not None:
        row |= {"state": "pruned", "epoch": status["pruned"]}
    if row["monitor"]:
        row["monitor"]["last"] = last_value(run.folder, row["monitor"]["name"])
    else:
        row["monitor"] = validated(run.folder)
    row["epochs"] = config.get("trainer", {}).get("max_epochs")
    return row


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder; names of one file, as last.ckpt and the step's own, are counted once."""
    sizes: dict[int, int] = {}
    for inside, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a run in work renames its unfinished files
                file = (Path(inside) / name).stat()
                sizes[file.st_ino] = file.st_size
    return sum(sizes.values())


def last_value(folder: Path, name: str) -> float | None:
    """The newest value that a run logged; as long as it has not ended, that may be newer than its last checkpoint."""
    metrics = folder / "metrics.json"
    if metrics.is_file():
        return json_format.loads(metrics.read_text(encoding="utf-8")).get(name)
    return next((float(row[name]) for row in reversed(logged(folder / "log.csv")) if name in row), None)


def validated(folder: Path) -> dict[str, Any] | None:
    """The first held-out value of a run that has ended, where none decides which checkpoint is the best."""
    path = folder / "metrics.json"
    metrics = json_format.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return next(({"name": name, "last": value} for name, value in metrics.items() if name.startswith("val/")), None)


def logged(path: Path) -> list[dict[str, str]]:
    """The values of each row of ``log.csv`` that has any; a row that is being written is none yet."""
    if not path.is_file():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [{key: value for key, value in row.items() if key and value} for row in csv.DictReader(whole.splitlines())]


def conditions(where: str | None) -> dict[str, str]:
    """``{"model": "vae"}`` of ``model=vae``."""
    parts = [part.partition("=") for part in (where or "").split(",") if part]
    wrong = [key for key, equals, _ in parts if key not in FILTERS or not equals]
    if wrong:
        raise UsageError(f"where={where}: expected {'=…, '.join(FILTERS)}=…, several with commas between them")
    wanted = {key: value for key, _, value in parts}
    if wanted.get("state", STATES[0]) not in STATES:
        raise UsageError(f"where={where}: a state is one of {', '.join(STATES)}")
    return wanted


def fits(row: Row, wanted: dict[str, str]) -> bool:
    return all(value in row["tags"] if key == "tag" else row[key] == value for key, value in wanted.items())


def order(row: Row, sort: str) -> tuple[bool, Any]:
    """What a row is sorted by, the best metric first; those without it come last."""
    value = value_of(row["monitor"]) if sort == "metric" else row[sort]
    if sort == "metric" and value is not None and row["monitor"].get("mode") == "max":
        value = -value
    return (value is None, 0 if value is None else value)


def value_of(monitor: dict[str, Any] | None) -> float | None:
    """The value of the best checkpoint."""
    value = (monitor or {}).get("best", (monitor or {}).get("last"))
    return value if isinstance(value, int | float) else None


def show(rows: list[Row], folder: Path, json: bool) -> None:
    if json:
        print(json_format.dumps(rows, indent=2))
        return
    if not rows:
        print(f"no runs under {folder.absolute()}; `genlab train` makes one, root=FOLDER looks in another")
        return
    columns = ("run", "model", "dataset", "state", "epoch", "step", "metric", "last", "age", "size", "tags")
    lines = []
    for row in rows:
        monitor = row["monitor"] or {}
        best, last = value_of(monitor), monitor.get("last")
        epoch = "" if row["epoch"] is None else f"{row['epoch']}/{row['epochs']}"
        lines.append(
            [
                *(os.path.relpath(row["run"]), row["model"], row["dataset"], row["state"], epoch, row["step"]),
                monitor.get("name") if best is None else f"{monitor['name']} {best:.5g}",
                f"{last:.5g}" if isinstance(last, int | float) else None,
                *(age_of(row["age"]), decimal(row["size"]), " ".join(row["tags"])),
            ]
        )
    print_table(columns, lines)


def age_of(seconds: float | None) -> str | None:
    """In its largest unit: ``3 d``, ``5 h``, ``12 min``."""
    if seconds is None:
        return None
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((unit for unit in units if seconds >= unit[0]), units[-1])
    return f"{seconds / size:.0f} {unit}"


def print_table(columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    table = Table(*columns, box=None)
    for line in lines:
        table.add_row(*("" if value is None else escape(str(value)) for value in line))
    console = Console()
    # In a file or pipe no name is cut.
    (console if console.is_terminal else Console(width=1000)).print(table, highlight=False)
