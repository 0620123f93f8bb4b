"""Runs side by side: settings, values and pictures."""

import json as json_format
import os
import shlex
from pathlib import Path
from typing import Any

from genlab.errors import UsageError
from genlab.run import Run
from genlab.runs.listing import Row, print_table

WITHIN = 1.96
"""Standard errors of a difference that 95 of 100 differences of equals are within."""


def compare(rows: list[Row], json: bool, output: str | None) -> None:
    folders = [Path(row["run"]) for row in rows]
    settings, values = differing_settings(folders), values_of(folders)
    target = Path(output).expanduser() if output else folders[0] / "samples" / "comparison.png"
    picture = str(target) if grids(folders, target) else None
    if json:
        about = {"runs": list(map(str, folders)), "settings": settings, "metrics": values, "picture": picture}
        print(json_format.dumps(about, indent=2))
        return
    names = [os.path.relpath(folder) for folder in folders]
    print_table(("setting", *names), [(key, *each) for key, each in settings.items()])
    print()
    numbers = [
        (
            name,
            *("" if value is None else f"{value:.5g}" for value in value_of_each["values"]),
            value_of_each["verdict"],
        )
        for name, value_of_each in values.items()
    ]
    print_table(("metric", *names, ""), numbers)
    if picture:
        print(f"samples of one seed, side by side: {os.path.relpath(picture)}")


def differing_settings(folders: list[Path]) -> dict[str, list[Any]]:
    """The value in each run of every setting that is not the same in all.

    Left out are where a run is written, what a sweep adds to its trials, and what follows another setting, as
    ``model.optimizer.lr`` does ``optimizer.lr``.
    """
    configs = [flat(Run(folder).config) for folder in folders]
    keys = dict.fromkeys(key for config in configs for key in config)
    each = {key: [config.get(key) for config in configs] for key in keys}
    differing = {
        key: values
        for key, values in each.items()
        if any(value != values[0] for value in values)
        and not key.startswith(("run_dir", "callbacks.pruning."))
        and not key.endswith("._partial_")
    }

    def follows(key: str, values: list[Any]) -> bool:
        others = differing.get(key.removeprefix("model."), []) if key.startswith("model.") else []
        return bool(others) and all(value in (None, other) for value, other in zip(values, others, strict=True))

    return {key: values for key, values in differing.items() if not follows(key, values)}


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def values_of(folders: list[Path]) -> dict[str, dict[str, Any]]:
    """``{"values": [one a run or None], "verdict": …}`` by name, of what was logged last and of the last evaluation.

    The verdict on two evaluations is whether their difference is within 1.96 of its standard errors.
    """
    each = [read(folder / "metrics.json") | read(folder / "evaluation.json").get("metrics", {}) for folder in folders]
    hows = [read(folder / "evaluation.json").get("how", {}) for folder in folders]
    names = dict.fromkeys(name for values in each for name in values)
    return {
        name: {
            "values": [values.get(name) for values in each],
            "verdict": verdict(
                [(values.get(name), error_of(how.get(name, {}))) for values, how in zip(each, hows, strict=True)]
            ),
        }
        for name in names
    }


def read(path: Path) -> dict[str, Any]:
    return json_format.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def error_of(how: dict[str, Any]) -> float | None:
    """The standard error of a score, if it is known or there is an interval of 95 %."""
    if "interval" in how:
        low, high = how["interval"]
        return (high - low) / (2 * WITHIN)
    return how.get("standard_error")


def verdict(scores: list[tuple[float | None, float | None]]) -> str:
    """Of two scores with their standard errors; of others nothing."""
    known = [(value, error) for value, error in scores if value is not None and error is not None]
    if len(scores) != 2 or len(known) != 2:
        return ""
    (a, error_of_a), (b, error_of_b) = known
    return "differ" if abs(a - b) > WITHIN * (error_of_a**2 + error_of_b**2) ** 0.5 else "within noise"


def grids(folders: list[Path], target: Path) -> bool:
    """Puts the newest picture that each run drew while it trained, all of seed 0, into one; whether each has one."""
    import torch
    from torchvision.io import ImageReadMode, read_image
    from torchvision.utils import save_image

    newest = [max((folder / "samples").glob("epoch-*.png"), default=None) for folder in folders]
    if any(path is None for path in newest):
        return False
    pictures = [read_image(str(path), ImageReadMode.RGB) / 255 for path in newest]
    height = max(picture.shape[1] for picture in pictures)
    padded = [torch.nn.functional.pad(picture, (0, 16, 0, height - picture.shape[1]), value=1) for picture in pictures]
    target.parent.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat(padded, dim=2), target)
    return True


def best(rows: list[Row], json: bool, metric: str | None, direction: str | None) -> None:
    if metric is None:
        raise UsageError("`genlab runs best` needs a metric: metric=val/elbo")
    values = values_of([Path(row["run"]) for row in rows])
    if metric not in values:
        raise UsageError(f"metric={metric}: no run has it; there are: {', '.join(values) or 'none'}")
    if direction is None:
        modes = {row["monitor"].get("mode") for row in rows if (row["monitor"] or {}).get("name") == metric}
        if len(modes) != 1 or None in modes:
            raise UsageError(f"metric={metric}: is more better? direction=maximize, or minimize")
        direction = {"max": "maximize", "min": "minimize"}[modes.pop()]
    both = zip(rows, values[metric]["values"], strict=True)
    having = [(row, value) for row, value in both if value is not None]
    having.sort(key=lambda pair: pair[1], reverse=direction == "maximize")
    if json:
        print(json_format.dumps([{"run": row["run"], metric: value} for row, value in having], indent=2))
        return
    lines = [(os.path.relpath(row["run"]), row["model"], row["dataset"], f"{value:.5g}") for row, value in having]
    print_table(("run", "model", "dataset", metric), lines)
    if len({(row["model"], row["dataset"]) for row, _ in having}) > 1:
        print("of several models or data sets, whose values may not compare: where=model=…,dataset=… chooses")
    print(f"draw from the best: genlab sample {shlex.quote(lines[0][0])}")
