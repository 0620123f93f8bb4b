"""``genlab train -m``: every combination of values, each in a process of its own, some at a time."""

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from genlab.config.words import key_of, normalize, quoted
from genlab.errors import UsageError
from genlab.sweep.process import FORWARDED, Shares, end, say, start, visible_gpus

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig


MOST_COMMANDS = 10
"""To go on that are printed, so that they fit on one screen."""


class Jobs:
    """The processes of one multirun.

    Args:
        at_once: how many run at a time.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.shares = Shares(at_once, visible_gpus() if at_once > 1 else ())
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.signal = 0
        self.lock = threading.RLock()  # a second signal may interrupt the handling of the first

    def run(self, number: int, words: Sequence[str], folder: Path) -> int:
        """Runs one job to its end; its output goes to ``console.log`` in its folder."""
        with self.shares.one() as share:
            with self.lock:
                if self.signal:
                    return 128 + self.signal
                process = start(["train", *words, f"run_dir={quoted(str(folder))}"], folder, share)
                self.running[number] = process
            say(f"job {number} starts: {shlex.join(words)} in {folder}")
            code, log = end(process, folder)
        with self.lock:
            del self.running[number]
        say(f"job {number} ends with {code}: {folder}" + (f"; see {log}" if code else ""))
        return code

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Hands a signal to every job, also to one that is being started, and starts no other."""
        with self.lock:
            self.signal = number
            for process in self.running.values():
                process.send_signal(number)


class Results:
    """What the launcher, which Hydra calls, hands back to ``sweep``, which calls Hydra."""

    codes: tuple[int, ...] = ()
    signal: int = 0


def sweep(command: str, words: list[str]) -> int:
    """Runs every combination by Hydra's sweeper; all are checked before the first one starts.

    Returns:
        0 if every job succeeded, else the exit code of the first that did not, in the order of their numbers; 130 or
        143 after a signal.

    Raises:
        UsageError: a word of any job is wrong.
    """
    import hydra

    from genlab.config.places import config_dir, user_dir

    if command != "train":
        raise UsageError(f"-m runs many trainings: `genlab train -m …`, not `genlab {command}`")
    if "LOCAL_RANK" in os.environ:
        raise UsageError("-m starts its own processes: run it without torchrun")
    if any(word.startswith("config=") for word in words):
        raise UsageError("-m does not go with config=: give the values as words, or start the runs one by one")
    given = [normalize(command, word) for word in words]
    folder = [word.partition("=")[2] for word in given if key_of(word) == "run_dir"]
    given = [word for word in given if key_of(word) != "run_dir"]
    if not any(word.startswith("hydra/sweeper") for word in given):
        check_every(command, given)
    arguments = ["-m", "hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null"]
    arguments += [f"hydra.sweep.dir={folder[-1] if folder else quoted(new_folder())}"]
    arguments += [f"hydra.searchpath=['file://{user_dir()}']"] if user_dir() else []
    before = sys.argv
    sys.argv = [before[0], *arguments, *given]
    try:
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=command)(lambda config: None)()
    finally:
        sys.argv = before
    if Results.signal:
        return 130 if Results.signal == signal.SIGINT else 143
    return next((code for code in Results.codes if code), 0)


