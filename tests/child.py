"""genlab in a process forked from the tests', so that a start costs nothing and the process may really be killed."""

import multiprocessing
import os
import pkgutil
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from conftest import SHORT
from hydra.core.plugins import Plugins

import genlab as package
from genlab import cli
from genlab.callbacks.exact_state import ExactState

# What a command imports when it is called, each fork would import anew.
for module in pkgutil.walk_packages(package.__path__, "genlab."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
Plugins.instance()

TRAIN = ["train", *SHORT]
"""Two epochs of three batches."""


class Child:
    """One command line in a process of its own, in ``folder``.

    Args:
        tell_at: the step after which ``wait_for_step`` returns.
    """

    def __init__(self, *words: str, folder: Path, tell_at: int | None = None) -> None:
        self.log = folder / "child.log"
        self.reader, writer = os.pipe()
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=run, args=(words, folder, self.log, writer, tell_at))
        self.process.start()
        os.close(writer)

    def wait_for_step(self) -> None:
        assert os.read(self.reader, 1) == b"!", self.output

    def send(self, number: int) -> None:
        os.kill(self.process.pid or 0, number)

    def kill_after(self, seconds: float) -> bool:
        """kill -9, unless it ended by itself before."""
        self.process.join(seconds)
        if not self.process.is_alive():
            return False
        self.send(signal.SIGKILL)
        self.process.join()
        return True

    def code(self) -> int | None:
        """The exit code, at the end."""
        self.process.join(120)
        return self.process.exitcode

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.is_file() else ""


def run(words: tuple[str, ...], folder: Path, log: Path, writer: int, tell_at: int | None) -> None:
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    callback: Any = ExactState
    step = callback.on_train_batch_end

    def tell(self: ExactState, trainer: Any, *others: Any) -> None:
        step(self, trainer, *others)
        if trainer.global_step == tell_at:
            os.write(writer, b"!")

    callback.on_train_batch_end = tell
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code = cli.main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def genlab(*words: str, folder: Path) -> tuple[int | None, str]:
    """The exit code and all that was printed."""
    child = Child(*words, folder=folder)
    return child.code(), child.output
