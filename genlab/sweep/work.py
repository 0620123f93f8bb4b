"""One run of a trial: however often it is asked for, and wherever, it is carried out once."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.config.words import quoted
from genlab.run import Run
from genlab.sweep.process import POLL, end, put_log_away, start


class Work:
    """Trains in a folder, goes on with what is there, or finds that nothing is left to do.

    It is sent to other computers before it is called; they see the same files.

    Args:
        words: of ``genlab train``.
        folder: of the run.
    """

    def __init__(self, words: list[str], folder: Path) -> None:
        self.words = words
        self.folder = folder
        self.working_folder = Path.cwd()
        self.signal = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_finished(self) -> bool:
        return (self.folder / "metrics.json").is_file() and Run(self.folder).status["state"] == "finished"

    def __call__(self, environment: dict[str, str]) -> int:
        """The exit code of the training, 0 if it had ended well before.

        Args:
            environment: variables of its process.
        """
        try:
            return self.carry_out(environment)
        except KeyboardInterrupt:  # how a cluster cancels; below Ray's workers SIGINT itself is blocked
            self.stop(signal.SIGTERM)
            return end(self.process, self.folder)[0] if self.process else 128 + signal.SIGTERM

    def carry_out(self, environment: dict[str, str]) -> int:
        with self.alone() as file:
            if self.signal:
                return 128 + self.signal
            if self.is_finished:
                put_log_away(self.folder)
                return 0
            folder = quoted(str(self.folder))
            begun = (self.folder / "config.yaml").is_file()
            words = ["resume", f"run={folder}"] if begun else ["train", *self.words, f"run_dir={folder}"]
            self.process = start(words, self.folder, environment, [file], self.working_folder)
            if self.signal:
                self.process.send_signal(self.signal)
            return end(self.process, self.folder)[0]

    def stop(self, number: int) -> None:
        """Hands a signal to the training, or begins none."""
        self.signal = number
        if self.process is not None:
            self.process.send_signal(number)

    @contextmanager
    def alone(self) -> Iterator[int]:
        """A file that this process and the training hold, and nobody else; waits for it.

        The system frees it when both have died, however they died: a training that outlives its killed sweep is waited
        for, not begun a second time.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder.parent / f".{self.folder.name}.lock", os.O_RDWR | os.O_CREAT)
        try:
            while not self.signal:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(POLL)
            yield file
        finally:
            os.close(file)
