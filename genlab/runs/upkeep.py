"""Run folders in use: following one, tagging some, and removing checkpoints that are no longer wanted."""

import json as json_format
import os
import re
import sys
import time
from datetime import timedelta
from itertools import chain
from pathlib import Path

from rich.filesize import decimal

from genlab.errors import UsageError
from genlab.run import Run, write_json
from genlab.runs.listing import Row, logged, print_table

UNITS = {"d": "days", "h": "hours", "m": "minutes"}
SHOWN = 10
"""Values that ``tail`` begins with."""


def tail(rows: list[Row], json: bool) -> None:
    """The last values that a run logged and, while it runs, those to come."""
    if len(rows) > 1:
        raise UsageError("`genlab runs tail` follows one run")
    run, shown = Run(Path(rows[0]["run"])), None
    while True:
        is_running = run.status["state"] == "running"
        values = logged(run.folder / "log.csv")
        shown = max(0, len(values) - SHOWN) if shown is None else shown
        for row in values[shown:]:
            print(json_format.dumps(row) if json else "  ".join(f"{key} {value}" for key, value in row.items()))
        shown = len(values)
        sys.stdout.flush()
        if not is_running:
            return
        time.sleep(1)


def prune(rows: list[Row], json: bool, keep: list[str], older_than: str | int | None, yes: bool) -> None:
    """Removes checkpoints; a run in work is never touched, nor one younger than is said."""
    least = 0.0
    if older_than is not None:
        matched = re.fullmatch(r"(\d+)([dhm])", str(older_than))
        if matched is None:
            raise UsageError(f"older_than={older_than}: expected days, hours or minutes, as 30d, 12h or 45m")
        least = timedelta(**{UNITS[matched[2]]: int(matched[1])}).total_seconds()
    old = [row for row in rows if row["state"] not in ("running", "damaged") and row["age"] >= least]
    superfluous = [Run(Path(row["run"])).superfluous(keep) for row in old]
    files = list(chain.from_iterable(superfluous))
    freed = sum({path.stat().st_ino: path.stat().st_size for path in files}.values())
    if not yes and files and not json:
        for path in files:
            print(os.path.relpath(path))
        if not sys.stdin.isatty():
            raise UsageError(f"{len(files)} files, {decimal(freed)}, would be removed: yes=true does it")
        yes = input(f"remove these {len(files)} files, {decimal(freed)}? [y/N] ").strip().lower() in ("y", "yes")
    if yes:
        for path in files:
            path.unlink(missing_ok=True)  # a resumed run may have been faster
    if json:
        about = {"files": list(map(str, files)), "bytes": freed, "removed": yes}
        print(json_format.dumps(about, indent=2))
    else:
        runs = sum(map(bool, superfluous)) if yes else 0
        removed = f"{len(files) if yes else 0} file{'' if yes and len(files) == 1 else 's'} removed"
        print(f"{removed}, {decimal(freed if yes else 0)}, in {runs} run{'' if runs == 1 else 's'}")


def tag(rows: list[Row], json: bool, add: list[str], remove: list[str]) -> None:
    for row in rows:
        run = Run(Path(row["run"]))
        row["tags"] = sorted((set(run.tags) | set(add)) - set(remove))
        write_json(run.folder / "tags.json", row["tags"])
    if json:
        print(json_format.dumps([{"run": row["run"], "tags": row["tags"]} for row in rows], indent=2))
    else:
        print_table(("run", "tags"), [(os.path.relpath(row["run"]), " ".join(row["tags"])) for row in rows])
