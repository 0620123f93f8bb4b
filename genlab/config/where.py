"""Where a value was set: by which word, or in which line of which YAML file."""

from pathlib import Path

from genlab.config.compose import Composed
from genlab.config.places import GROUPS, find
from genlab.config.words import key_of
from genlab.config.yaml_files import line_of


def where_set(composed: Composed, key: str) -> str:
    """A line for the end of a message, as ``set in conf/model/vae.yaml, line 9``; empty if it is not known."""
    for word in reversed(composed.words):
        is_bare = "=" not in word and key in ("run", "action")
        named = key if is_bare else key_of(word)
        if named not in GROUPS and (key == named or key.startswith(f"{named}.")):
            return f"\nset on the command line: {word}"
    if composed.base is not None:
        found = line_of(Path(composed.base), key)
        return f"\nset in {composed.base}, line {found[0]}" if found else f"\nset in {composed.base}"
    for path, inside in candidates(composed.command, composed.choices, key):
        if (found := line_of(path, inside)) is not None:
            line, text = found
            here = f"\nset in {path}, line {line}"
            if text.startswith("${") and text.endswith("}") and ":" not in text and text[2:-1] != key:
                return where_set(composed, text[2:-1]) or here
            return here
    parent = key.rpartition(".")[0]
    return where_set(composed, parent) if parent else ""


def candidates(command: str, choices: dict[str, str], key: str) -> list[tuple[Path, str]]:
    """The files that may set a key and its name in them, the one that wins first."""
    group, _, inside = key.partition(".")
    named = [("experiment", key), ("model", key)]
    if group in GROUPS and inside:
        named.append((group, inside))
    chosen = [(find(name, choices[name]), inside) for name, inside in named if name in choices]
    chosen += [(find("", name), key) for name in (command, "train")]
    return [(path, inside) for path, inside in chosen if path is not None]
