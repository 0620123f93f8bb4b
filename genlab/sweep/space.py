"""What a sweep searches: words like those of ``genlab train``, some with many values, in Hydra's own notation.

========================================  ====================================
``key=choice(a,b,c)`` or ``key=a,b,c``    one of these
``key=range(1,10,3)``                     1, 4 or 7
``key=interval(0,1)``                     a number between
``key=int(interval(2,8))``                a whole number between, both included
``key=tag(log,interval(1e-4,1e-2))``      the same on a logarithmic scale
========================================  ====================================
"""

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genlab.config import Composed, compose, digest
from genlab.config.places import GROUPS
from genlab.config.suggest import nearest
from genlab.config.words import key_of, normalize, top_keys
from genlab.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna.distributions import BaseDistribution

OWN = {
    "run_dir": "a sweep names the run folders itself; sweep_dir=FOLDER chooses where they are",
    "config": "a sweep takes its settings as words; give those that differ from the recipe",
}
"""Words of ``genlab train`` that a sweep has no use for."""


@dataclass(frozen=True)
class Axis:
    """One setting with many values.

    Args:
        key: as typed, with its ``+`` if it has one.
        text: of the values, as typed, without blanks.
        values: all of them, as texts; None of an interval.
        low, high: the ends of a range or interval of numbers, both included; None of a choice.
        step: of a range.
        log: whether the scale is logarithmic.
    """

    key: str
    text: str
    values: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that are checked before a search begins: each of a choice, the ends of numbers."""
        return (repr(self.low), repr(self.high)) if self.low is not None else self.values or ()

    @property
    def distribution(self) -> "BaseDistribution":
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.low is None or self.high is None:
            return CategoricalDistribution(self.values or ())
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def parameter(self, value: str) -> str | int | float:
        """A value's text as Optuna has it."""
        if self.low is None:
            return value
        return int(value) if isinstance(self.low, int) else float(value)


@dataclass(frozen=True)
class Space:
    """What all trials have in common, and what they differ in.

    Args:
        settings: the words with one value, by their keys.
        seed: of what a search draws, and of the trainings unless they are searched for it.
    """

    settings: dict[str, str]
    axes: tuple[Axis, ...]
    seed: int

    @property
    def size(self) -> int | None:
        """How many combinations there are; None if one axis is an interval."""
        sizes = 1
        for axis in self.axes:
            if axis.values is None:
                return None
            sizes *= len(axis.values)
        return sizes

    def points(self) -> list[list[str]]:
        """The words of every combination, the last axis fastest.

        Raises:
            UsageError: an axis has no end of values.
        """
        for axis in self.axes:
            if axis.values is None:
                raise UsageError(
                    f"search=grid: {axis.key}={axis.text} has no end of values; take choice(a,b,c) or range(a,b,step)"
                )
        return [list(words) for words in itertools.product(*(words_of(axis, axis.values or ()) for axis in self.axes))]

    def ends(self) -> list[list[str]]:
        """The words of a few trials in which each end of each axis occurs."""
        longest = max(len(axis.ends) for axis in self.axes)
        ends = [words_of(axis, axis.ends) for axis in self.axes]
        return [[words[min(number, len(words) - 1)] for words in ends] for number in range(longest)]

    def compose(self, words: Sequence[str]) -> Composed:
        """The training of a trial."""
        try:
            return compose("train", [*self.settings.values(), *words])
        except UsageError as error:
            raise UsageError(f"{error}\nin the trial {shlex.join(words)}") from error

    def parameters_of(self, words: Sequence[str], key: str) -> dict[str, Any] | None:
        """The words of a trial of any search as Optuna has them; None if this space does not contain them.

        Args:
            key: the ``identity`` of the trial.
        """
        given = {key_of(word): word.partition("=")[2] for word in words}
        if any(key_of(axis.key) not in given for axis in self.axes):
            return None
        own = [f"{axis.key}={given[key_of(axis.key)]}" for axis in self.axes]
        try:
            parameters = self.parameters(own)
            is_inside = all(
                axis.distribution._contains(axis.distribution.to_internal_repr(parameters[axis.key]))
                for axis in self.axes
            )
            return parameters if is_inside and identity(self.compose(own).config) == key else None
        except (ValueError, UsageError):  # what was a number is a word here, or the model has no such key
            return None

    def parameters(self, words: Sequence[str]) -> dict[str, Any]:
        """The words of a trial as Optuna has them."""
        return {axis.key: axis.parameter(word.partition("=")[2]) for axis, word in zip(self.axes, words, strict=True)}


