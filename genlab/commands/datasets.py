"""List the data sets, check one, which lists all that is wrong, or write images of one as files."""

import ast
import json as json_format
import warnings
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from genlab.config.places import find, options
from genlab.errors import DataError, UsageError
from genlab.help import first_comment


def main(
    action: Literal["list", "check", "export"],
    dataset: dict[str, Any],
    output: str | None,
    num_items: PositiveInt,
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)],
    json: bool,
) -> None:
    """Prints one line a data set, or what ``check`` has found.

    Args:
        dataset: the one to check or to export.
        output: the folder that ``export`` makes, of held-out items: ``output/<field of the batch>/0000.png`` and on,
            with one number for what is in one place.
        num_items: at most so many are exported.
        seed: what ``dataset`` follows.
        json: prints a list of ``{"name", "summary", "batch", "data_shape"}``, or
            ``{"name", "problems", "notes", "sizes", "data_shape", "classes", "fingerprint"}``.

    Raises:
        DataError: something is wrong with the data; lists all of it.
        UsageError: there is nothing to export, or no new folder to export to.
    """
    if action == "export":
        export(dataset, output, num_items, json)
        return
    if action == "check":
        report = examine(dataset)
        show_report(report, json)
        if problems := report["problems"]:
            where = f" in {dataset['path']}" if "path" in dataset else ""
            faults = f"{len(problems)} fault{'s' if len(problems) > 1 else ''}"
            listed = indent("\n".join(problems), "  ")
            raise DataError(f"the data set '{report['name']}' has {faults}{where}\n{listed}")
        return
    found = [describe(name) for name in options("dataset")]
    if json:
        print(json_format.dumps(found, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Column, Table

    batches, what = Column("batches of", overflow="fold"), Column("what", overflow="fold")
    table = Table(Column("data set", no_wrap=True), batches, "shape", what, box=None)
    for one in found:
        table.add_row(one["name"], one["batch"], shown(one["data_shape"]), one["summary"])
    Console().print(table)


def describe(name: str) -> dict[str, Any]:
    """What the YAML of a data set and the text of its class say; nothing is imported."""
    import yaml

    path = find("dataset", name)
    assert path is not None
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        "name": name,
        "summary": first_comment(path),
        "batch": batch_name(str(recipe.get("_target_", ""))),
        "data_shape": shape if isinstance(shape := recipe.get("data_shape"), list) else None,
    }


def batch_name(target: str) -> str:
    """The ``batch_type`` that the class ``package.module.Class`` assigns; empty if its text does not say."""
    module, _, name = target.rpartition(".")
    try:
        spec = find_spec(module)
        text = Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin else ""
        nodes = list(ast.walk(ast.parse(text)))
    except (ImportError, OSError, ValueError, SyntaxError):
        return ""
    body = next((node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == name), [])
    for line in body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            name = ast.unparse(line.targets[0] if isinstance(line, ast.Assign) else line.target)
            if name == "batch_type":
                return ast.unparse(line.value)
    return ""


def examine(node: dict[str, Any]) -> dict[str, Any]:
    """Reads a data set through; what is wrong with it, what is worth a note, and what it holds if all is well."""
    from genlab.config import build

    dataset = build(node, "dataset")
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        problems = dataset.check()
    notes = [str(note.message) for note in noted if issubclass(note.category, UserWarning)]
    return {
        "name": dataset.name,
        "problems": problems,
        "notes": notes,
        "sizes": dataset.sizes(),
        "data_shape": list(dataset.data_shape),
        "classes": dataset.class_names,
        "fingerprint": None if problems else dataset.fingerprint(),
    }


def export(node: dict[str, Any], output: str | None, num_items: int, json: bool) -> None:
    """Writes images of the test items, else of the validation or training items, as PNG files."""
    if output is None or Path(output).expanduser().exists():
        raise UsageError(f"output={output}: export makes a folder, which must not exist: output=FOLDER")
    import torch
    from torchvision.utils import save_image

    from genlab.config import build
    from genlab.datasets.loader import Chosen

    dataset = build(node, "dataset")
    dataset.load_once()
    split = next(split for split in ("test", "validation", "train") if split in dataset.sources)
    source = dataset.sources[split]
    batch = source.__getitems__(Chosen(-1, torch.arange(min(num_items, len(source)))))
    images = {name: values for name, values in batch._asdict().items() if values.ndim == 4}
    if not images:
        raise UsageError(f"the data set '{dataset.name}' holds no images")
    folder = Path(output).expanduser()
    for name, values in images.items():
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(values):
            save_image((image + 1) / 2, folder / name / f"{number:04}.png")
    count = len(next(iter(images.values())))
    if json:
        about = {"name": dataset.name, "split": split, "folder": output, "fields": list(images), "items": count}
        print(json_format.dumps(about, indent=2))
        return
    print(f"{count} items of the {split} part of {dataset.name}: {output}/{{{','.join(images)}}}/")


def show_report(report: dict[str, Any], json: bool) -> None:
    if json:
        print(json_format.dumps(report, indent=2))
        return
    for note in report["notes"]:
        print(f"note: {note}")
    if report["problems"]:
        return
    print(f"{report['name']} is in order")
    rows = {split: f"{size:,} items" for split, size in report["sizes"].items()}
    rows["shape"] = shown(report["data_shape"])
    if classes := report["classes"]:
        rows["classes"] = f"{len(classes)}: {', '.join(classes[:20])}{' …' if len(classes) > 20 else ''}"
    rows["fingerprint"] = report["fingerprint"]
    for name, value in rows.items():
        print(f"{name:<12} {value}")


def shown(shape: Any) -> str:
    """``1x28x28``."""
    return "x".join(map(str, shape)) if isinstance(shape, list) else str(shape or "")
