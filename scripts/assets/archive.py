"""What the scripts beside it share: their options, reading the files of a package, comparing and writing arrays."""

import argparse
import fnmatch
import io
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ASSETS = Path(__file__).parents[2] / "genlab" / "datasets" / "assets"

Arrays = dict[str, NDArray]


def options(description: str, source: str | None = None) -> argparse.Namespace:
    """The command line: the source's file, where to write, nothing else."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if source is not None:
        parser.add_argument("source", type=Path, help=source)
    parser.add_argument("--out", type=Path, help="write the rebuilt file here; without it the arrays are only compared")
    return parser.parse_args()


def members(archive: Path, pattern: str) -> dict[str, bytes]:
    """Files of a ``.tgz`` or ``.deb`` by base name, those whose path matches ``pattern``."""
    if archive.suffix == ".deb":
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], check=True, capture_output=True).stdout
    else:
        data = archive.read_bytes()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            content = tar.extractfile(member) if fnmatch.fnmatchcase(member.name, pattern) else None
            if content is not None:
                found[Path(member.name).name] = content.read()
    if not found:
        raise SystemExit(f"{archive}: no file matches {pattern}")
    return found


def idx(data: bytes) -> NDArray:
    """An IDX file of unsigned bytes: two zeros, a type, the number of axes, each length big-endian, the values."""
    axes = data[3]
    shape = np.frombuffer(data, ">u4", axes, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def finish(name: str, arrays: Arrays, out: Path | None) -> None:
    """Compares with the committed file and writes.

    The committed file was deflated by Zopfli, this one is by zlib: equal arrays, other bytes.
    """
    with np.load(ASSETS / name) as committed:
        different = [key for key in arrays if not np.array_equal(arrays[key], committed[key])]
        missing = sorted(set(committed.files) - set(arrays))
    if different or missing:
        raise SystemExit(f"{name}: not as committed: {different}, missing: {missing}")
    print(f"{name}: {len(arrays)} arrays, all equal to the committed ones")
    if out is not None:
        with out.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        print(f"wrote {out}")
