"""List the runs and how far they are; compare them, find the best, follow one, tag them, or remove old checkpoints."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from genlab.config import Composed
from genlab.errors import RunError, UsageError

Tag = Annotated[str, Field(pattern=r"^[\w.-]+$")]
ACTIONS = {"compare": "comparison", "best": "comparison", "tail": "upkeep", "prune": "upkeep", "tag": "upkeep"}
"""Which module of ``genlab.runs`` has the function of each."""


def main(
    composed: Composed,
    action: str | None,
    root: str,
    where: str | None,
    sort: Literal["run", "model", "dataset", "state", "epoch", "step", "age", "size", "metric"],
    metric: str | None,
    direction: Literal["minimize", "maximize"] | None,
    keep: list[Literal["best", "last"]],
    older_than: str | int | None,
    yes: bool,
    add: list[Tag],
    remove: list[Tag],
    output: str | None,
    json: bool,
) -> None:
    """Prints a table or, with ``json``, the same as JSON.

    Args:
        action: the first word without ``=``; runs follow it. ``compare`` prints in which settings two or more runs
            differ and their values side by side, says whether a difference of two evaluations is outside noise, and
            puts their newest pictures of samples, of one seed, into one. ``best`` orders runs by a metric. ``tail``
            prints what a run logs, until it ends. ``prune`` removes checkpoints that are neither ``best`` nor ``last``.
            ``tag`` adds and removes words that ``where=tag=…`` finds.
        root: the folder to look in, where no runs are named.
        where: conditions on model, dataset, state or tag, all of which must hold.
        json: of the list, ``[{"run", "model", "dataset", "state", "epoch", "epochs", "step", "monitor", "age", "size",
            "tags"}]``: age in seconds since the run last wrote, size in bytes.

    Raises:
        RunError: no such folder or run.
        UsageError: an unknown action or condition, or a run is missing.
    """
    from genlab.run import Run
    from genlab.runs.listing import conditions, describe, fits, order, show

    words = [word for word in composed.words if "=" not in word]
    action, names = (words[0], words[1:]) if words else (action, [])
    if action is not None and action not in ACTIONS:
        raise UsageError(f"`genlab runs {action}`: expected {', '.join(ACTIONS)}, or no such word for the list")
    folder = Path(root).expanduser()
    if root != "outputs" and not folder.is_dir():
        raise RunError(f"root={root}: there is no such folder")
    named = [Run.open(name) for name in names]
    found = named or (Run.under(folder) if folder.is_dir() else [])
    wanted = conditions(where)
    described = list(map(describe, found))
    rows = [row for row in described if fits(row, wanted)]
    if not named:
        rows.sort(key=lambda row: order(row, sort))
    if action is None and found and not rows and not json:
        states = sorted({row["state"] for row in described})
        tags = sorted({tag for row in described for tag in row["tags"]})
        about = f"their states: {', '.join(states)}; their tags: {', '.join(tags) or 'none'}"
        print(f"none of {len(found)} runs fits where={where}; {about}")
        return
    if action is None:
        show(rows, folder, json)
        return
    options: dict[str, dict[str, Any]] = {
        "compare": {"output": output},
        "best": {"metric": metric, "direction": direction},
        "tail": {},
        "prune": {"keep": keep, "older_than": older_than, "yes": yes},
        "tag": {"add": add, "remove": remove},
    }
    if action in ("compare", "tail", "tag") and len(names) < (least := 2 if action == "compare" else 1):
        raise UsageError(f"`genlab runs {action}` needs {'two runs or more' if least == 2 else 'a run'}")
    module = import_module(f"genlab.runs.{ACTIONS[action]}")
    getattr(module, action)(rows, json=json, **options[action])
