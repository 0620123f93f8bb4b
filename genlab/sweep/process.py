"""A training in a process of its own, with its share of the computer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from genlab.config.devices import num_cores

POLL = 0.2
"""Seconds between two looks at whether something has come to its end."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals to a sweep that it hands on to its trainings."""


class Shares:
    """The computer's cores and GPUs, shared out among the jobs that run at a time.

    Args:
        jobs: how many run at a time; one alone has the whole computer.
        gpus: their names for ``CUDA_VISIBLE_DEVICES``.
    """

    def __init__(self, jobs: int, gpus: Sequence[str]) -> None:
        self.free: SimpleQueue[dict[str, str]] = SimpleQueue()
        cores = num_cores()
        for slot in range(jobs):
            share = {"OMP_NUM_THREADS": str(max(1, cores // jobs))} if jobs > 1 else {}
            if jobs > 1 and gpus:
                share["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
            self.free.put(share)

    @contextmanager
    def one(self) -> Iterator[dict[str, str]]:
        """The environment variables of a share, which nobody else has meanwhile."""
        share = self.free.get()
        try:
            yield share
        finally:
            self.free.put(share)


def visible_gpus() -> list[str]:
    """The names of this process's GPUs, as ``CUDA_VISIBLE_DEVICES`` has them."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return named.split(",")
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def log_of(folder: Path) -> Path:
    """Where the output of a job goes as long as it runs; its folder may not be there yet."""
    return folder.parent / f"{folder.name}.console.log"


def start(
    words: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    inherited: Sequence[int] = (),
    working_folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Starts ``genlab`` with these words.

    Args:
        folder: of the run, beside which the output goes to a file.
        environment: variables that it has besides those of this process.
        inherited: open files that stay open in the process.
        working_folder: to which paths in the words are relative; None is that of this process.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with log_of(folder).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "genlab", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=working_folder,
            env=os.environ | environment,
            start_new_session=True,  # the terminal's Ctrl-C comes once, from us
            pass_fds=inherited,
        )


def end(process: "subprocess.Popen[bytes]", folder: Path) -> tuple[int, Path]:
    """Waits for a process; its exit code, 128 + n if signal n killed it, and the file with its output."""
    # Ray's way to cancel does not interrupt a wait for a process.
    while (code := process.poll()) is None:
        time.sleep(POLL)
    return code if code >= 0 else 128 - code, put_log_away(folder)


def put_log_away(folder: Path) -> Path:
    """Moves the output of a job that has ended into its folder, if it got one; the file."""
    log = log_of(folder)
    if log.is_file() and (folder / "config.yaml").is_file():
        return log.replace(folder / "console.log")
    return log


def say(text: str) -> None:
    """One line, even from several threads at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
