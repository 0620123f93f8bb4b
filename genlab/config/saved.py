"""Configurations on disk: the ``config.yaml`` of a run."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.config.compose import Composed, resolve
from genlab.config.words import normalize
from genlab.errors import RunError

FOLLOWS = {"dataset.seed": "seed", "model.data_shape": "dataset.data_shape", "model.optimizer": "optimizer"}
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
    from omegaconf import DictConfig, OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config = OmegaConf.load(path)
        plain = OmegaConf.to_container(config, resolve=True)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, DictConfig) or not isinstance(plain, dict) or not isinstance(plain.get("model"), dict):
        raise RunError(f"{path} is not the configuration of a run")
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = [normalize(command, word) for word in overrides]
    for key, source in FOLLOWS.items():
        if OmegaConf.select(config, key) == OmegaConf.select(config, source) is not None:
            OmegaConf.update(config, key, f"${{{source}}}", merge=False)
    with open_dict(config):
        config["run_dir"] = None
    OmegaConf.set_struct(config, True)
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(words), config)
    choices = {
        str(group): str(node["_target_"]).split(".")[-2]
        for group, node in plain.items()
        if isinstance(node, dict) and "_target_" in node
    }
    choices["dataset"] = plain.get("dataset", {}).get("name", choices.get("dataset", ""))
    return Composed(command, tuple(overrides), resolve(config), choices, str(path))


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
