"""Train a model in a new run folder."""

import os
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from genlab.config import Composed, save
from genlab.errors import UsageError
from genlab.run import OUTPUTS, Run, write_json

Settings = dict[str, Any]


def main(
    composed: Composed,
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)],
    run_dir: str | None,
    precision: Literal["32-true", "bf16-mixed", "64-true"],
    threads: Literal["auto"] | PositiveInt,
    jobs: PositiveInt,
    trainer: Settings,
    checkpoint: Settings,
    callbacks: Settings,
    model: Settings,
    dataset: Settings,
    optimizer: Settings,
    schedule: Settings,
    accelerator: Settings,
) -> None:
    """Trains; the other arguments are in ``composed`` too, and stand here for their types.

    Args:
        run_dir: a new folder; None makes ``outputs/<model>/<time>``.
        threads: of the CPU; ``auto`` becomes what the machine's load allows, and is saved as that number.
        jobs: runs at a time in a multirun.

    Raises:
        GenlabError: the run cannot start, or was stopped.
    """
    from genlab.environment import environment
    from genlab.processes import is_main_process, launched_from_outside, processes_here
    from genlab.training import fit, prepare, resolve_threads

    if jobs > 1:
        raise UsageError(f"jobs={jobs} is of several runs, side by side: add -m, or leave the word out")
    config = {**composed.config, "threads": resolve_threads(threads, processes_here(composed.config["accelerator"]))}
    config["run_dir"] = None  # the folder may move
    if run_dir is None and launched_from_outside() and "GENLAB_RUN_DIR" not in os.environ:
        raise UsageError(
            "torchrun and SLURM start the processes of a run by themselves: name its folder, so that all of them use "
            "the same one: run_dir=outputs/NAME"
        )
    model_and_data = prepare(config)
    if not is_main_process():
        fit(Run(Path(run_dir or os.environ["GENLAB_RUN_DIR"]).absolute()), config, *model_and_data)
        return
    name = composed.choices["model"]
    run = Run.create(Path(run_dir).expanduser()) if run_dir is not None else Run.create_next(new_folders(name))
    os.environ["GENLAB_RUN_DIR"] = str(run.folder)  # for the processes that Lightning starts
    with run.lock():
        save(config, run.folder / "config.yaml")
        write_json(run.folder / "environment.json", environment(config))
        fit(run, config, *model_and_data)


def new_folders(model: str) -> "chain[Path]":
    """``outputs/<model>/<time>``, then the same with a number, for runs that start within one second."""
    folder = OUTPUTS / model / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    return chain([folder], (folder.with_name(f"{folder.name}-{number}") for number in count(2)))
