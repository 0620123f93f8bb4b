"""Configurations on disk: the ``config.yaml`` of a run."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.compose import Composed, resolve
from genlab.config.places import GROUPS
from genlab.config.words import normalize
from genlab.errors import RunError, UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

NODES = ("model", "dataset", "trainer", "accelerator")

FOLLOWS = {
    "dataset.seed": "seed",
    "model.image_shape": "dataset.data_shape",
    "model.data_shape": "dataset.data_shape",
    "model.optimizer": "optimizer",
}
"""Values that follow another one in every recipe; a change of a saved configuration must reach them too."""


def save(config: dict[str, Any], path: Path) -> None:
    """Writes a resolved configuration as YAML."""
    import yaml

    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(yaml.safe_dump(_without_aliases(config), sort_keys=False, allow_unicode=True), encoding="utf-8")
    partial.replace(path)


def load(path: Path, overrides: Sequence[str] = (), command: str = "train") -> Composed:
    """A saved configuration, changed by words like ``trainer.max_epochs=40``.

    The same values as when it was saved, but for ``run_dir``, which is null unless it is given.

    Raises:
        RunError: it cannot be read.
        UsageError: a word names a key that is not there, or a group.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(config, DictConfig) or not all(isinstance(config.get(key), DictConfig) for key in NODES):
        raise RunError(f"{path} is not the configuration of a run: it has no {' or no '.join(NODES)}")
    words = [normalize(command, word) for word in overrides]
    changed = _change(config, words)
    choices = {key: str(changed[key].get("_target_")).split(".")[-2:][0] for key in ("model", "dataset")}
    choices["dataset"] = str(changed["dataset"].get("name", choices["dataset"]))
    if command == "show":
        changed.setdefault("json", False)
    return Composed(command, tuple(overrides), changed, choices, str(path))


def _change(config: "DictConfig", words: list[str]) -> dict[str, Any]:
    """Applies overrides as Hydra does, and what follows the changed values follows them still."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf, open_dict

    from genlab.config.explain import faults, first_sentence, key_fault, sweep_fault

    with open_dict(config):
        config["run_dir"] = None
        for key, source in FOLLOWS.items():
            if OmegaConf.select(config, key) == OmegaConf.select(config, source) is not None:
                OmegaConf.update(config, key, f"${{{source}}}", merge=False)
    OmegaConf.set_struct(config, True)
    parsed = OverridesParser.create().parse_overrides(words)
    for word in parsed:
        if word.key_or_group in GROUPS:
            raise UsageError(
                f"'{word.input_line}': a saved configuration has its {word.key_or_group} already; its values change by "
                f"{word.key_or_group}.KEY=VALUE"
            )
        if fault := sweep_fault(word, "train") or (
            None if word.is_add() or word.is_force_add() else key_fault(config, word.key_or_group)
        ):
            raise fault
    try:
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
        return resolve(config)
    except UsageError:
        raise
    except faults() as error:
        raise UsageError(first_sentence(error)) from error


def digest(config: dict[str, Any]) -> str:
    """SHA-256 of a configuration's values; where a run is written is not one of them."""
    kept = {key: value for key, value in config.items() if key != "run_dir"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def difference(a: dict[str, Any], b: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """``(key, value in a, value in b)`` of every dotted key that differs; a missing one is None."""
    found: list[tuple[str, Any, Any]] = []
    for key in [*a, *(key for key in b if key not in a)]:
        old, new = a.get(key), b.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += difference(old, new, f"{prefix}{key}.")
        elif old != new or type(old) is not type(new):
            found.append((f"{prefix}{key}", old, new))
    return found


def _without_aliases(value: Any) -> Any:
    """A copy in which no list or dict occurs twice, so that YAML writes no anchors."""
    if isinstance(value, dict):
        return {key: _without_aliases(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_aliases(item) for item in value]
    return value
