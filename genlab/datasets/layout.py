"""Which files a folder of images holds, and how it is drawn when it is not as it should be."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from genlab.errors import DataError

EXPECTED = """\
expected either                 or
  {name}/                         {name}/
  ├── any name.png                ├── a class/
  ├── another.jpg                 │   ├── any name.png
  └── …                           │   └── …
                                  └── another class/
                                      └── …"""

MAX_LINES = 14

EDGE_BYTES = 4096

PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True)
class Layout:
    """The images of a folder.

    Attributes:
        files: paths below the folder with ``/`` on every system, sorted.
        labels: for each file the place of its class in ``classes``; 0 where there are no classes.
        classes: names of the sub-folders, sorted; empty where the images lie flat.
        ignored: other files, which are no images by their suffix.
    """

    files: list[str]
    labels: list[int]
    classes: list[str]
    ignored: list[str]


def image_suffixes() -> set[str]:
    """Every suffix that Pillow reads, ``.png`` and about a hundred more; not documents and films."""
    from PIL import Image

    Image.init()
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return readable - {".pdf", ".ps", ".eps", ".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr", ".fits", ".fit"}


def find_images(folder: Path) -> Layout:
    """Lists a folder of images.

    Hidden files and folders are left out. Images below a class folder belong to it, however deep they lie.

    Raises:
        DataError: no such folder, no images, images of no class beside classes, or an empty class.
    """
    if not folder.exists():
        raise DataError(f"there is no folder {folder}\n{nearest_folder(folder)}\nset it with dataset.path=FOLDER")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file, not a folder of images\nset it with dataset.path=FOLDER")
    suffixes = image_suffixes()
    flat: list[str] = []
    ignored: list[str] = []
    by_class: dict[str, list[str]] = {}
    try:
        entries = sorted(entry for entry in folder.iterdir() if _shown(entry.name))
        for entry in entries:
            if entry.is_dir():
                by_class[entry.name] = []
                for name in _below(entry):
                    is_image = Path(name).suffix.lower() in suffixes
                    (by_class[entry.name] if is_image else ignored).append(f"{entry.name}/{name}")
            else:
                (flat if entry.suffix.lower() in suffixes else ignored).append(entry.name)
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    full = {name: files for name, files in by_class.items() if files}
    if not flat and not full:
        raise _wrong(folder, "has no images in it")
    if flat and full:
        raise _wrong(
            folder, "has images both in it and in its sub-folders, so that it is neither flat nor sorted by class"
        )
    if full and len(full) < len(by_class):
        empty = [name for name in by_class if name not in full]
        raise _wrong(folder, f"has classes without images: {', '.join(empty[:10])}{' …' if len(empty) > 10 else ''}")
    if flat:
        return Layout(flat, [0] * len(flat), [], ignored)
    if len(full) > 1 and set(full) <= PARTS:
        raise _wrong(folder, f"has parts of a data set where classes are expected: take dataset.path={folder}/train")
    classes = sorted(full)
    return Layout(
        [file for name in classes for file in full[name]],
        [label for label, name in enumerate(classes) for _ in full[name]],
        classes,
        ignored,
    )


def _shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _below(folder: Path) -> list[str]:
    """All files below a folder, relative to it and sorted; links are followed, errors are raised, not skipped."""

    def stop(error: OSError) -> None:
        raise error

    found = []
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        folders[:] = sorted(name for name in folders if _shown(name))
        if (real := os.path.realpath(where)) in seen:
            folders.clear()  # a link to a folder above it, which would never end
            continue
        seen.add(real)
        relative = Path(where).relative_to(folder)
        found += [(relative / name).as_posix() for name in files if _shown(name)]
    return sorted(found)


def _wrong(folder: Path, what: str) -> DataError:
    expected = EXPECTED.format(name="FOLDER")
    return DataError(f"{folder} {what}\n{expected}\nfound\n{draw(folder)}")


def nearest_folder(path: Path) -> str:
    """What there is instead of a path that does not exist: its nearest parent, drawn."""
    parent = next((parent for parent in path.absolute().parents if parent.is_dir()), Path(path.anchor or "."))
    return f"found\n{draw(parent)}"


def draw(folder: Path, max_lines: int = MAX_LINES) -> str:
    """A folder as a small tree: two levels, sub-folders first, files counted by suffix after the first three.

    Hidden files and folders are not shown, as they are not looked into.
    """
    lines = [f"  {folder.name}/"]  # of the root, which has no name, its slash
    try:
        for line in _branches(folder, "  ", 2):
            if len(lines) == max_lines:
                lines.append("  …")
                break
            lines.append(line)
    except OSError as error:
        lines.append(f"  ({error.strerror})")
    return "\n".join(lines if len(lines) > 1 else [f"{lines[0]}  (empty)"])


def _branches(folder: Path, indent: str, depth: int) -> list[str]:
    entries = sorted(entry for entry in folder.iterdir() if _shown(entry.name))
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if not entry.is_dir()]
    shown: list[tuple[str, Path | None]] = [(f"{entry.name}/", entry) for entry in folders[:6]]
    if len(folders) > 6:
        shown.append((f"… {len(folders) - 6} more folders", None))
    first = 3 if depth == 2 else 2
    shown += [(entry.name, None) for entry in files[:first]]
    if len(files) > first:
        counts = Counter(entry.suffix.lower() or "without suffix" for entry in files[first:])
        shown.append(("… " + ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(4)), None))
    lines = []
    for place, (text, below) in enumerate(shown):
        last = place == len(shown) - 1
        lines.append(f"{indent}{'└── ' if last else '├── '}{text}")
        if below is not None and depth > 1:
            try:
                lines += _branches(below, indent + ("    " if last else "│   "), depth - 1)
            except OSError as error:
                lines.append(f"{indent}    ({error.strerror})")
    return lines


def files_digest(folder: Path, files: list[str]) -> str:
    """SHA-256 over names, lengths, and the first and last 4 kB of each file, not its date.

    So a copy on another disk is the same data. An edit amid an uncompressed file that keeps its length is missed.
    """
    total = hashlib.sha256()
    for name in files:
        try:
            with (folder / name).open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                total.update(f"{name}\0{length}\0".encode(errors="surrogateescape"))
                for place in (0, max(0, length - EDGE_BYTES)):
                    file.seek(place)
                    total.update(file.read(EDGE_BYTES))
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read ({error.strerror})") from error
    return total.hexdigest()
