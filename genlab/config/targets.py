"""From the text of a ``_target_`` to a class, and from a node to an object."""

import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from genlab.config.places import allowed_packages
from genlab.config.values import as_hinted
from genlab.errors import GenlabError, UsageError

ALLOWED = ("genlab", "torch.optim", "pytorch_lightning", "torchvision")
"""Packages that a YAML file may name a class of."""

SPECIAL = ("_target_", "_partial_")


def is_allowed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in (*ALLOWED, *allowed_packages()))


def resolve_target(target: Any, key: str) -> type:
    """The class that ``_target_`` names; nothing outside the allowed packages is imported.

    Raises:
        UsageError: it is not text, not allowed, not there, or not a class.
    """
    where = f"{key}._target_={target}"
    if not isinstance(target, str) or "." not in target:
        raise UsageError(f"{where}: expected the full name of a class, as package.module.Class")
    module_name, name = target.rsplit(".", 1)
    if not is_allowed(module_name):
        raise UsageError(
            f"{where}: only classes of {', '.join(ALLOWED)} are used; a package of your own joins by --allow PACKAGE"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise UsageError(
                f"{where}: there is no module '{error.name}'; a package of your own must be installed, or its folder "
                "be on PYTHONPATH"
            ) from error
        raise UsageError(f"{where}: {module_name} needs the package '{error.name}', which is not installed") from error
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"{where}: {module_name} cannot be imported: {error}") from error
    found = getattr(module, name, None)
    if found is None:
        raise UsageError(f"{where}: {module_name} has no '{name}'")
    if not inspect.isclass(found):
        raise UsageError(f"{where}: this is not a class")
    if not is_allowed(found.__module__):
        raise UsageError(
            f"{where}: this is another name of {found.__module__}.{found.__qualname__}, which is not allowed"
        )
    return found


def build(node: Mapping[str, Any], key: str, **extra: Any) -> Any:
    """The object that a node describes.

    Reads Hydra's ``_target_`` and ``_partial_``; nodes inside are built first; a list becomes a tuple where the
    constructor's annotation says so.

    Args:
        key: of the node, for messages.
        extra: arguments that are no part of the configuration; handed over as they are.

    Raises:
        UsageError: the class is refused, or its constructor raises ValueError or TypeError.
    """
    target = resolve_target(node.get("_target_"), key)
    hints = constructor_hints(target)
    arguments = {
        name: _build_inside(value, f"{key}.{name}", hints.get(name))
        for name, value in node.items()
        if name not in SPECIAL and name not in extra
    }
    arguments |= {name: _build_inside(value, f"{key}.{name}", None) for name, value in extra.items()}
    if node.get("_partial_"):
        return functools.partial(target, **arguments)
    try:
        return target(**arguments)
    except GenlabError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(f"{key}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


def _build_inside(value: Any, key: str, hint: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build(value, key)
        return {name: _build_inside(item, f"{key}.{name}", None) for name, item in value.items()}
    if isinstance(value, list):
        return as_hinted([_build_inside(item, f"{key}[{index}]", None) for index, item in enumerate(value)], hint)
    return value


@functools.cache
def constructor_hints(target: type) -> dict[str, Any]:
    """The annotation of each constructor argument that has one, with what ``Annotated`` adds."""
    constructor: Any = inspect.getattr_static(target, "__init__")
    try:
        return get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError):
        return {}
