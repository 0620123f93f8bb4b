"""Which pictures of a folder are pairs, or of which of two domains, and how it is drawn when it is otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from genlab.datasets.layout import draw, image_suffixes, nearest_folder
from genlab.errors import DataError

EXPECTED_PAIRS = """\
expected one of
  FOLDER/               FOLDER/               FOLDER/
  ├── any name.jpg      ├── A/                ├── train/    like one of those on the left
  ├── another.jpg       │   ├── 1.jpg         ├── val/      may be missing
  └── …                 │   └── …             └── test/     may be missing
                        └── B/
  two pictures side         ├── 1.png
  by side in each           └── …
                        equal names in A and B, whatever the suffixes"""

EXPECTED_DOMAINS = """\
expected
  FOLDER/
  ├── trainA/     the first domain
  │   ├── any name.jpg
  │   └── …
  ├── trainB/     the second domain, as many or not
  │   └── …
  ├── testA/      may be missing, with testB
  └── testB/"""

PARTS = {"train": "train", "validation": "val", "test": "test"}
"""What genlab calls the parts of a data set, and their folders."""

MOST_LISTED = 10

Parts = dict[str, tuple[list[str], list[str]]]


@dataclass
class PairLayout:
    """The pictures of a folder.

    Attributes:
        parts: by part, ``train``, ``validation`` or ``test``, the files of A and of B, paths below the folder with
            ``/`` on every system, sorted; the same files twice where both are in one.
        side_by_side: whether they are.
        ignored: what else lies there.
    """

    side_by_side: bool = False
    parts: Parts = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def find_pairs(folder: Path) -> PairLayout:
    """Lists a folder of pairs: files with both pictures side by side, or A and B with equal names.

    Raises:
        DataError: no such folder, another layout, or pictures without partners.
    """
    below = _entries(folder)
    layout = PairLayout()
    if {"trainA", "trainB"} <= below.keys():
        raise _wrong(folder, "has two domains without pairs, for dataset=unpaired_folder", EXPECTED_PAIRS)
    if below.keys() & {"A", "B"}:
        _both(folder, folder, below, EXPECTED_PAIRS)
        inside = [_folders(folder / side) & set(PARTS.values()) for side in ("A", "B")]
        if inside[0] != inside[1]:
            uneven = f"has {', '.join(sorted(inside[0] ^ inside[1]))} in only one of A and B"
            raise _wrong(folder, uneven, EXPECTED_PAIRS)
        places = {part: (f"A/{name}", f"B/{name}") for part, name in PARTS.items() if name in inside[0]}
        if inside[0] and "train" not in inside[0]:
            raise _wrong(folder, "has no A/train", EXPECTED_PAIRS)
        return _partnered(folder, places or {"train": ("A", "B")}, layout)
    if below.keys() & set(PARTS.values()):
        if "train" not in below:
            raise _wrong(folder, "has no train", EXPECTED_PAIRS)
        layout.ignored += [f"{name}/" for name in below if name not in PARTS.values()]
        parts = {part: name for part, name in PARTS.items() if name in below}
        are_split = [bool(_folders(folder / name) & {"A", "B"}) for name in parts.values()]
        if any(are_split):
            for name in parts.values():
                _both(folder, folder / name, _entries(folder / name), EXPECTED_PAIRS)
            return _partnered(folder, {part: (f"{name}/A", f"{name}/B") for part, name in parts.items()}, layout)
    else:
        parts = {"train": ""}
        layout.ignored += [f"{name}/" for name in below]
    layout.side_by_side = True
    for part, name in parts.items():
        files = _pictures(folder, name, layout)
        if not files:
            raise _wrong(folder, f"has no pictures in {name}" if name else "has no pictures in it", EXPECTED_PAIRS)
        layout.parts[part] = (files, files)
    return layout


def find_domains(folder: Path) -> PairLayout:
    """Lists a folder of two domains: ``trainA``, ``trainB`` and perhaps ``testA``, ``testB``.

    Raises:
        DataError: no such folder or another layout.
    """
    below = _entries(folder)
    names = {"train": ("trainA", "trainB"), "test": ("testA", "testB")}
    layout = PairLayout(ignored=[f"{name}/" for name in below if name not in {*names["train"], *names["test"]}])
    for part, (first, second) in names.items():
        missing = [name for name in (first, second) if name not in below]
        if part == "test" and len(missing) == 2:
            continue
        if missing:
            beside = "" if part == "train" else f" beside {({first, second} - set(missing)).pop()}"
            raise _wrong(folder, f"has no {' and no '.join(missing)}{beside}", EXPECTED_DOMAINS)
        layout.parts[part] = (_pictures(folder, first, layout), _pictures(folder, second, layout))
        for name, files in zip((first, second), layout.parts[part], strict=True):
            if not files:
                raise _wrong(folder, f"has no pictures in {name}", EXPECTED_DOMAINS)
    return layout


def _partnered(folder: Path, places: dict[str, tuple[str, str]], layout: PairLayout) -> PairLayout:
    """Fills in the pictures of A and B that have the same names.

    Raises:
        DataError: some have no partner, or a name is there twice; names the first ten.
    """
    lonely: list[str] = []
    counts: list[str] = []
    for part, names in places.items():
        files = [_pictures(folder, name, layout) for name in names]
        for name, found in zip(names, files, strict=True):
            if not found:
                raise _wrong(folder, f"has no pictures in {name}", EXPECTED_PAIRS)
        of_a, of_b = _lonely(files[0], files[1], names[1]), _lonely(files[1], files[0], names[0])
        lonely += [line for both in zip_longest(of_a, of_b) for line in both if line]  # so that both are listed
        counts.append(f"{names[0]} has {len(files[0])} and {names[1]} {len(files[1])}")
        partners = {Path(file).stem: file for file in files[1]}
        layout.parts[part] = (files[0], [partners.get(Path(file).stem, "") for file in files[0]])
    if lonely:
        more = [f"  … and {len(lonely) - MOST_LISTED} more"] if len(lonely) > MOST_LISTED else []
        raise DataError(
            "\n".join(
                [
                    f"{folder}: {len(lonely)} picture{'s' if len(lonely) > 1 else ''} without a partner "
                    f"({'; '.join(counts)})",
                    *(f"  {line}" for line in lonely[:MOST_LISTED]),
                    *more,
                    "give both pictures of a pair one name, whatever the suffix, or remove those that have no partner; "
                    "pictures without pairs are for dataset=unpaired_folder",
                ]
            )
        )
    return layout


def _lonely(files: list[str], others: list[str], where: str) -> list[str]:
    """A line for each file that has no partner of its name among the others, or whose name another file has too."""
    known, seen, lines = {Path(other).stem for other in others}, dict[str, str](), []
    for file in files:
        stem = Path(file).stem
        if stem in seen:
            lines.append(f"{file}: has the name of {seen[stem]}")
        elif stem not in known:
            lines.append(f"{file}: nothing of the name '{stem}' in {where}")
        seen.setdefault(stem, file)
    return lines


def _entries(folder: Path) -> dict[str, Path]:
    """The sub-folders of a folder by name.

    Raises:
        DataError: there is no such folder, or it cannot be read.
    """
    if not folder.exists():
        raise DataError(f"there is no folder {folder}\n{nearest_folder(folder)}\nset it with dataset.path=FOLDER")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file, not a folder of images\nset it with dataset.path=FOLDER")
    try:
        return {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir() and _is_shown(entry)}
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _folders(folder: Path) -> set[str]:
    return set(_entries(folder))


def _pictures(folder: Path, name: str, layout: PairLayout) -> list[str]:
    """The pictures that lie in a sub-folder itself, sorted; what else does is noted as ignored."""
    suffixes, found = image_suffixes(), []
    try:
        entries = sorted(entry for entry in (folder / name).iterdir() if _is_shown(entry))
    except OSError as error:
        raise DataError(f"{folder / name} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = entry.relative_to(folder).as_posix()
        if entry.is_dir():
            if name:  # those of the folder itself have been noted
                layout.ignored.append(f"{path}/")
        elif entry.suffix.lower() in suffixes:
            found.append(path)
        else:
            layout.ignored.append(path)
    return found


def _is_shown(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.name != "__MACOSX"


def _both(folder: Path, where: Path, below: Iterable[str], expected: str) -> None:
    """Raises unless both A and B are there."""
    missing = [side for side in ("A", "B") if side not in set(below)]
    if missing:
        inside = "" if where == folder else f"{where.name}/"
        raise _wrong(folder, f"has no {' and no '.join(inside + side for side in missing)}", expected)


def _wrong(folder: Path, what: str, expected: str) -> DataError:
    return DataError(
        f"{folder} {what}\n{expected}\nfound\n{draw(folder)}\nmend it, or set another with dataset.path=FOLDER"
    )
