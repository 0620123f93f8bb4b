"""A run folder: everything that one training wrote, and all that is needed to go on with it or to repeat it.

::

    config.yaml          the resolved configuration: `genlab train config=PATH/config.yaml` repeats the run
    environment.json     command, git state, packages, hardware, threads, seed
    status.json          running, finished, failed or interrupted; epoch and step of the last checkpoint
    metrics.json         the last value of every metric
    log.csv              every logged value
    tensorboard/         the same, with pictures
    checkpoints/         last.ckpt, best.ckpt and the newest step-*.ckpt
    samples/             pictures
    tags.json            words of the user's
"""

import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genlab.errors import ResourceError, RunError

OUTPUTS = Path("outputs")

TIME_IS_OVER = "trainer.max_time is over"
BUDGET = ("max_epochs", "max_steps", "max_time")
"""Of a trainer: the first to be used up ends a run."""

CONVERGED = "converged"
"""Why a run ended, in its status, if not by its epochs or steps."""


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that ``path`` is never half-written."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


class Run:
    """One run folder.

    Args:
        folder: an existing run folder; use ``Run.create`` for a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"

    @classmethod
    def create(cls, folder: Path) -> "Run":
        """Makes the folder.

        Raises:
            RunError: something is already there.
            ResourceError: it cannot be made.
        """
        if folder.is_file():
            raise RunError(f"run_dir={folder} is a file: give the path of a new folder")
        # A process killed while it began may have left hidden files and empty folders.
        if folder.is_dir() and any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*")):
            raise RunError(
                f"run_dir={folder} already exists and is not empty, and nothing in it is overwritten.\n"
                f"Go on with it: `genlab resume '{folder}'`; or choose another run_dir."
            )
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"run_dir={folder} cannot be made: {error.strerror}; choose another run_dir") from error
        return cls(folder.absolute())

    @classmethod
    def create_next(cls, folders: Iterable[Path]) -> "Run":
        """Makes the first of ``folders`` that is not there yet, even if another process does the same at this moment.

        Raises:
            ResourceError: it cannot be made.
        """
        for folder in folders:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise ResourceError(
                    f"the run folder {folder} cannot be made: {error.strerror}; choose another: run_dir=FOLDER"
                ) from error
            return cls.create(folder)
        raise AssertionError("there is always a next folder")

    @classmethod
    def open(cls, name: str | None) -> "Run":
        """The run that a user names: a run folder, a checkpoint file in one, or ``last``.

        Raises:
            RunError: there is no such run.
        """
        if name is None:
            raise RunError("no run was named: give a run folder, a checkpoint file, or `last`")
        if name == "last":
            runs = Run.under(OUTPUTS)
            if not runs:
                raise RunError(
                    f"there is no run under {OUTPUTS.absolute()}; `genlab train` makes one\n"
                    "a run elsewhere is named by its folder"
                )
            return max(runs, key=lambda run: (run.folder / "config.yaml").stat().st_mtime)
        path = Path(name).expanduser()
        if path.is_file():
            path = path.absolute().parent.parent
        if not (path / "config.yaml").is_file():
            reason = "it has no config.yaml" if path.is_dir() else "there is nothing of that name"
            raise RunError(f"'{name}' is not a run: {reason}. `genlab runs` lists the runs under {OUTPUTS.absolute()}")
        return cls(path.absolute())

    @staticmethod
    def check_name(name: str | None) -> None:
        """Whether a run or a checkpoint file is named, before anything is imported that takes seconds.

        Raises:
            RunError: there is neither.
        """
        if name is None or not Path(name).expanduser().is_file():
            Run.open(name)

    @staticmethod
    def under(root: Path) -> list["Run"]:
        """All runs under ``root``, by path."""
        return [Run(path.parent.absolute()) for path in sorted(root.rglob("config.yaml"))]

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            RunError: config.yaml cannot be read.
        """
        path = self.folder / "config.yaml"
        try:
            config = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        if not isinstance(config, dict) or "model" not in config:
            raise RunError(f"{path} is not the configuration of a run")
        return {str(key): value for key, value in config.items()}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while a process trains in the folder; the system frees it when the process dies, however it dies.

        Raises:
            RunError: another process trains in it; names the process and its host.
        """
        lock = filelock.FileLock(self.folder / ".lock", timeout=1)  # `is_locked` holds it for a moment
        owner = self.folder / ".owner"
        try:
            lock.acquire()
        except filelock.Timeout as error:
            holder = owner.read_text(encoding="utf-8") if owner.is_file() else "another process"
            raise RunError(f"{self.folder} is in use by {holder}: wait for it or stop it first") from error
        try:
            for partial in (*self.checkpoints.glob("*.partial"), *self.folder.glob(".*.partial")):
                partial.unlink(missing_ok=True)
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()

    @property
    def is_locked(self) -> bool:
        lock = filelock.FileLock(self.folder / ".lock", timeout=0)
        if not (self.folder / ".lock").exists():
            return False
        try:
            with lock:
                return False
        except filelock.Timeout:
            return True

    @property
    def status(self) -> dict[str, Any]:
        """What status.json says; a run that says it runs but holds no lock was killed."""
        path = self.folder / "status.json"
        status = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"state": "running"}
        if status["state"] == "running" and not self.is_locked:
            status["state"] = "killed"
        return status

    @property
    def tags(self) -> list[str]:
        path = self.folder / "tags.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def superfluous(self, keep: Iterable[str]) -> list[Path]:
        """Checkpoints but those named, ``best`` or ``last``, whatever further names these have."""
        kept = {self.checkpoints / f"{name}.ckpt" for name in keep}
        same = {path.stat().st_ino for path in kept if path.is_file()}
        files = sorted(self.checkpoints.glob("*.ckpt"))
        return [path for path in files if path not in kept and path.stat().st_ino not in same]

    def write_status(self, **values: Any) -> None:
        path = self.folder / "status.json"
        status = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write_json(path, status | values)

    def candidates(self) -> list[Path]:
        """The checkpoints to go on from, newest first; ``best`` comes last because it may be old."""
        steps = sorted(self.checkpoints.glob("step-*.ckpt"), reverse=True)
        return [
            path for path in (self.checkpoints / "last.ckpt", *steps, self.checkpoints / "best.ckpt") if path.is_file()
        ]

    def checkpoint_file(self, checkpoint: str) -> Path:
        """The file of a checkpoint's name, ``last``, ``best`` or ``step-…``.

        Raises:
            RunError: there is none; says which there are.
        """
        path = self.checkpoints / (checkpoint if checkpoint.endswith(".ckpt") else f"{checkpoint}.ckpt")
        if path.is_file():
            return path
        found = ", ".join(sorted(file.stem for file in self.checkpoints.glob("*.ckpt"))) or "none yet"
        raise RunError(
            f"{self.folder} has no checkpoint '{checkpoint}'; it has: {found} (and `initial`, the untrained model)"
        )

    def newest_good(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint whose digest is right, and the reason of each newer one that was passed over."""
        from genlab.checkpoint import verify

        faults: list[str] = []
        for path in self.candidates():
            try:
                verify(path)
            except RunError as error:
                faults.append(str(error))
            else:
                return path, faults
        return None, faults
