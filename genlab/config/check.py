"""Whether a configuration can work, before anything is built."""

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from genlab.config.compose import Composed
from genlab.config.devices import check_devices
from genlab.config.places import find, options
from genlab.config.ranges import GIVEN, OURS, ranges
from genlab.config.suggest import nearest
from genlab.config.targets import SPECIAL, build, constructor_hints, resolve_target
from genlab.config.values import check_value, shown
from genlab.config.where import where_set
from genlab.config.words import key_of
from genlab.errors import GenlabError, UsageError


def check(composed: Composed) -> None:
    """Checks targets, keys, values, the fit of model and data set, and the devices.

    Raises:
        UsageError: says which key, its value, what is accepted and where it was set.
        ResourceError: a device is not there.
    """
    Check(composed).all()


class Check:
    """One composed configuration under examination."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.config = composed.config
        self.ranges = ranges()

    def where(self, key: str) -> str:
        return where_set(self.composed, key)

    def all(self) -> None:
        self.top()
        if self.config.get("action") == "list":
            return  # nothing is built, and torch takes seconds
        if "model" in self.config and "dataset" in self.config:
            self.fit(self.target("model"), self.target("dataset"))
            self.learns_by_gradients(self.target("model"))
        for key in ("optimizer", "schedule", "dataset", "trainer", "model"):
            if key in self.config and not (key == "schedule" and self.config[key] == {}):
                self.node(self.config[key], key, kind(key))
        for name, node in (self.config.get("callbacks") or {}).items():
            if isinstance(node, Mapping) and "_target_" not in node and "callbacks" in self.composed.choices:
                chosen = f"callbacks={self.composed.choices['callbacks']}"
                raise UsageError(
                    f"callbacks.{name}: {chosen} has no '{name}' that these values could change: choose others, or "
                    f"~callbacks.{name}{self.where(f'callbacks.{name}')}"
                )
            self.node(node, f"callbacks.{name}", kind("callbacks"))
        if "trainer" in self.config:
            self.plain(self.config["accelerator"], "accelerator")
            self.plain(self.config["checkpoint"], "checkpoint")
        if "accelerator" in self.config:
            strategy = self.config["accelerator"]["strategy"]
            if isinstance(strategy, Mapping):
                self.node(strategy, "accelerator.strategy", kind("accelerator.strategy"))
            check_devices(self.config["accelerator"], self.config["precision"])
        self.trial()

    def top(self) -> None:
        """The command's own keys, against the annotations of its ``main``."""
        hints, is_open = main_hints(self.composed.command)
        for key in self.config:
            if key not in hints and not is_open:
                raise UsageError(f"no key '{key}'{nearest(key, hints)}{self.where(key)}")
        for key, hint in hints.items():
            if key not in self.config:
                raise UsageError(f"the key '{key}' is missing{self.where(key)}")
            check_value(self.config[key], hint, key, self.where)

    def plain(self, node: Any, key: str) -> None:
        """A map without a class: exactly the keys of ``ranges``."""
        hints = self.ranges[key]
        self.is_map(node, key)
        for name, value in node.items():
            if name not in hints:
                raise UsageError(f"no key '{key}.{name}'{nearest(name, hints)}{self.where(f'{key}.{name}')}")
            check_value(value, hints[name], f"{key}.{name}", self.where)
        for name in hints:
            if name not in node:
                raise UsageError(f"the key '{key}.{name}' is missing{self.where(key)}")

    def is_map(self, node: Any, key: str) -> None:
        if not isinstance(node, Mapping):
            raise UsageError(f"{key}={shown(node)}: expected keys and values{self.where(key)}")

    def target(self, key: str, node: Any = None, wanted: type | None = None) -> type:
        """The class that a node names, which must be a kind of ``wanted``."""
        node = self.config[key] if node is None else node
        wanted = kind(key) if wanted is None else wanted
        self.is_map(node, key)
        if "_target_" not in node:
            raise UsageError(f"{key} has no _target_: the name of a class is missing{self.where(key)}")
        try:
            target = resolve_target(node["_target_"], key)
        except UsageError as error:
            raise UsageError(f"{error}{self.where(f'{key}._target_')}") from error
        if not issubclass(target, wanted):
            where = self.where(f"{key}._target_")
            raise UsageError(f"{key}._target_={node['_target_']}: expected a kind of {wanted.__name__}{where}")
        return target

    def node(self, node: Any, key: str, wanted: type, partial: bool | None = None) -> type:
        """A map with a ``_target_``: the class, its arguments and their values."""
        target = self.target(key, node, wanted)
        factory = next((name for name in GIVEN if issubclass(target, kind(name))), None)
        if partial is None:
            partial = factory is not None
        if bool(node.get("_partial_", False)) is not partial or node.get("_partial_", False) not in (True, False):
            raise UsageError(f"{key}._partial_: expected {str(partial).lower()}{self.where(key)}")
        self.arguments(node, key, target, factory)
        if factory is not None:
            self.factory(node, key, factory)
        return target

    def arguments(self, node: Mapping[str, Any], key: str, target: type, factory: str | None) -> None:
        parameters = inspect.signature(target).parameters
        hints = constructor_hints(target)
        own = self.ranges.get(factory or key, {})
        given = OURS if key == "trainer" else GIVEN[factory] if factory is not None else ()
        for name, value in node.items():
            inside = f"{key}.{name}"
            if name in SPECIAL:
                continue
            takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            if (name not in parameters and not takes_any) or name in given:
                known = [known for known in parameters if known not in given]
                raise UsageError(
                    f"no key '{inside}' in {target.__name__}{nearest(str(name), known)}\nit has: "
                    f"{', '.join(known)}{self.where(inside)}"
                )
            self.argument(value, inside, own.get(name, hints.get(name, Any)))
        required = [
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in given
        ]
        required += [name for name in self.ranges.get(key, {}) if key == "trainer"]
        for name in required:
            if name not in node:
                raise UsageError(f"the key '{key}.{name}' is missing: {target.__name__} needs it{self.where(key)}")

    def argument(self, value: Any, key: str, hint: Any) -> None:
        if isinstance(value, Mapping) and "_target_" in value:
            made = get_args(hint)[-1] if callable_hint(hint) else hint
            wanted = made if inspect.isclass(made) else object
            self.node(value, key, wanted, partial=True if callable_hint(hint) else None)
        elif callable_hint(hint):
            raise UsageError(f"{key}={shown(value)}: expected a node with _target_{self.where(key)}")
        else:
            check_value(value, hint, key, self.where)

    def factory(self, node: Mapping[str, Any], key: str, factory: str) -> None:
        """torch's own check of an optimizer's or a schedule's values, on one weight that is thrown away."""
        import torch

        from genlab.callbacks.schedule import advance

        weights = [torch.nn.Parameter(torch.zeros(1))]
        try:
            if factory == "optimizer":
                build(node, key)(weights)
            else:
                advance(build(node, key)(torch.optim.SGD(weights, lr=1)), 1)
        except GenlabError:
            raise
        except (ValueError, TypeError, RuntimeError, AssertionError) as error:
            named = [name for name in node if name in str(error).replace("beta parameter", "betas").replace(" ", "_")]
            named = named or [name for name in node if name == "betas" and "beta" in str(error)]
            raise UsageError(f"{key}: {error}{self.where(f'{key}.{named[0]}' if named else key)}") from error

    def trial(self) -> None:
        """What only the constructors know: each is called, the model's without memory for its weights."""
        reads_data = self.composed.command != "show"
        for key in ("dataset", "callbacks", "model") if reads_data else ("model",):
            nodes = self.config.get(key) or {}
            named = {f"callbacks.{name}": node for name, node in nodes.items()} if key == "callbacks" else {key: nodes}
            for name, node in named.items():
                if not node:
                    continue
                import torch

                try:
                    with torch.device("meta"):
                        build(node, name)
                except UsageError as error:
                    text = str(error).removeprefix(f"{name}: ")
                    if "verflow" in text:
                        raise UsageError(f"{name}: a number is too large for any computer") from error
                    argument = next((argument for argument in node if f"{argument}=" in text or argument in text), None)
                    where = self.where(f"{name}.{argument}" if argument else name)
                    raise UsageError(f"{error}{where}") from error
                except (RuntimeError, OverflowError, MemoryError) as error:
                    if "verflow" in str(error):
                        raise UsageError(f"{name}: a number is too large for any computer") from error
                    # A constructor may need what tensors without memory lack; it is called in earnest later.

    def learns_by_gradients(self, model: type) -> None:
        """A model without an optimizer has no use for words about one."""
        if "optimizer" in inspect.signature(model).parameters:
            return
        for word in self.composed.words:
            if (group := key_of(word).split(".")[0]) in GIVEN:
                raise UsageError(
                    f"'{word}': {model.__name__} is fitted without gradients and has no {group}; leave the word out"
                )

    def fit(self, model: Any, dataset: Any) -> None:
        """Whether the model eats what the data set serves."""
        if issubclass(dataset.batch_type, model.batch_type):
            return
        fitting = [name for name in options("dataset") if fits(name, model)]
        chosen = self.composed.choices.get("dataset", self.config["dataset"].get("name"))
        eaten = " or ".join(kind.__name__ for kind in get_args(model.batch_type) or (model.batch_type,))
        raise UsageError(
            f"dataset={chosen} does not fit model={self.composed.choices.get('model')}: {model.__name__} takes batches "
            f"of {eaten}, {chosen} gives {dataset.batch_type.__name__}\n"
            f"data sets that fit: {', '.join(fitting) or 'none'}"
        )


