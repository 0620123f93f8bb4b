"""Go on with a run exactly where it stopped."""

import os
import sys
from pathlib import Path
from typing import Any

from genlab.config import Composed, check, difference, load, save
from genlab.errors import RunError
from genlab.run import Run, write_json

FREE = (
    *("trainer.max_epochs", "trainer.max_steps", "trainer.max_time", "trainer.log_every_n_steps"),
    *("trainer.check_val_every_n_epoch", "trainer.limit_val_batches", "trainer.enable_progress_bar"),
    *("trainer.num_sanity_val_steps", "checkpoint", "callbacks", "jobs", "run_dir"),
    *("dataset.num_workers", "dataset.path", "dataset.memory_mb", "dataset.download"),
)
"""Settings that a run may be resumed with other values of: the training goes on to the same bits."""

FREE_AT_A_COST = ("threads",)
"""Settings that may change too, but the weights then differ in their last bits from an uninterrupted run's."""

BUDGET = ("trainer.max_epochs", "trainer.max_steps", "trainer.max_time")


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
    from genlab.training import is_main_process

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
        rows = [f"  {key}: {before} in the run, {after} now" for key, before, after in changed]
        raise RunError(
            "a run goes on with the settings it began with; these differ:\n"
            + "\n".join(rows)
            + f"\nleave them out, or train anew with them. Free to change: {', '.join((*FREE[:-1], *FREE_AT_A_COST))}"
        )


def go_on(run: Run, composed: Composed, name: str | None, allow_data_change: bool) -> None:
    """Finds the checkpoint and trains."""
    from genlab.checkpoint import load as load_checkpoint
    from genlab.training import environment, fit, is_main_process

    old, config = run.config, composed.config
    if name is not None and Path(name).is_file():
        path, faults = Path(name).absolute(), []
    else:
        path, faults = run.newest_good()
    if path is None and faults:
        raise RunError("\n".join([*faults, f"{run.folder} has no checkpoint that is whole; train anew"]))
    step, about = 0, None
    if path is not None:
        about = load_checkpoint(path)["genlab"]
        step = about["step"]
    if is_complete(run, old, config, about):
        print(f"{run.folder} is already complete, after step {step}; to go on, give more: trainer.max_epochs=…")
        return
    if is_main_process():
        for fault in faults:
            print(f"genlab: {fault}; going on from an older one", file=sys.stderr)
        print(f"going on from {path.name if path else 'the beginning: there is no checkpoint yet'}, step {step}")
        os.environ["GENLAB_RUN_DIR"] = str(run.folder)
        record = run.folder / "environment.json"
        write_json(
            record.with_name(f"environment-step-{step}.json") if record.exists() else record, environment(config)
        )
        save(config, run.folder / "config.yaml")
    fit(run, config, path, step, allow_data_change)


def is_complete(run: Run, old: dict[str, Any], new: dict[str, Any], about: dict[str, Any] | None) -> bool:
    """Whether the budget was used up, or the model has stopped by itself and the budget was not raised."""
    same_budget = all(old["trainer"][key.split(".")[1]] == new["trainer"][key.split(".")[1]] for key in BUDGET)
    if about is None:
        return False
    if run.status["state"] == "finished" and same_budget:
        return True
    epochs, steps = new["trainer"]["max_epochs"], new["trainer"]["max_steps"]
    return (epochs != -1 and about["step"] >= epochs * about["batches"]) or (steps != -1 and about["step"] >= steps)
