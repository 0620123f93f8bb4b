"""The words of a command line: Hydra's overrides, made easier to type."""

import re
from functools import cache
from pathlib import Path

import yaml

from genlab.config.places import GROUPS, find, options
from genlab.config.suggest import nearest
from genlab.errors import UsageError

_OVERRIDE = re.compile(r"(?P<sign>\+\+|\+|~)?(?P<key>[\w./@:-]+)(?P<equals>=)?(?P<value>.*)", re.DOTALL)
SWEEPS = ("choice", "range", "interval", "int", "float", "tag")
"""What Hydra has for several values."""
QUOTING = "quote it twice, once for the shell and once for genlab: \"key='a, b'\"; a list is key=[1,2]"


PATHS = (
    "run",
    "run_dir",
    "output",
    "input",
    "source",
    "destination",
    "root",
    "dataset.path",
    "features",
    "mask",
    "text",
)
"""Keys whose values are text, even if they look like a number or a list."""


def key_of(word: str) -> str:
    """``model.width`` of ``+model.width=3``."""
    matched = _OVERRIDE.fullmatch(word)
    return matched["key"] if matched else word


def top_keys(command: str) -> list[str]:
    """The keys at the top of a command's YAML file."""
    path = find("", command)
    assert path is not None
    return list(_keys(path))


@cache
def _keys(path: Path) -> tuple[str, ...]:
    """Read once for all words of a command."""
    return tuple(key for key in yaml.safe_load(path.read_text(encoding="utf-8")) if key != "defaults")


def quoted(text: str) -> str:
    """A string as Hydra reads it back, whatever is in it."""
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    escaped = re.sub(r"(\\+)$", lambda found: found[1] * 2, escaped)
    return f"'{escaped}'".replace("${", r"\${")


def normalize(command: str, word: str) -> str:
    """An override that Hydra can read.

    A word without ``=``, or one that is the path of something, is the command's ``run`` or ``action``; a value that
    Hydra's grammar has no place for, as a path with an umlaut or with ``=``, is taken as text.

    Raises:
        UsageError: a bracket, brace or quote is not closed, or there is no key.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    named = [key for key in top_keys(command) if key in ("run", "action")]
    if ("=" not in word and not word.startswith("~")) or ("run" in named and _is_path(word)):
        if not named or word.startswith("-"):
            raise UsageError(f"'{word}' is not understood: `genlab {command}` takes words like key=value{meant(word)}")
        if named == ["action"] and (guess := meant(word)) and not _is_path(word):
            raise UsageError(f"'{word}' is not understood{guess}")
        return f"{named[0]}={quoted(word)}"
    key, _, value = word.partition("=")
    if key.lstrip("+") in PATHS and value not in ("", "null", "???") and value[0] not in "'\"$":
        return f"{key}={quoted(value)}"
    if key == "experiment":
        return f"+{word}"
    parser = OverridesParser.create()
    try:
        parsed = parser.parse_override(word)
        if parsed.key_or_group in GROUPS and isinstance(parsed.value(), list):
            raise UsageError(f"'{word}': choose one {parsed.key_or_group} by its name")
    except HydraException as error:
        matched = _OVERRIDE.fullmatch(word)
        if matched is None or not matched["equals"]:
            raise UsageError(f"'{word}' is not understood: expected key=value, +key=value or ~key") from error
        if matched["value"].startswith(("[", "{", "'", '"')):
            raise UsageError(f"the value of '{word}' is not understood: if it is text, {QUOTING}") from error
        call = re.match(r"(\w+)\(", matched["value"])
        if call is not None and (call[1] in SWEEPS or nearest(call[1], SWEEPS)):
            raise UsageError(
                f"'{word}' is not understood: expected choice(a,b), range(a,b,step), interval(a,b), int(interval(a,b)) "
                f"or tag(log,interval(a,b)), with its brackets; if it is text, {QUOTING}"
            ) from error
        as_text = f"{matched['sign'] or ''}{matched['key']}={quoted(matched['value'])}"
        try:
            parser.parse_override(as_text)
        except HydraException as again:
            raise UsageError(f"'{word}' is not understood: if its value is text, {QUOTING}") from again
        return as_text
    return word


def meant(word: str) -> str:
    """What a word without ``=`` may stand for."""
    if word in GROUPS:
        return f"; did you mean {word}=…, with no space before or after the sign?"
    group = next((group for group in GROUPS if word in options(group)), None)
    return f"; did you mean {group}={word}?" if group else ""


def _is_path(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def split_rest(command: str, words: list[str]) -> tuple[list[str], list[str]]:
    """The words for the command itself, and those that it applies to a run's saved configuration."""
    keys = top_keys(command)
    if "overrides" not in keys:
        return words, []
    mine = [word for word in words if key_of(word).split(".")[0] in keys]
    return mine, [word for word in words if word not in mine]