def fits(option: str, model: Any) -> bool:
    """Whether the model eats what the data set of that name serves."""
    import yaml

    path = find("dataset", option)
    assert path is not None
    try:
        dataset: Any = resolve_target(yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"], "dataset")
    except (UsageError, KeyError, TypeError):
        return False
    return issubclass(dataset.batch_type, model.batch_type)


def kind(key: str) -> Any:
    """The class that a node of this key must be a kind of."""
    module, name = {
        "model": ("genlab.models.base", "GenerativeModel"),
        "dataset": ("genlab.datasets.base", "Dataset"),
        "optimizer": ("torch.optim", "Optimizer"),
        "schedule": ("torch.optim.lr_scheduler", "LRScheduler"),
        "trainer": ("pytorch_lightning", "Trainer"),
        "callbacks": ("pytorch_lightning", "Callback"),
        "accelerator.strategy": ("pytorch_lightning.strategies", "Strategy"),
    }[key]
    return getattr(importlib.import_module(module), name)


def callable_hint(hint: Any) -> bool:
    from collections.abc import Callable
    from typing import get_origin

    return get_origin(hint) is Callable


def main_hints(command: str) -> tuple[dict[str, Any], bool]:
    """The annotation of each key of a command, and whether it takes any other."""
    main = importlib.import_module(f"genlab.commands.{command}").main
    parameters = inspect.signature(main).parameters
    hints = get_type_hints(main, include_extras=True)
    named = {
        name: hints.get(name, Any)
        for name, parameter in parameters.items()
        if name != "composed" and parameter.kind is not parameter.VAR_KEYWORD
    }
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if is_open and command != "train":
        return main_hints("train")[0] | named, False
    return named, is_open
