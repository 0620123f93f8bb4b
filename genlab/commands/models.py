"""List the models: name, paper, what it is."""

import ast
import json as json_format
from pathlib import Path

from genlab.config.places import find, options
from genlab.help import first_comment


def main(json: bool) -> None:
    """Prints one line a model, from the docstrings; no model is imported.

    Args:
        json: prints a list of ``{"name", "summary", "paper", "recipe"}``.
    """
    models = [describe(name) for name in options("model")]
    if json:
        print(json_format.dumps(models, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "what", "paper", box=None)
    for model in models:
        table.add_row(model["name"], model["summary"], model["paper"])
    console = Console()
    (console if console.is_terminal else Console(width=1000)).print(table)


def describe(name: str) -> dict[str, str]:
    """What the first lines of a model's module and YAML say."""
    path = find("model", name)
    assert path is not None
    summary, paper = docstring(Path(__file__).parents[1] / "models" / f"{name}.py")
    return {"name": name, "summary": summary, "paper": paper, "recipe": first_comment(path)}


def docstring(module: Path) -> tuple[str, str]:
    """The first sentence of a module and its second paragraph, the paper; empty if there are none."""
    if not module.is_file():
        return "", ""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return paragraphs[0], paragraphs[1] if len(paragraphs) > 1 else ""
