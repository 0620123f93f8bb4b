"""One file of rows, for mixtures, in memory or on disk."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import Vectors
from genlab.datasets.loader import Chosen, Source
from genlab.datasets.tables import check_finite, check_rows, column_names, read_rows, warn_of_constant
from genlab.errors import UsageError

MAPPED_ROWS = 2048
"""Rows read through one mapping of a file."""
BLOCK_ROWS = 65_536
"""Rows of a file on disk that are checked at a time."""


class VectorsInMemory:
    """A source of rows, ``(N, D)`` float32."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitems__(self, chosen: Chosen) -> Vectors:
        return Vectors(self.vectors.index_select(0, chosen.items))


class VectorsOnDisk:
    """A source of rows of an ``.npy`` file that is never whole in memory.

    Args:
        num_held_out: rows that are held out, evenly spaced, from the first on.
        held_out: this source has these rows, else the others.
    """

    def __init__(self, path: Path, num_held_out: int, held_out: bool) -> None:
        self.path = path
        self.held_out = held_out
        num_rows = len(np.load(path, mmap_mode="r"))
        self.rows_held_out = torch.arange(num_held_out) * num_rows // max(1, num_held_out)
        # How many of the other rows come before each that is held out.
        self.others_before = self.rows_held_out - torch.arange(num_held_out)
        self.size = num_held_out if held_out else num_rows - num_held_out

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, chosen: Chosen) -> Vectors:
        if self.held_out:
            rows = self.rows_held_out[chosen.items]
        else:
            rows = chosen.items + torch.searchsorted(self.others_before, chosen.items, right=True)
        # Mapped anew for each part: pages of a mapping, and with each touched its neighbours, count as memory in use.
        parts = [np.load(self.path, mmap_mode="r")[part.numpy()] for part in rows.split(MAPPED_ROWS)]
        return Vectors(torch.from_numpy(np.concatenate(parts).astype(np.float32)))


class VectorFile(Dataset):
    """The rows of one file.

    Args:
        path: ``.npy`` or ``.npz`` of numbers, or ``.csv`` or ``.tsv`` with or without a line of names; ``~`` is the
            home folder.
        array: which array of an ``.npz``; None if it has but one of two axes.
        data_shape: ``[D]``, the number of columns.
        num_test: rows held out for evaluation alone.
        in_memory: False reads an ``.npy`` batch by batch, in its order, however large it is; the rows held out are
            then evenly spaced, and are those of validation or of test, not both.
    """

    batch_type = Vectors

    def __init__(
        self,
        name: str,
        path: str | None,
        array: str | None,
        data_shape: tuple[PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        in_memory: bool,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        if path is None:
            raise UsageError(f"the data set '{name}' needs a file of rows (.npy, .npz, .csv, .tsv): dataset.path=FILE")
        self.path = Path(path).expanduser()
        self.array = array
        self.num_test = num_test
        self.is_shuffled = in_memory
        self._digest = ""

    def load(self) -> dict[str, Source]:
        if not self.is_shuffled:
            return self.load_from_disk()
        rows, names = read_rows(self.path, self.array)
        self.check_columns(rows.shape[1])
        check_rows(rows, names, str(self.path))
        vectors = torch.from_numpy(rows.astype(np.float32))
        self._digest = hashlib.sha256(repr(rows.shape).encode() + vectors.numpy().tobytes()).hexdigest()
        splits = held_out(len(rows), self.num_validation, self.num_test, self.name)
        return {
            split: VectorsInMemory(vectors[items])
            for split, items in zip(("train", "validation", "test"), splits, strict=True)
        }

    def load_from_disk(self) -> dict[str, Source]:
        """Reads all rows once, to check them."""
        if self.path.suffix.lower() != ".npy":
            raise UsageError(
                f"dataset.in_memory=false reads .npy files, {self.path} is none: convert it with numpy.save"
            )
        if self.num_validation and self.num_test:
            raise UsageError(
                "dataset.in_memory=false holds out rows once: set dataset.num_validation=0 or dataset.num_test=0"
            )
        rows, names = read_rows(self.path, None, mapped=True)
        self.check_columns(rows.shape[1])
        held = self.num_validation or self.num_test
        if held and held > len(rows) // 2:
            raise UsageError(f"{held} of {len(rows)} rows of {self.path} held out: at most half of them")
        digest = hashlib.sha256(repr(rows.shape).encode())
        low, high = np.full(rows.shape[1], np.inf), np.full(rows.shape[1], -np.inf)
        for first in range(0, len(rows), BLOCK_ROWS):
            given = np.load(self.path, mmap_mode="r")[first : first + BLOCK_ROWS]
            with np.errstate(over="ignore"):
                block = given.astype(np.float32)
            check_finite(block, given, names, str(self.path), first)
            digest.update(block.tobytes())
            low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
        warn_of_constant([name for name, a, b in zip(names, low, high, strict=True) if a == b], names, str(self.path))
        self._digest = digest.hexdigest()
        sources: dict[str, Source] = {"train": VectorsOnDisk(self.path, held, False)}
        if held:
            sources["validation" if self.num_validation else "test"] = VectorsOnDisk(self.path, held, True)
        return sources

    @property
    def column_names(self) -> list[str]:
        """Of the file, if it is still there and names them; else none."""
        return column_names(self.path)

    def check_columns(self, count: int) -> None:
        if count != self.data_shape[0]:
            raise UsageError(
                f"{self.path} has {count} columns, dataset.data_shape says {self.data_shape[0]}\n"
                f"set dataset.data_shape=[{count}]"
            )

    def digest(self) -> str:
        """Covers the shape and the values of all rows as float32."""
        return self._digest
