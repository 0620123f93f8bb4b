"""From the words of a command line to one resolved configuration, by Hydra."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genlab.config.places import config_dir, find, user_dir
from genlab.config.words import key_of, normalize, split_rest
from genlab.errors import UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Composed:
    """A configuration and where it comes from.

    Args:
        config: resolved, of plain dicts, lists, numbers and strings.
        choices: the option chosen from each group, as ``{"model": "vae", …}``.
        words: of the command line.
        base: a saved configuration that the words change, if any.
    """

    command: str
    words: tuple[str, ...]
    config: dict[str, Any]
    choices: dict[str, str] = field(default_factory=dict)
    base: str | None = None

    @property
    def typed(self) -> frozenset[str]:
        """The keys that the words set."""
        return frozenset(key_of(word) for word in self.words if "=" in word)


def compose(command: str, words: list[str] | tuple[str, ...] = ()) -> Composed:
    """Composes ``conf/<command>.yaml`` with the words of the user.

    Raises:
        UsageError: a word or a YAML file is wrong; says which and what is accepted.
    """
    from genlab.config.explain import explain, faults
    from genlab.config.yaml_files import check_files

    if find("", command) is None:
        raise UsageError(f"no command '{command}'")
    if (own := user_dir()) is not None:
        check_files(own)
    mine, rest = split_rest(command, [normalize(command, word) for word in words])
    try:
        composed = raw(command, mine)
        choices = {group: name for group, name in composed.hydra.runtime.choices.items() if "/" not in group and name}
        config = resolve(composed)
    except faults() as error:
        raise explain(error, command, mine) from error
    if rest:
        config["overrides"] = rest
    return Composed(command, tuple(words), config, choices)


def raw(command: str, words: list[str]) -> "DictConfig":
    """Hydra's own composition, with its node ``hydra`` and nothing resolved."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("columns_of", columns_of, replace=True)
    own = user_dir()
    searchpath = [] if own is None else [f"hydra.searchpath=['file://{own}']"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return hydra_compose(command, [*searchpath, *words], return_hydra_config=True)


def columns_of(path: str | None, array: str | None) -> list[int]:
    """What ``${columns_of:…}`` stands for, ``[1]`` without a file; imports numpy only for those who have one."""
    if path is None:
        return [1]
    from genlab.datasets import tables

    return tables.columns_of(path, array)


def resolve(composed: "DictConfig") -> dict[str, Any]:
    """Plain values, all interpolations resolved, without Hydra's node.

    Raises:
        UsageError: a value that must be given is not.
    """
    from omegaconf import OmegaConf, open_dict

    OmegaConf.set_readonly(composed, False)
    with open_dict(composed):
        composed.pop("hydra", None)
    if missing := sorted(OmegaConf.missing_keys(composed)):
        if missing == ["run"]:
            raise UsageError("name a run: its folder, a checkpoint file, or `last`; `genlab runs` lists them")
        raise UsageError(f"{' and '.join(missing)} must be given: {missing[0]}=…")
    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
