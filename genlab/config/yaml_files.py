"""Faults of YAML files, found before Hydra reads them, and the lines of their keys."""

from pathlib import Path

import yaml

from genlab.errors import UsageError

MOST_NODES = 10_000
"""A recipe has some fifty; a few lines of anchors can stand for millions."""

RECIPES = ("experiment", "sweep")
"""Groups whose files set keys outside of themselves."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_files(folder: Path) -> None:
    """Reads every YAML file below ``folder``.

    Raises:
        UsageError: a file is at fault; names it and the line.
    """
    for path in sorted(folder.rglob("*.yaml")):
        read(path)
        if path.parent.name in RECIPES and "@package _global_" not in path.read_text(encoding="utf-8"):
            raise UsageError(f"{path}: a recipe sets keys of every group; let its first line be # @package _global_")


def read(path: Path) -> yaml.MappingNode:
    """The nodes of a YAML file.

    Raises:
        UsageError: it is not UTF-8, empty, no map, or holds a tab, a key twice, an unclear boolean, a tag, a ring or a
            bomb of anchors.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        root = yaml.compose(text, LOADER)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        lines = text.splitlines()
        tab = line <= len(lines) and "\t" in lines[line - 1]
        problem = "a tab: indent with spaces" if tab else str(error.problem or error.context)
        problem = "nested too deeply" if "nesting depth" in problem else problem
        raise UsageError(f"{path}, line {line}: {problem}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    if root is None:
        raise UsageError(f"{path}, line 1: the file is empty; expected key: value")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise UsageError(f"{path}, line {root.start_mark.line + 1}: {kind}, where key: value is expected")
    try:
        _check_size(root, path)
        _check_nodes(root, path, set())
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply") from error
    return root


def line_of(path: Path, key: str) -> tuple[int, str] | None:
    """The line that sets a dotted key and the text of its value; None if the file does not set it."""
    node: yaml.Node = read(path)
    line = 0
    for part in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = [(name, value) for name, value in pairs if name.value == part]
        if not found:
            return None
        line, node = found[-1][0].start_mark.line + 1, found[-1][1]
    return line, node.value if isinstance(node, yaml.ScalarNode) else ""


def _check_size(root: yaml.Node, path: Path) -> None:
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            if sizes[id(node)] == 0:
                raise UsageError(f"{path}, line {node.start_mark.line + 1}: an anchor that contains itself")
            return sizes[id(node)]
        sizes[id(node)] = 0
        children = _children(node)
        sizes[id(node)] = total = 1 + sum(size(child) for child in children)
        if total > MOST_NODES:
            raise UsageError(
                f"{path}, line {node.start_mark.line + 1}: stands for more than {MOST_NODES} values, by its anchors"
            )
        return total

    size(root)


def _check_nodes(node: yaml.Node, path: Path, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    where = f"{path}, line {node.start_mark.line + 1}"
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        raise UsageError(f"{where}: the tag {node.tag} is not allowed")
    if node.tag == "tag:yaml.org,2002:bool" and node.value.lower() not in ("true", "false"):
        truth = "true" if node.value.lower() in ("yes", "on") else "false"
        raise UsageError(f"{where}: '{node.value}' is unclear: write {truth}, or \"{node.value}\" in quotes for text")
    if isinstance(node, yaml.MappingNode):
        names: dict[str, int] = {}
        for name, _ in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, yaml.ScalarNode):
                raise UsageError(f"{path}, line {line}: a key must be text")
            if name.value in names and name.value != "<<":
                raise UsageError(
                    f"{path}, line {line}: the key '{name.value}' again, first on line {names[name.value]}"
                )
            names[name.value] = line
    for child in _children(node):
        _check_nodes(child, path, seen)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
