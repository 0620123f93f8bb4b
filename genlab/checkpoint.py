"""Checkpoint files: tensors and plain data only, checksummed, written atomically.

A file is what ``torch.save`` writes, followed by the 64 hexadecimal digits of the SHA-256 of all bytes before them. It
is still a file that plain ``torch.load`` reads: the readers of zip archives ignore what follows the archive.
"""

import hashlib
import os
import pickle
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from genlab import __version__
from genlab.errors import ResourceError, RunError

FORMAT = 1
"""Raised when the layout of a checkpoint changes; ``load`` migrates or refuses older ones."""

DIGEST_LENGTH = 64
TEMPORARY = ".partial"


class _HashingFile:
    """A file to write to that keeps the SHA-256 of what was written.

    A thread hashes what is worth waking it for while the system takes the same bytes: neither holds Python's lock.
    """

    def __init__(self, file: BinaryIO, pool: Executor) -> None:
        self.file = file
        self.pool = pool
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        if len(data) < 1 << 20:
            self.sha256.update(data)
            return self.file.write(data)
        hashed = self.pool.submit(self.sha256.update, data)
        written = self.file.write(data)
        hashed.result()
        return written

    def flush(self) -> None:
        self.file.flush()


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes ``checkpoint`` so that ``path`` is at every moment the old file or the whole new one.

    Args:
        checkpoint: tensors, numbers, strings, lists, tuples, dictionaries and None.

    Raises:
        ResourceError: the disk is full or not writable; the file that was there is untouched.
    """
    partial = path.with_name(path.name + TEMPORARY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file, ThreadPoolExecutor(1) as pool:
            hashing: Any = _HashingFile(file, pool)  # torch only writes and flushes
            torch.save(checkpoint, hashing)
            file.write(hashing.sha256.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        partial.unlink(missing_ok=True)
        raise ResourceError(
            f"the checkpoint {path} could not be written: {error}.\n"
            "Earlier checkpoints of the run are untouched; make room or choose another folder, then `genlab resume`."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut (POSIX: a folder's entries are synced by its own descriptor)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def verify(path: Path) -> None:
    """Raises RunError unless the file's digest is that of its bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            sha256 = hashlib.sha256()
            remaining = max(size - DIGEST_LENGTH, 0)
            while remaining and (block := file.read(min(1 << 20, remaining))):
                sha256.update(block)
                remaining -= len(block)
            digest = file.read()
    except OSError as error:
        raise RunError(f"the checkpoint {path} cannot be read: {error.strerror}") from error
    if size <= DIGEST_LENGTH or digest != sha256.hexdigest().encode():
        raise RunError(f"the checkpoint {path} is damaged or cut short ({size} bytes; its SHA-256 does not match)")


def load(path: Path) -> dict[str, Any]:
    """The checkpoint at ``path`` on the CPU, after its digest was verified.

    Raises:
        RunError: it is missing, damaged, of an unknown format, or holds anything but tensors and plain data.
    """
    if not path.is_file():
        raise RunError(f"there is no checkpoint {path}")
    verify(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RunError(
            f"the checkpoint {path} holds more than tensors and plain data, so it is not read: it could run any code"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise RunError(f"{path} is not a checkpoint: {error}") from error
    about = checkpoint.get("genlab") if isinstance(checkpoint, dict) else None
    if not isinstance(about, dict):
        raise RunError(f"{path} is not a checkpoint of genlab")
    if about["format"] != FORMAT:
        raise RunError(
            f"the checkpoint {path} has format {about['format']}, written by genlab {about['version']}; "
            f"this is genlab {__version__}, which reads format {FORMAT}: use that version to read it"
        )
    return checkpoint


def stamp(config: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    """What a checkpoint says of itself: enough to rebuild its model and data set from the file alone."""
    return {
        "format": FORMAT,
        "version": __version__,
        "config": config,
        "fingerprint": fingerprint,
        "saved_at": time.time(),
    }


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's reads and writes go through ``save`` and ``load``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        save(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