def check_every(command: str, words: list[str]) -> int:
    """Composes and checks each job; returns how many there are.

    Raises:
        UsageError: a job cannot work; says which.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from genlab.config import check, compose

    parsed = OverridesParser.create().parse_overrides(words)
    try:
        jobs = list(
            itertools.chain(
                *BasicSweeper.split_arguments([word for word in parsed if not word.is_hydra_override()], None)
            )
        )
    except HydraException as error:
        raise UsageError(f"not a sweep: {str(error).splitlines()[0]}") from error
    for number, job in enumerate(jobs):
        try:
            check(compose(command, job))
        except UsageError as error:
            raise UsageError(f"job {number} ({shlex.join(job)}) cannot work, so none was started:\n{error}") from error
    return len(jobs)


def new_folder() -> str:
    """A folder for the runs of one sweep that is not there yet."""
    from datetime import datetime

    named = Path("outputs") / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    numbered = (named.with_name(f"{named.name}-{number}") for number in itertools.count(2))
    return str(next(folder for folder in itertools.chain([named], numbered) if not folder.exists()))


def launch(config: "DictConfig", job_overrides: Sequence[Sequence[str]], first: int) -> "Sequence[JobReturn]":
    """What Hydra's sweeper calls with the words of each job.

    Args:
        config: the sweep's, with Hydra's own node.
        first: number of the first job.
    """
    from hydra.core.utils import JobReturn, JobStatus

    jobs = Jobs(config.jobs)
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    own = [[word for word in words if key_of(word) != "jobs"] for words in job_overrides]
    handlers = {number: signal.signal(number, jobs.forward) for number in FORWARDED}
    try:
        with ThreadPoolExecutor(jobs.at_once) as pool:
            numbers = range(first, first + len(own))
            codes = list(pool.map(jobs.run, numbers, own, [folder / str(number) for number in numbers]))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    Results.codes += tuple(codes)
    Results.signal = jobs.signal
    say(f"{codes.count(0)} of {len(codes)} jobs succeeded, in {folder}")
    stopped = {number: words for number, words, code in zip(numbers, own, codes, strict=True) if code > 128}
    for command in commands_to_go_on(folder, stopped):
        say(f"go on        {command}")
    if any(code == 0 for code in codes):
        compare(folder, {number: words for number, words, code in zip(numbers, own, codes, strict=True) if code == 0})
    return [
        JobReturn(overrides=words, _return_value=code, status=JobStatus.COMPLETED)
        for words, code in zip(own, codes, strict=True)
    ]


def commands_to_go_on(folder: Path, jobs: dict[int, list[str]]) -> list[str]:
    """For jobs that were stopped, or were not begun because of that: at most 10, then how many more there are.

    Args:
        folder: of the sweep.
        jobs: the words of each.
    """
    commands = []
    for number, words in jobs.items():
        run = os.path.relpath(folder / str(number))
        begun = (folder / str(number) / "config.yaml").is_file()
        arguments = ["resume", run] if begun else ["train", *words, f"run_dir={run}"]
        commands.append(shlex.join(["genlab", *arguments]))
    more = len(commands) - MOST_COMMANDS
    return [*commands[:MOST_COMMANDS], *([f"and {more} more"] if more > 0 else [])]


def compare(folder: Path, jobs: dict[int, list[str]]) -> None:
    """Prints a table of the settings in which the jobs differ and their final values, and draws those that all have.

    Where one number differs, ``comparison.png`` shows each value over it; the least of a criterion is marked.

    Args:
        folder: of the sweep.
        jobs: the words of each job that succeeded.
    """
    from genlab.runs.listing import print_table

    settings = {number: dict(word.split("=", 1) for word in words if "=" in word) for number, words in jobs.items()}
    keys = [key for key in next(iter(settings.values())) if len({row.get(key) for row in settings.values()}) > 1]
    values = {
        number: json.loads((folder / str(number) / "metrics.json").read_text(encoding="utf-8")) for number in settings
    }
    every = list(dict.fromkeys(name for row in values.values() for name in row))
    names = [name for name in every if all(name in row for row in values.values())]
    lines = []
    for number, row in settings.items():
        found = (f"{values[number][name]:.5g}" if name in values[number] else "" for name in every)
        lines.append([number, *(row.get(key, "") for key in keys), *found])
    print_table(["job", *keys, *every], lines)
    try:
        numbers = [float(row[key]) for row in settings.values() for key in keys]
    except (KeyError, ValueError):
        return
    if len(keys) == 1 and names:
        from genlab.plots import comparison

        try:
            comparison(keys[0], numbers, {name: [row[name] for row in values.values()] for name in names}, folder)
            say(f"drawn in {folder / 'comparison.png'}")
        except UsageError as error:
            say(f"no picture: {error}")
