"""The trials of a sweep as forks of its process, so that a start costs nothing; they are real and may be killed.

One at a time (``jobs=1``): a fork made while another thread holds a lock may wait for that lock for ever.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from child import Child
from conftest import SHORT
from hydra.core.global_hydra import GlobalHydra

from genlab import cli
from genlab.sweep.process import log_of

TINY = [word for word in SHORT if not word.startswith("callbacks.")]
TINY += ["callbacks=none", "model=vae", "dataset=optdigits", "model.hidden_dims=[8]"]
"""A VAE of 8x8 pixels, two epochs of three batches."""


class Forked:
    """What ``genlab.sweep.process.start`` gives, of a fork."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def start(
    words: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    inherited: Sequence[int] = (),
    working_folder: Path | None = None,
) -> Forked:
    folder.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if pid := os.fork():
        os.close(output)
        with (folder.parent / ".pids").open("a") as file:
            file.write(f"{pid}\n")
        return Forked(pid)
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    for file in range(3, 256):
        if file not in inherited:
            try:
                os.close(file)
            except OSError:
                continue
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        signal.signal(number, handler)
    os.chdir(working_folder or Path.cwd())
    os.environ.update(environment)
    GlobalHydra.instance().clear()  # of a multirun, in which this process was forked
    os._exit(cli.main(words))


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sweep of the test has forks for its trials or jobs."""
    monkeypatch.setattr("genlab.sweep.work.start", start)
    monkeypatch.setattr("genlab.sweep.multirun.start", start)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sweep of the test draws its diagrams, which takes longer than such trials."""
    monkeypatch.setattr("genlab.sweep.results.draw", lambda study, folder: iter(()))


def sweep(folder: Path, *words: str) -> tuple[int | None, str]:
    """Runs a sweep in ``folder/sweep``; the exit code and all that was printed."""
    child = Child("sweep", *TINY, "sweep_dir=sweep", *words, folder=folder)
    return child.code(), child.output
