"""The YAML files of genlab itself: every option composes, and none sets what is another's."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from genlab import config
from genlab.config.places import GROUPS, commands, config_dir, options
from genlab.config.yaml_files import check_files, read
from genlab.errors import UsageError

GIVEN = {
    **{name: ["dataset.path=FOLDER"] for name in ("image_folder", "paired_folder", "unpaired_folder")},
    "vector_file": ["dataset.path=FILE"],
}
"""What a data set of the user's own needs besides its name."""

RECIPES = [(group, name) for group in ("model", "experiment") for name in options(group)]


def test_no_file_is_faulty() -> None:
    check_files(config_dir())


def test_every_command_has_its_module_and_every_module_its_command() -> None:
    folder = Path(str(importlib.import_module("genlab.commands").__file__)).parent
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(commands())


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in GROUPS if group != "experiment" for option in options(group)]
)
def test_every_option_composes(group: str, option: str) -> None:
    words = [f"{group}={option}", *(GIVEN.get(option, []) if group == "dataset" else [])]
    composed = config.compose("train", words)
    assert composed.choices[group] == option
    if group == "dataset":
        assert composed.config["dataset"]["name"] == option


@pytest.mark.parametrize("option", options("experiment"))
def test_every_experiment_works(option: str) -> None:
    composed = config.compose("train", [f"+experiment={option}"])
    given = GIVEN.get(composed.choices["dataset"], [])
    config.check(config.compose("train", [f"+experiment={option}", *given]))


@pytest.mark.parametrize("model", options("model"))
def test_every_model_works_with_its_own_data(model: str) -> None:
    config.check(config.compose("train", [f"model={model}"]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])  # share only what all have
@pytest.mark.parametrize("model", options("model"))
def test_another_optimizer_swaps_into_every_model_that_has_one(model: str, optimizer: str) -> None:
    recipe = yaml.safe_load((config_dir() / "model" / f"{model}.yaml").read_text(encoding="utf-8"))["model"]
    if "optimizer" not in recipe:
        with pytest.raises(UsageError, match="optimizer"):
            config.check(config.compose("train", [f"model={model}", f"optimizer={optimizer}"]))
        return
    composed = config.compose("train", [f"model={model}", f"optimizer={optimizer}"])
    alone = yaml.safe_load((config_dir() / "optimizer" / f"{optimizer}.yaml").read_text(encoding="utf-8"))
    assert composed.config["optimizer"].keys() == alone.keys()
    config.check(composed)


@pytest.mark.parametrize("model", options("model"))
def test_a_recipe_gives_exactly_the_constructor_arguments(model: str) -> None:
    node = yaml.safe_load((config_dir() / "model" / f"{model}.yaml").read_text(encoding="utf-8"))["model"]
    module, _, name = node["_target_"].rpartition(".")
    parameters: Any = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    assert set(node) - {"_target_"} == set(parameters)
    assert module == f"genlab.models.{model}"


@pytest.mark.parametrize(("group", "name"), RECIPES)
def test_no_recipe_sets_a_value_of_a_class_that_it_did_not_choose(group: str, name: str) -> None:
    path = config_dir() / group / f"{name}.yaml"
    chosen = chosen_by(path) | {group}
    for key in keys_of(path):
        top = key.split(".")[0]
        assert top not in GROUPS or top in chosen, f"{path} sets {key}, but does not choose the {top}"


def keys_of(path: Path) -> list[str]:
    """Every dotted key that a file sets, but for its defaults list."""

    def below(node: yaml.Node, prefix: str) -> Iterator[str]:
        for name, value in node.value:
            yield f"{prefix}{name.value}"
            if isinstance(value, yaml.MappingNode):
                yield from below(value, f"{prefix}{name.value}.")

    return [key for key in below(read(path), "") if key.split(".")[0] != "defaults"]


def chosen_by(path: Path) -> set[str]:
    """The groups that a recipe chooses from, itself or by the recipe that it changes."""
    found: set[str] = set()
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", []):
        if isinstance(entry, dict):
            found |= {str(key).removeprefix("override /") for key in entry}
        elif entry != "_self_":
            found |= chosen_by(path.with_name(f"{entry}.yaml"))
    return found


@pytest.mark.parametrize("option", options("optimizer"))
def test_an_optimizer_is_complete_in_itself(option: str) -> None:
    node = yaml.safe_load((config_dir() / "optimizer" / f"{option}.yaml").read_text(encoding="utf-8"))
    assert node["_partial_"] is True
    assert node["_target_"].startswith("torch.optim.")
    assert float(node["lr"]) > 0


def test_a_model_before_the_groups_it_chooses_would_be_baffling() -> None:
    defaults = yaml.safe_load((config_dir() / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    groups = [next(iter(entry)) for entry in defaults if isinstance(entry, dict) and "override" not in str(entry)]
    assert groups[-1] == "model"
    assert defaults[0] == "_self_"
