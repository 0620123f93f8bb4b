"""Where ``genlab apply`` writes, so that nothing but an earlier output of its own is replaced."""

import csv
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from genlab.applied.inputs import STDIN, Inputs
from genlab.applied.photographs import OPAQUE, SUFFIXES, Head, whole, written_suffix
from genlab.applied.sheets import Sheet
from genlab.datasets.layout import image_suffixes
from genlab.errors import ResourceError, RunError, UsageError

WRITTEN = (
    *("scores.csv", "edits.csv", "classes.csv", "components.csv", "completions.npz", "latents.npz"),
    *("*-map.png", "*-overlay.png", "*-edited.png", "*-completed.png", "*-completions.png", "*-projection.png"),
)
"""What is written of images that are brought to one shape."""

LISTINGS = ("translations.csv", "blends.csv")
"""Of what else an earlier output consists."""

BESIDE = "beside"


@dataclass(frozen=True)
class Applied:
    """What was done.

    Args:
        folder: of the results alone; None if they are not in one.
        files: that were written, below the folder if there is one; empty of standard output.
        values: of each image, with its ``file``, or row of a table, with its ``row``.
        left_out: what is wrong with each image that could not be used.
    """

    folder: Path | None
    files: list[str]
    values: list[dict[str, Any]]
    left_out: list[str]


@dataclass(frozen=True)
class Places:
    """Where the result of each image goes.

    Args:
        folder: of the results alone; None if they are not in one.
        files: by item; None is standard output.
        sheet: that shows them all.
    """

    folder: Path | None
    files: dict[int, Path | None]
    sheet: Path | None = None

    def name(self, item: int) -> str | None:
        """Of a result, below the folder if there is one."""
        file = self.files[item]
        return None if file is None else str(file) if self.folder is None else file.relative_to(self.folder).as_posix()

    def list_files(self, kind: str, inputs: Inputs) -> None:
        """Writes ``<kind>.csv``, by which the output is known; what it named before and no longer does is removed."""
        if self.folder is None:
            return
        listing = self.folder / f"{kind}.csv"
        named = {file: item for item, file in self.files.items() if file is not None}
        for old in listed(listing) - named.keys() - {self.sheet}:
            old.unlink(missing_ok=True)
        make(self.folder)
        rows = [(inputs.names[item], self.name(item)) for item in named.values()]
        rows += [("", self.sheet.name)] if self.sheet else []
        with (
            whole(listing) as partial,
            partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            csv.writer(file).writerows([("file", "output"), *rows])


def places_of(
    output: str | None, usual: Path, inputs: Inputs, heads: dict[int, Head], kind: str, word: str, sheet: Sheet | None
) -> Places:
    """A place for the result of each image, under the image's name.

    Args:
        output: ``beside`` the images, ``-``, a file for one image, or a folder.
        usual: the folder if ``output`` is None.
        word: what is put after the names of files beside the images.

    Raises:
        UsageError: more images are given than ``output`` is for, it is of a kind that is not written, or a sheet has no
            folder to go to.
        RunError: something is there already.
    """
    path = usual if output is None else Path(output).expanduser()
    is_file = path.suffix.lower() in SUFFIXES and not path.is_dir() and output is not None
    if output is not None and not path.is_dir() and path.suffix.lower() in image_suffixes() - set(SUFFIXES):
        raise UsageError(
            f"output={output}: {path.suffix} is not written; name a file in {', '.join(SUFFIXES)}, or a folder"
        )
    if (output == "-" or is_file) and len(inputs.names) > 1:
        raise UsageError(f"output={output} is one image, but {len(inputs.names)} are given: name a folder")
    if sheet and (output in ("-", BESIDE) or is_file):
        raise UsageError(f"sheet={sheet} goes with a folder of its own, not with output={output}")
    if output == "-":
        return Places(None, dict.fromkeys(heads))
    if is_file or output == BESIDE:
        if is_file and path.suffix.lower() in OPAQUE and any(head.has_alpha for head in heads.values()):
            raise UsageError(f"output={output}: {path.suffix} holds no transparency, which the image has: name a .png")
        if is_file:
            files = dict.fromkeys(heads, path)
        elif inputs.names == [STDIN]:
            raise UsageError("output=beside: standard input lies nowhere; name a file or a folder, or output=-")
        else:
            sources = {item: inputs.folder / inputs.names[item] for item in heads}
            files = {
                item: source.with_name(f"{source.stem}-{word}{written_suffix(source.name, heads[item])}")
                for item, source in sources.items()
            }
        refuse(set(files.values()))
        return Places(None, {**files})
    path = folder_for(output, usual)
    page = path / f"{kind}.{sheet}" if sheet else None
    taken = {f"{kind}.csv", page.name if page else ""}
    files = {item: path / name for item, name in result_names(inputs.names, heads, taken).items()}
    refuse({*files.values(), *([page] if page else [])} - listed(path / f"{kind}.csv"))
    return Places(path, {**files}, page)


def folder_for(output: str | None, usual: Path) -> Path:
    """A new folder, or the usual one in the run folder, of which an earlier output is replaced.

    Raises:
        RunError: there is something else, which may be an earlier output that its owner has worked on since.
        UsageError: it has the name of a picture.
    """
    folder = usual if output is None else Path(output).expanduser()
    if output is not None and not folder.exists() and folder.suffix.lower() in (*image_suffixes(), ".csv"):
        what = "the table has a name of its own" if folder.suffix.lower() == ".csv" else "several files are written"
        raise UsageError(f"output={output}: {what}; name a folder")
    if folder.is_file():
        raise RunError(f"output={folder} is a file: name a folder")
    found = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    written = [name for name in found if any(map(partial(fnmatch, name), WRITTEN))]
    is_ours = output is None and (written or any(name in LISTINGS for name in found))
    if found and not is_ours:
        raise RunError(f"output={folder} is not empty, and nothing of yours is overwritten: name a new folder")
    return folder


def make(folder: Path) -> None:
    """Makes a folder for results, with those it lies in, if it is not there.

    Raises:
        ResourceError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"output={folder} cannot be made: {error.strerror}; choose another output") from error


def refuse(files: set[Any]) -> None:
    """Raises a RunError if one of the files exists."""
    there = sorted(file for file in files if file.exists())
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise RunError(f"{there[0]}{more} exists, and nothing of yours is overwritten: name another output")


def listed(listing: Path) -> set[Path]:
    """The files that an earlier output's list names, below its folder."""
    if not listing.is_file():
        return set()
    with listing.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        names = [PurePosixPath(row["output"]) for row in csv.DictReader(file)]
    return {listing.parent / name for name in names if not name.is_absolute() and ".." not in name.parts}


def result_names(names: list[str], heads: dict[int, Head], taken: set[str]) -> dict[int, str]:
    """The names of images with the suffix they are written by, after their own if another image has the name."""
    suffixes = {item: written_suffix(names[item], head) for item, head in heads.items()}
    used = {name.casefold() for name in taken}
    found: dict[int, str] = {}
    # Those that keep their suffix come first, so that they keep their names.
    for item in sorted(heads, key=lambda item: suffixes[item] != Path(names[item]).suffix):
        name, longer = str(PurePosixPath(names[item]).with_suffix(suffixes[item])), names[item]
        while name.casefold() in used:
            longer += suffixes[item]
            name = longer
        used.add(name.casefold())
        found[item] = name
    return found
