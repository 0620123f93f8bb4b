"""Whether a value is what an annotation says, and the sentence if it is not."""

import functools
from collections.abc import Callable
from typing import Any, get_args, get_origin

from genlab.errors import UsageError


def check_value(value: Any, hint: Any, key: str, where: Callable[[str], str]) -> None:
    """Compares a value with an annotation, without turning it into another type.

    Args:
        where: says where a key was set.

    Raises:
        UsageError: names the key, the value and what is expected.
    """
    from pydantic import ValidationError

    try:
        _adapter(hint).validate_python(as_hinted(value, hint), strict=True)
    except ValidationError as error:
        raise UsageError(f"{key}={shown(value)}: expected {expected(error)}{where(key)}") from error


def as_hinted(value: Any, hint: Any) -> Any:
    """The value with a tuple for each list where the annotation says so: YAML has no tuples."""
    if not isinstance(value, list):
        return value
    parts = get_args(hint)
    if get_origin(hint) is tuple or hint is tuple:
        inner = parts[:1] * len(value) if Ellipsis in parts else (*parts, *([None] * (len(value) - len(parts))))
        return tuple(as_hinted(item, part) for item, part in zip(value, inner or [None] * len(value), strict=False))
    if get_origin(hint) is list:
        return [as_hinted(item, parts[0]) for item in value]
    for part in parts:
        if isinstance(converted := as_hinted(value, part), tuple):
            return converted
    return value


WISHES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list, […]",
    "list_type": "a list, […]",
    "dict_type": "keys and values",
    "none_required": "null",
    "missing": "a value",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "too_long": "at most {max_length} values",
    "too_short": "at least {min_length} values",
    "string_too_short": "text",
    "string_pattern_mismatch": "text like {pattern}",
}
"""Pydantic's kinds of faults, as the end of "expected …"."""


PATTERNS = {
    "^[0-9]+-[0-9]+$": "a range such as 0-99",
    r"^\d\d:\d\d:\d\d:\d\d$": "days, hours, minutes and seconds as 00:01:30:00",
    r"^relu[1-5]_[1-4]$": "a layer such as relu3_1",
    r"^relu[2-5]_[1-4]$": "a layer such as relu3_1",
    r"^[\w.-]+$": "letters, digits, dots, hyphens and underscores",
}
"""What a person calls text of a pattern."""


def expected(error: Any) -> str:
    """What would have been taken."""
    wishes: list[str] = []
    for fault in error.errors(include_url=False):
        about = fault.get("ctx", {})
        text = PATTERNS.get(about.get("pattern")) or WISHES.get(fault["type"], str(fault["msg"])).format_map(about)
        inside = [part for part in fault["loc"] if isinstance(part, int)]
        text = f"{text} at position {inside[-1] + 1}" if inside else text
        if text not in wishes and "is_instance_of" not in fault["type"]:
            wishes.append(text)
    if wishes == [WISHES["list_type"]]:
        wishes = [f"a list, as [{shown(error.errors()[0]['input'])}]"]
    return " or ".join(wishes) or "another value"


def shown(value: Any) -> str:
    """The value as it would be typed."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    text = {None: "null", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else None
    text = text or str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


@functools.cache
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError

    config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    try:
        return TypeAdapter(hint, config=config)
    except PydanticUserError:  # a model or a dataclass brings its own configuration
        return TypeAdapter(hint)
