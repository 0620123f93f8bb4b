"""What Hydra's and OmegaConf's errors mean, in one sentence with what is accepted."""

import difflib
from typing import TYPE_CHECKING, Any

from genlab.config.places import GROUPS, options
from genlab.config.suggest import nearest
from genlab.config.words import QUOTING, key_of
from genlab.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

MOST_NAMES = 30
"""More would not fit on one screen."""


def faults() -> tuple[type[Exception], ...]:
    """What Hydra and OmegaConf raise for what a user wrote: not all of it is of their own classes."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    plain = (ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, RecursionError)
    return (HydraException, OmegaConfBaseException, YAMLError, *plain)


def explain(error: BaseException, command: str, words: list[str]) -> UsageError:
    """What a user is shown of an error of composing."""
    return (
        _by_the_words(command, words)
        or _by_the_interpolation(error, command, words)
        or UsageError(first_sentence(error))
    )


def _by_the_words(command: str, words: list[str]) -> UsageError | None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(words)
    for word in parsed:
        if fault := sweep_fault(word, command) or _group_fault(word):
            return fault
    groups = [word.input_line or "" for word in parsed if word.key_or_group in GROUPS]
    base = _base(command, groups)
    if base is None:
        return None
    for word in parsed:
        if word.key_or_group not in GROUPS and not word.is_add() and not word.is_force_add():
            fault = key_fault(base, word.key_or_group)
            if fault is not None:
                return fault
    return None


def _base(command: str, groups: list[str]) -> "DictConfig | None":
    from genlab.config.compose import raw

    try:
        return raw(command, groups)
    except faults():
        return None


def sweep_fault(word: "Override", command: str) -> UsageError | None:
    """Several values where one is needed."""
    if not word.is_sweep_override():
        return None
    all_of_them = ": add -m to run them all" if command == "train" else ", where one is taken"
    return UsageError(f"'{word.input_line}' gives several values{all_of_them}; if it is text, {QUOTING}")


def _group_fault(word: "Override") -> UsageError | None:
    group = word.key_or_group
    if group not in GROUPS or word.is_delete():
        return None
    option = word.value()
    if isinstance(option, str) and option in options(group):
        return None
    if not isinstance(option, str | int | float) or isinstance(option, bool):
        return UsageError(f"'{word.input_line}': choose one {group} by its name\n{group}: {', '.join(options(group))}")
    return UsageError(
        f"no {group} '{option}'{nearest(str(option), options(group))}\n{group}: {', '.join(options(group)) or 'none'}"
    )


def key_fault(base: "DictConfig", key: str) -> UsageError | None:
    """Says which part of a dotted key is not there, and what is."""
    from omegaconf import DictConfig, OmegaConf

    node: Any = base
    path = ""
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            if "[" in key or isinstance(node, list):
                return None
            return UsageError(f"no key '{key}': {path} is a single value")
        if part not in list(node):  # `in` would leave out keys that are still to be given
            names = [str(name) for name in node if name != "hydra"]
            lines = f"{path} has: " if path else "keys: "
            shown = ", ".join(names[:MOST_NAMES])
            return UsageError(f"no key '{key}'{nearest_key(base, key)}\n{lines}{shown}")
        inside = f"{path}.{part}" if path else part
        if OmegaConf.is_interpolation(node, part) and inside != key:
            unresolved: Any = OmegaConf.to_container(node, resolve=False)
            source = str(unresolved[part])
            return UsageError(f"{inside} follows {source[2:-1]}: set {source[2:-1]}{key.removeprefix(inside)}=…")
        node = node._get_node(part) if OmegaConf.is_missing(node, part) else node[part]
        path = inside
    return None


def nearest_key(base: "DictConfig", key: str) -> str:
    """The dotted key that ends alike, or is most like ``key``; one below the same parent is preferred."""
    from omegaconf import OmegaConf

    every = flat_keys(OmegaConf.to_container(base, resolve=False))
    parent, _, last = key.rpartition(".")
    for ending in (f".{last}", f"_{last}"):
        if alike := [name for name in every if f".{name}".lower().endswith(ending.lower())]:
            return f"; did you mean '{min(alike, key=len)}'?"
    siblings = {name.rpartition(".")[2]: name for name in every if name.rpartition(".")[0] == parent}
    if found := difflib.get_close_matches(last, list(siblings), n=1, cutoff=0.5):
        return f"; did you mean '{siblings[found[0]]}'?"
    return nearest(key, [name for name in every if name != parent]) if parent not in every else ""


def flat_keys(config: Any, prefix: str = "") -> list[str]:
    """Every dotted key of nested dicts but Hydra's own."""
    keys: list[str] = []
    for name, value in config.items():
        if prefix or name != "hydra":
            keys.append(f"{prefix}{name}")
            if isinstance(value, dict):
                keys += flat_keys(value, f"{prefix}{name}.")
    return keys


def _by_the_interpolation(error: BaseException, command: str, words: list[str]) -> UsageError | None:
    """An interpolation that leads nowhere, or in a circle."""
    from omegaconf import OmegaConf
    from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

    if not isinstance(error, InterpolationResolutionError | RecursionError):
        return None
    base = _base(command, words)
    if base is None:
        return None
    unresolved = OmegaConf.to_container(base, resolve=False)
    choices = {name: option for name, option in base.hydra.runtime.choices.items() if "/" not in name and option}
    assert isinstance(unresolved, dict)
    for key in flat_keys(unresolved):
        try:
            OmegaConf.to_container(OmegaConf.create({"value": OmegaConf.select(base, key)}), resolve=True)
        except (OmegaConfBaseException, RecursionError) as fault:
            value = _at(unresolved, key)
            if isinstance(value, dict):
                continue
            return UsageError(f"{key}: {value} {_reason(fault)}{_where(command, choices, words, key)}")
    return None


def _where(command: str, choices: dict[str, str], words: list[str], key: str) -> str:
    from genlab.config.compose import Composed
    from genlab.config.where import candidates, where_set
    from genlab.config.yaml_files import line_of

    if any(key_of(word) == key for word in words):
        return where_set(Composed(command, tuple(words), {}, choices), key)
    for path, inside in candidates(command, choices, key):
        if (found := line_of(path, inside)) is not None:
            return f"\nset in {path}, line {found[0]}"
    return ""


def _reason(fault: BaseException) -> str:
    if isinstance(fault, RecursionError) or "recursi" in str(fault).lower():
        return "leads back to itself"
    text = str(fault).splitlines()[0]
    return "names a key that is not there" if "Interpolation key" in text else f"cannot be resolved: {text}"


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def first_sentence(error: BaseException) -> str:
    """The part of Hydra's message that a user can act on."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if (not lines or lines[0].endswith("composing config:")) and cause is not None:
        lines = [line for line in str(cause).splitlines() if line.strip()]
    kept = [line.strip() for line in lines if "=" not in line.split(" ")[0] and "full_key" not in line]
    return "\n".join(kept[:3]) or type(error).__name__
