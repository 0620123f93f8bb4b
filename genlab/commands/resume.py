"""Go on with a run exactly where it stopped."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config import Composed, check, difference, load, save
from genlab.config.values import shown
from genlab.errors import RunError
from genlab.run import BUDGET, TIME_IS_OVER, Run, write_json

if TYPE_CHECKING:
    from genlab.datasets.base import Dataset

FREE = (
    *("trainer.max_epochs", "trainer.max_steps", "trainer.max_time", "trainer.log_every_n_steps"),
    *("trainer.check_val_every_n_epoch", "trainer.limit_val_batches", "trainer.enable_progress_bar"),
    *("trainer.num_sanity_val_steps", "checkpoint", "callbacks"),
    *("dataset.num_workers", "dataset.path", "dataset.memory_mb", "dataset.download"),
)
"""Settings that a run may be resumed with other values of: the training goes on to the same bits."""

FREE_AT_A_COST = ("threads",)
"""Settings that may change too, but the weights then differ in their last bits from an uninterrupted run's."""


def main(run: str | None, allow_data_change: bool, overrides: list[str]) -> None:
    """Trains on in a run folder.

    Args:
        run: a run folder, ``last``, or a checkpoint file of a run, from which on it is then trained again.
        allow_data_change: go on although the data are no longer those that the run began with.
        overrides: changes of the settings, as ``trainer.max_epochs=40``.

    Raises:
        RunError: no such run, in use, no checkpoint of it is good, or a setting may not change.
        GenlabError: whatever stops the training.
    """
    from genlab.processes import is_main_process

    opened = Run.open(run)
    composed = load(opened.folder / "config.yaml", overrides, "train")
    refuse_changes(opened.config, composed.config)
    check(composed)
    if not is_main_process():
        go_on(opened, composed, run, allow_data_change)
        return
    with opened.lock():
        go_on(opened, composed, run, allow_data_change)


def refuse_changes(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises a RunError with a table of the settings that a run cannot be resumed with."""
    changed = [
        (key, before, after)
        for key, before, after in difference(old, new)
        if not any(key == free or key.startswith(f"{free}.") for free in (*FREE, *FREE_AT_A_COST))
    ]
    if changed:
        rows = [f"  {key}: {shown(before)} in the run, {shown(after)} now" for key, before, after in changed]
        free = [key if "." in key or key == "threads" else f"{key}.KEY" for key in (*FREE, *FREE_AT_A_COST)]
        raise RunError(
            "a run goes on with the settings it began with; these differ:\n"
            + "\n".join(rows)
            + f"\nleave them out, or train anew with them. Free to change: {', '.join(free)}"
        )


def go_on(run: Run, composed: Composed, name: str | None, allow_data_change: bool) -> None:
    """Finds the checkpoint and trains."""
    from genlab.callbacks.board import Board
    from genlab.checkpoint import load as load_checkpoint
    from genlab.ending import conclude, last_epoch_of_schedule
    from genlab.environment import environment
    from genlab.processes import is_main_process
    from genlab.training import fit, prepare

    config = composed.config
    is_named = name is not None and Path(name).is_file()
    path, faults = (Path(name).absolute(), []) if name is not None and is_named else run.newest_good()
    if path is None and faults:
        raise RunError("\n".join([*faults, f"{run.folder} has no checkpoint that is whole; train anew"]))
    step, about = 0, None
    if path is not None:
        about = load_checkpoint(path)["genlab"]
        step = about["step"]
    if is_complete(config, about) or (not is_named and has_stopped_by_itself(run, about, config)):
        if about is not None and run.status["state"] != "finished" and is_main_process():
            # It was killed between its last checkpoint and its report.
            conclude(run, config, Board(run, None), about["metrics"], None)
        print(f"{run.folder} is already complete, after step {step}; to go on, give more: {spent(run, config, step)}")
        return
    model, dataset = prepare(config)
    if about is not None and not allow_data_change:
        refuse_other_data(about["fingerprint"], dataset)
    if is_main_process():
        for fault in faults:
            print(f"genlab: {fault}; going on from an older one", file=sys.stderr)
        print(f"going on from {path.name if path else 'the beginning: there is no checkpoint yet'}, step {step}")
        if (key := last_epoch_of_schedule(config)) and config["schedule"][key] < config["trainer"]["max_epochs"]:
            end = f"schedule.{key}={config['schedule'][key]}"
            print(f"after {end} epochs the learning rate is at its end and stays there")
        os.environ["GENLAB_RUN_DIR"] = str(run.folder)
        write_json(run.folder / f"environment-step-{step}.json", environment(config))
        save(config, run.folder / "config.yaml")
    fit(run, config, model, dataset, path, step)


def refuse_other_data(fingerprint: str, dataset: "Dataset") -> None:
    """Raises a RunError if the data are not those of the checkpoint."""
    if fingerprint != dataset.fingerprint():
        sizes = ", ".join(f"{count} {split}" for split, count in dataset.sizes().items())
        raise RunError(
            "the data differ from those that the run was trained on: "
            f"fingerprint {fingerprint[:12]} then, {dataset.fingerprint()[:12]} now ({sizes} now).\n"
            "Put the old data back, or go on with the new ones: allow_data_change=true"
        )


def is_complete(config: dict[str, Any], about: dict[str, Any] | None) -> bool:
    """Whether the budget of epochs or steps was used up at the checkpoint that says ``about`` of itself."""
    if about is None:
        return False
    epochs, steps = config["trainer"]["max_epochs"], config["trainer"]["max_steps"]
    return (epochs != -1 and about["step"] >= epochs * about["batches"]) or (steps != -1 and about["step"] >= steps)


def spent(run: Run, config: dict[str, Any], step: int) -> str:
    """The word that gives a run more to do."""
    if run.status.get("reason") == TIME_IS_OVER:
        return f"trainer.max_time=…, which is {config['trainer']['max_time']} in all"
    steps = config["trainer"]["max_steps"]
    if 0 <= steps <= step:
        return f"trainer.max_steps=…, which is {steps}, or -1 for epochs alone"
    return f"trainer.max_epochs=…, which is {config['trainer']['max_epochs']}"


def has_stopped_by_itself(run: Run, about: dict[str, Any] | None, config: dict[str, Any]) -> bool:
    """Whether it converged or its time was over, and no budget was raised since.

    The checkpoint has the budget that was used up: the run's own settings are already those of this resumption where
    another process of it has written them, or one that was killed.
    """
    stopped = run.status["state"] == "finished" or (about is not None and about["should_stop"])
    before = run.config if about is None else about["config"]
    budget = ["max_time"] if run.status.get("reason") == TIME_IS_OVER else BUDGET
    return stopped and all(before["trainer"][key] == config["trainer"][key] for key in budget)
