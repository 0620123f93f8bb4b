"""How a run ends: its final values, the picture of samples, and the commands to type next."""

import os
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from genlab.callbacks.board import Board
from genlab.config.targets import resolve_target
from genlab.run import CONVERGED, TIME_IS_OVER, Run, write_json

NOTHING_HELD_OUT = "needs items that were not trained on: dataset.num_validation=N of a new run keeps N aside"


def uses_of(config: dict[str, Any], folder: str) -> list[tuple[str, str]]:
    """What a model is for, and the commands."""
    model = resolve_target(config["model"]["_target_"], "model")
    if hasattr(model, "blend"):
        return [("blend", f"genlab apply {folder} source=FILE destination=FILE mask=FILE")]
    if hasattr(model, "edit"):
        attribute = config["model"]["attribute_names"][0]
        return [("edit", f"genlab apply {folder} input=FILE_OR_FOLDER 'attributes=[{attribute}]'")]
    if hasattr(model, "translate") and not hasattr(model, "sample"):
        return [("translate", f"genlab apply {folder} input=FILE_OR_FOLDER")]
    uses = [("sample", f"genlab sample {folder}")]
    if hasattr(model, "log_posterior"):
        uses.append(("classify", f"genlab apply {folder} input=FILE_OR_FOLDER"))
    if hasattr(model, "responsibilities"):
        rows = config["dataset"].get("path") if len(config["dataset"]["data_shape"]) == 1 else None
        uses.append(("components", f"genlab apply {folder} input={shlex.quote(rows) if rows else 'FILE_OR_FOLDER'}"))
    return uses


def conclude(
    run: Run,
    config: dict[str, Any],
    board: Board,
    metrics: dict[str, float],
    picture: Path | None,
    reason: str | None = None,
    has_held_out: bool = True,
) -> None:
    """The last that a run writes: its final values, in TensorBoard's table too.

    Args:
        reason: why it ended, if not by its epochs or steps.
        has_held_out: whether there are items that were not trained on, as far as is known.
    """
    board.write_result(config)
    report(run, config, metrics, picture, reason, has_held_out)


def longer(run: Run, config: dict[str, Any], folder: str, reason: str | None) -> list[tuple[str, str]]:
    """The command that gives a run, or a new one like it, twice the budget that is used up; none if it converged."""
    trainer, status = config["trainer"], run.status
    epochs = f"trainer.max_epochs={max(2 * trainer['max_epochs'], 1)}"
    if reason == CONVERGED:
        return []
    if reason == TIME_IS_OVER:
        minutes, seconds = divmod(2 * seconds_of(trainer["max_time"]), 60)
        time = f"trainer.max_time={minutes // 1440:02}:{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}"
        return [("go on", f"genlab resume {folder} {time}")]
    if 0 <= trainer["max_steps"] <= status.get("step", 0):
        has_epochs = trainer["max_epochs"] == -1 or 2 * (status["epoch"] + 1) <= trainer["max_epochs"]
        steps = f"trainer.max_steps={max(2 * trainer['max_steps'], 1)}"
        return [("go on", f"genlab resume {folder} {steps if has_epochs else f'{epochs} {steps}'}")]
    if key := last_epoch_of_schedule(config):
        words = f"{epochs} schedule.{key}={2 * trainer['max_epochs']}"
        return [("longer", f"genlab train config={folder}/config.yaml {words}")]
    return [("go on", f"genlab resume {folder} {epochs}")]


def seconds_of(max_time: str) -> int:
    """Of ``days:hours:minutes:seconds``."""
    days, hours, minutes, seconds = map(int, max_time.split(":"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def last_epoch_of_schedule(config: dict[str, Any]) -> str | None:
    """The setting of a schedule that ends with the run's epochs: further ones would have the last rate, next to 0."""
    ends = {key: (config["schedule"] or {}).get(key) for key in ("T_max", "total_iters", "total_epochs")}
    return next((key for key, end in ends.items() if end and end <= config["trainer"]["max_epochs"]), None)


def report(
    run: Run,
    config: dict[str, Any],
    metrics: dict[str, float],
    picture: Path | None,
    reason: str | None = None,
    has_held_out: bool = True,
) -> None:
    """Writes the final values and prints them, the picture of samples and the commands to type next."""
    write_json(run.folder / "metrics.json", metrics)
    run.write_status(state="finished", reason=reason)
    console = Console()
    table = Table("metric", "value", box=None)
    for name, value in metrics.items():
        table.add_row(name, f"{value:.5g}")
    if metrics:
        console.print(table)
    folder = shlex.quote(os.path.relpath(run.folder))
    if picture is not None:
        console.print(f"samples      {os.path.relpath(picture)}", soft_wrap=True, highlight=False, markup=False)
    can_hold_out = not has_held_out and "num_validation" in config["dataset"]
    for what, command in (
        *longer(run, config, folder, reason),
        *uses_of(config, folder),
        ("evaluate", NOTHING_HELD_OUT if can_hold_out else f"genlab evaluate {folder}"),
        ("curves", f"tensorboard --logdir {folder}"),
    ):
        console.print(f"{what:<12} {command}", soft_wrap=True, highlight=False, markup=False)