def words_of(axis: Axis, values: Sequence[str]) -> list[str]:
    return [f"{axis.key}={value}" for value in values]


def identity(config: dict[str, Any]) -> str:
    """What makes a trial the same as another: SHA-256 of its resolved configuration, without where and beside what."""
    return digest({key: value for key, value in config.items() if key != "jobs"})


def new_space(recipe: dict[str, Any], words: Sequence[str]) -> Space:
    """The space of a recipe's settings and a command line's words, which win.

    Raises:
        UsageError: a word is not understood or not for a sweep, or there is nothing to search.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for key, value in recipe.items():
        if isinstance(value, dict):
            inside = next(iter(value), "…")
            raise UsageError(f"settings.{key} holds keys of its own: write {key}.{inside}: on one line, as it is typed")
    chosen: dict[str, str] = {}
    for word in [*(normalize("train", f"{key}={value}") for key, value in recipe.items()), *words]:
        chosen.pop(key_of(word), None)
        chosen[key_of(word)] = word
    settings, axes = {}, []
    for override in OverridesParser.create().parse_overrides(list(chosen.values())):
        key, word = override.key_or_group, override.input_line or ""
        if key in OWN:
            raise UsageError(f"'{word}': {OWN[key]}")
        if override.is_hydra_override():
            raise UsageError(f"'{word}': genlab sweep chooses by its own keys: search, launcher, sweep_dir")
        if "." not in key and not override.is_add() and key not in (*GROUPS, *top_keys("train")):
            raise UsageError(f"no key '{key}'{nearest(key, [*top_keys('sweep'), *top_keys('train'), *GROUPS])}")
        if override.is_sweep_override():
            axes.append(new_axis(override, word))
        else:
            settings[key] = word
    common = compose("train", list(settings.values()))  # a misspelled word may be why something is missing
    if not axes:
        raise UsageError(
            "there is nothing to search: give a setting several values, "
            "as in 'model.latent_dim=choice(2,10,20)' or 'optimizer.lr=tag(log,interval(1e-4,1e-2))'"
        )
    return Space(settings, tuple(axes), common.config["seed"])


def new_axis(override: "Override", word: str) -> Axis:
    """The axis of one word.

    Raises:
        UsageError: it has no values, or is none of the known kinds.
    """
    key = override.get_key_element()
    text = re.sub(r"\s", "", word.partition("=")[2])
    value: Any = override.value()
    tags = set(getattr(value, "tags", ()))
    log = "log" in tags
    if others := sorted(tags - {"log"}):
        raise UsageError(f"'{word}': the tag {others[0]} means nothing here; tag(log,…) is a logarithmic scale")
    if override.is_interval_sweep():
        low, high = value.start, value.end
        if not low <= high or (log and low <= 0):
            raise UsageError(f"'{word}': expected interval(low,high) with low <= high, and low > 0 on a log scale")
        return Axis(key, text, low=low, high=high, log=log)
    if override.is_choice_sweep() and not isinstance(value, str) and hasattr(value, "list"):
        return Axis(key, text, values=tuple(dict.fromkeys(override.sweep_string_iterator())))
    if not override.is_range_sweep():
        raise UsageError(f"'{word}': expected choice(a,b), range(a,b,step) or interval(a,b)")
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise UsageError(f"'{word}': this range is empty")
    kind = int if all(re.fullmatch(r"-?\d+", item) for item in values) else float
    numbers = sorted(kind(item) for item in values)
    return Axis(key, text, values, numbers[0], numbers[-1], abs(value.step))
