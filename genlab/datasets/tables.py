"""Files of rows of numbers: ``.npy``, ``.npz``, ``.csv`` or ``.tsv``, and what may be wrong with them."""

import csv
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genlab.datasets.layout import nearest_folder
from genlab.errors import DataError

MOST_FAULTS = 10
"""Of a text file that are listed, so that they fit on one screen."""

DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*$")


def read_rows(path: Path, array: str | None, mapped: bool = False) -> tuple[NDArray, list[str]]:
    """The numbers of a file, ``(N, D)``, and the names of the columns; ``mapped``: of an ``.npy``, not yet read.

    Raises:
        DataError: it is missing, damaged, no table or not of numbers.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else f"is not there\n{nearest_folder(path)}"
        raise DataError(f"{path} {what}\nset it with dataset.path=FILE")
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".npy": _map_numpy if mapped else _read_numpy, ".npz": _read_numpy}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path} is none of .npy, .npz, .csv and .tsv")
    rows, names = readers[path.suffix.lower()](path, array)
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise DataError(
            f"{path} holds {rows.dtype} of shape {list(rows.shape)}, expected numbers of shape [rows, columns]"
        )
    if rows.shape[1] == 0:
        raise DataError(f"{path} has no columns")
    return rows, names or [str(column) for column in range(rows.shape[1])]


def columns_of(path: str, array: str | None) -> list[int]:
    """``[D]``, the number of columns of a file, of text by its first line.

    It is ``[1]`` where there is no such file or table: what reads the rows says what is wrong.
    """
    file = Path(path).expanduser()
    try:
        return [len(_first_cells(file)) or read_rows(file, array, mapped=True)[0].shape[1]]
    except DataError:
        return [1]


def column_names(path: Path) -> list[str]:
    """Of a text file that is there and has a line of them; else none."""
    return _names(_first_cells(path))


def _first_cells(path: Path) -> list[str]:
    """The first line's that has any, of a text file that can be read; else none."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next(filter(str.strip, file), "")
            return next(csv.reader([first], delimiter=_delimiter(first)), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


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
    reader = csv.reader(lines, delimiter=_delimiter(next(filter(str.strip, lines), "")))
    try:
        table = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not table:
        raise DataError(f"{path} is empty")
    if names := _names(table[0][1]):
        table.pop(0)
    width = len(names or table[0][1])
    rows = np.empty((len(table), width))
    faults: list[str] = []
    for place, (number, cells) in enumerate(table):
        wrong = [f"line {number}{fault}" for fault in _faults(cells, width, names)]
        faults += wrong
        if not wrong:
            rows[place] = [float(cell.strip() or "nan") for cell in cells]
    if len(faults) == 1:
        raise DataError(f"{path}, {faults[0]}")
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        listed = "\n".join(f"  {fault}" for fault in [*faults[:MOST_FAULTS], *more])
        advice = "".join(f"\n{line}" for line in _advice([cells for _, cells in table], width, names))
        raise DataError(f"{path} has {len(faults)} faults:\n{listed}{advice}")
    return rows, names


def _delimiter(first_line: str) -> str:
    return next((sign for sign in "\t;" if sign in first_line), ",")  # a comma may be a decimal one


def _names(cells: list[str]) -> list[str]:
    """The first line's, or none if there is a number in it."""
    has_numbers = any(cell.strip() and (_is_number(cell) or DECIMAL_COMMA.match(cell)) for cell in cells)
    return [] if has_numbers else [cell.strip() for cell in cells]


def _faults(cells: list[str], width: int, names: list[str]) -> Iterator[str]:
    """What is wrong in a line; cells that are empty are looked for in all rows at once."""
    if len(cells) != width:
        yield f": {len(cells)} columns, expected {width}"
        return
    for column, cell in enumerate(cells):
        if not _is_number(cell):
            named = _named(column, names)
            point = f"; with a decimal point: {cell.strip().replace(',', '.')}" if DECIMAL_COMMA.match(cell) else ""
            yield f", column {named}: '{cell.strip()}' is no number{point}"


def _advice(table: list[list[str]], width: int, names: list[str]) -> Iterator[str]:
    """What mends many faults at once."""
    whole = [cells for cells in table if len(cells) == width]
    if any(DECIMAL_COMMA.match(cell) for cells in whole for cell in cells):
        yield "write decimal points instead of commas"
    for column in range(width):
        if whole and not any(_is_number(cells[column]) or DECIMAL_COMMA.match(cells[column]) for cells in whole):
            yield f"column {_named(column, names)} holds no number at all: leave it out of the file"


def _named(column: int, names: list[str]) -> str:
    return f"'{names[column]}'" if names else f"{column} (counted from 0)"


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
