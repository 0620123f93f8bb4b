"""One file of rows, for mixtures: ``.npy``, ``.npz`` or ``.csv``."""

import csv
import hashlib
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import Vectors
from genlab.datasets.layout import nearest_folder
from genlab.datasets.loader import Chosen, Source
from genlab.errors import DataError, UsageError

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

    Every ``stride``-th row, from the first on, is held out; 0: none is.

    Args:
        held_out: this source has the rows that are held out, else the others.
    """

    def __init__(self, path: Path, stride: int, held_out: bool) -> None:
        self.path = path
        self.stride = stride
        self.held_out = held_out
        num_rows = len(np.load(path, mmap_mode="r"))
        num_held_out = -(-num_rows // stride) if stride else 0
        self.size = num_held_out if held_out else num_rows - num_held_out

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, chosen: Chosen) -> Vectors:
        if self.held_out:
            rows = chosen.items * self.stride
        else:
            rows = chosen.items + (chosen.items // (self.stride - 1) + 1 if self.stride else 0)
        # Mapped anew for each part: pages of a mapping, and with each touched its neighbours, count as memory in use.
        parts = [np.load(self.path, mmap_mode="r")[part.numpy()] for part in rows.split(MAPPED_ROWS)]
        return Vectors(torch.from_numpy(np.concatenate(parts).astype(np.float32)))


class VectorFile(Dataset):
    """The rows of one file.

    Args:
        path: ``.npy`` or ``.npz`` of numbers, or ``.csv`` with or without a line of names; ``~`` is the home folder.
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
            raise UsageError(f"the data set '{name}' needs a file of rows (.npy, .npz, .csv): dataset.path=FILE")
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
        stride = len(rows) // held if held else 0
        sources: dict[str, Source] = {"train": VectorsOnDisk(self.path, stride, False)}
        if held:
            sources["validation" if self.num_validation else "test"] = VectorsOnDisk(self.path, stride, True)
        return sources

    def check_columns(self, count: int) -> None:
        if count != self.data_shape[0]:
            raise UsageError(
                f"{self.path} has {count} columns, dataset.data_shape says {self.data_shape[0]}\n"
                f"set dataset.data_shape=[{count}]"
            )

    def digest(self) -> str:
        """Covers the shape and the values of all rows as float32."""
        return self._digest


def read_rows(path: Path, array: str | None, mapped: bool = False) -> tuple[NDArray, list[str]]:
    """The numbers of a file, ``(N, D)``, and the names of the columns; ``mapped``: of an ``.npy``, not yet read.

    Raises:
        DataError: it is missing, damaged, no table or not of numbers.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else f"is not there\n{nearest_folder(path)}"
        raise DataError(f"{path} {what}\nset it with dataset.path=FILE")
    readers = {".csv": _read_csv, ".npy": _map_numpy if mapped else _read_numpy, ".npz": _read_numpy}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path} is none of .npy, .npz and .csv")
    rows, names = readers[path.suffix.lower()](path, array)
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise DataError(
            f"{path} holds {rows.dtype} of shape {list(rows.shape)}, expected numbers of shape [rows, columns]"
        )
    if rows.shape[1] == 0:
        raise DataError(f"{path} has no columns")
    return rows, names or [str(column) for column in range(rows.shape[1])]


def _map_numpy(path: Path, array: str | None) -> tuple[NDArray, list[str]]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False), []
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged or holds something other than plain arrays of numbers ({error})") from error


def _read_numpy(path: Path, array: str | None) -> tuple[NDArray, list[str]]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded, []
        with loaded as arrays:
            if array is not None and array not in arrays:
                raise DataError(f"{path} has no array '{array}', it has {', '.join(arrays.files)}: dataset.array=NAME")
            if array is not None:
                return np.asarray(arrays[array]), []
            shapes = {name: np.shape(arrays[name]) for name in arrays.files}
            tables = [name for name, shape in shapes.items() if len(shape) == 2]
            if len(tables) != 1:
                found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "nothing"
                raise DataError(f"{path} holds {found}; say which one has the rows: dataset.array=NAME")
            return arrays[tables[0]], []
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged or holds something other than plain arrays of numbers ({error})") from error


def _read_csv(path: Path, array: str | None) -> tuple[NDArray, list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    lines = text.splitlines()
    delimiter = max(",;\t", key=next(filter(str.strip, lines), "").count)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        table = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not table:
        raise DataError(f"{path} is empty")
    names: list[str] = []
    if not any(cell.strip() and _is_number(cell) for cell in table[0][1]):
        names = [cell.strip() for cell in table.pop(0)[1]]
    width = len(names or table[0][1])
    rows = np.empty((len(table), width))
    for place, (number, cells) in enumerate(table):
        if len(cells) != width:
            raise DataError(f"{path}, line {number}: {len(cells)} columns, expected {width}")
        for column, cell in enumerate(cells):
            if not _is_number(cell):
                named = f"'{names[column]}'" if names else str(column)
                raise DataError(f"{path}, line {number}, column {named}: '{cell.strip()}' is no number")
            rows[place, column] = float(cell.strip() or "nan")
    return rows, names


def _is_number(cell: str) -> bool:
    """An empty cell counts as one that is missing."""
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True


def check_rows(rows: NDArray, names: list[str], where: str) -> None:
    """Refuses what no mixture can be fitted to and warns of what makes a fit degenerate.

    Raises:
        DataError: fewer than two rows, or values that are missing, infinite or too large for float32.
    """
    if len(rows) < 2:
        raise DataError(f"{where} has {len(rows)} row{'s' if len(rows) != 1 else ''}; at least 2 are needed")
    with np.errstate(over="ignore"):
        values = rows.astype(np.float32)
    check_finite(values, rows, names, where)
    constant = np.flatnonzero((values == values[0]).all(0))
    warn_of_constant([names[column] for column in constant], names, where)
    distinct = len(np.unique(values, axis=0))
    if distinct < len(rows):
        warnings.warn(f"{where}: only {distinct} of {len(rows)} rows are distinct", stacklevel=2)


def check_finite(values: NDArray, rows: NDArray, names: list[str], where: str, first: int = 0) -> None:
    """Refuses values that are missing, infinite or too large for float32.

    Args:
        values: ``rows`` as float32.
        first: number of the first of these rows in the file.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = rows[row, column]
        kind = (
            "NaN (or an empty cell)"
            if np.isnan(value)
            else "infinite"
            if np.isinf(value)
            else f"{value}, too large for float32"
        )
        raise DataError(
            f"{where}: missing, infinite or too large: {bad.sum()} of {bad.size} values, in {bad.any(1).sum()} of "
            f"{len(rows)} rows; "
            f"the first is in row {first + row} (counted from 0), column '{names[column]}': {kind}\n"
            "remove these rows or fill the values in"
        )


def warn_of_constant(constant: list[str], names: list[str], where: str) -> None:
    if constant:
        warnings.warn(
            f"{where}: {len(constant)} of {len(names)} columns are constant and say nothing ('{constant[0]}' first)",
            stacklevel=2,
        )
