"""What a sweep has found: a table, JSON, importances and diagrams."""

import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config.places import user_dir
from genlab.config.words import key_of
from genlab.errors import UsageError, installation
from genlab.run import Run
from genlab.sweep.study import means, value_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STOPPED = "the same command goes on with it"
STATES = {"COMPLETE": "finished", "FAIL": "failed", "PRUNED": "pruned", "RUNNING": "running"}


@dataclass(frozen=True)
class Result:
    """One trial.

    Args:
        state: ``finished``, ``failed``, ``pruned`` or ``running``; the last also of one that was stopped.
        values: of each objective; of a pruned trial the last that it reported, None if there are none.
        spread: of each objective over repeats: ``{"std", "interval"}``, the latter of the mean.
        config: resolved.
        words: of ``genlab train``, those that the sweep searches.
        reason: why it failed, or that it was stopped, or is outside of what is searched by now.
        is_best: of several objectives, whether no other trial beats it in all.
    """

    number: int
    state: str
    values: dict[str, float] | None
    spread: dict[str, dict[str, Any]]
    config: dict[str, Any]
    words: list[str]
    run_dir: str
    reason: str
    is_best: bool

    @property
    def settings(self) -> dict[str, str]:
        return {key_of(word): word.partition("=")[2] for word in self.words}


def results(study: "Study", folder: Path) -> list[Result]:
    """The trials that have begun, best first; of several objectives those that no other beats in all first."""
    definition = study.user_attrs["definition"]
    trials = [trial for trial in study.get_trials(deepcopy=False) if "trial" in trial.user_attrs]
    order = {state: place for place, state in enumerate(STATES)}
    front = {trial.number for trial in study.best_trials}
    sign = 1 if definition["direction"][0] == "minimize" else -1

    def rank(trial: "FrozenTrial") -> tuple[Any, ...]:
        value = sign * trial.values[0] if trial.state.name == "COMPLETE" else 0
        is_outside = "outside" in trial.user_attrs
        return is_outside, order[trial.state.name], trial.number not in front, value, trial.number

    return [result(trial, definition["objective"], folder, trial.number in front) for trial in sorted(trials, key=rank)]


def result(trial: "FrozenTrial", objectives: list[str], folder: Path, is_best: bool) -> Result:
    attributes = trial.user_attrs
    run = Run(folder.absolute() / str(trial.number))
    reason = attributes.get("reason", "") if trial.state.name == "FAIL" else ""
    state, values = attributes.get("outside", trial.state.name), trial.values
    metrics = attributes.get("metrics", [])
    if "outside" in attributes:
        reason = "outside of what is searched by now"
        with suppress(UsageError):  # another objective may never have been logged
            values = means(metrics, objectives) if metrics else None
    elif state == "RUNNING" and "wrong_objective" in attributes:
        reason = attributes["wrong_objective"]
    elif state == "RUNNING" and not (run.is_locked or Run(folder).is_locked):
        reason = STOPPED
    is_repeated = len(metrics) > 1 and trial.values
    return Result(
        number=trial.number,
        state=STATES[state],
        values=dict(zip(objectives, values, strict=False)) if values else None,
        spread={name: spread([value_of(name, row) for row in metrics]) for name in objectives} if is_repeated else {},
        config=attributes["trial"]["config"],
        words=attributes["trial"]["words"],
        run_dir=str(run.folder),
        reason=reason,
        is_best=is_best,
    )


def spread(values: list[float]) -> dict[str, Any]:
    """Standard deviation over the seeds, and a 95 % bootstrap interval of their mean."""
    import torch

    from genlab.metrics.bootstrap import drawn_counts, interval

    found = torch.tensor(values, dtype=torch.float64)
    counts = drawn_counts(len(found), torch.Generator().manual_seed(0))
    means = counts @ found / len(found)
    return {"std": found.std().item(), "interval": interval(means, -float("inf"), float("inf"))}


def as_json(found: list[Result]) -> dict[str, Any]:
    return {"trials": [asdict(row) for row in found]}


def show(study: "Study", folder: Path) -> None:
    """Prints the table, the importance of the settings, the best trials as commands; draws the diagrams."""
    found = results(study, folder)
    if not found:
        print(f"no trial of {folder} has begun yet")
        return
    print_table(found, study.user_attrs["definition"]["objective"])
    same = {trial.number: trial.user_attrs.get("same_as") for trial in study.get_trials(deepcopy=False)}
    for number, other in same.items():
        if other is not None:
            print(f"trial {number} was not run: it is the same as trial {other}")
    for row in found:
        if row.is_best:
            print(f"best, trial {row.number}: {command(study, row)}")
    if sum(row.state == "finished" for row in found) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for line in (*importances(study), *draw(study, folder)):
                print(line)
    print(f"curves and settings in TensorBoard: tensorboard --logdir {shlex.quote(str(folder))}")


def print_table(found: list[Result], objectives: list[str]) -> None:
    """One line a trial, with the settings in which the trials differ."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(key for row in found for key in row.settings))
    keys = [key for key in names if len({row.settings.get(key) for row in found}) > 1]
    has_reasons = any(row.reason for row in found)
    is_front = len(objectives) > 1
    table = Table("trial", "state", *keys, *objectives, *(["reason"] if has_reasons else []), box=None)
    for row in found:
        values = [cell(row, name) for name in objectives]
        reasons = [row.reason.split("\n")[0]] if has_reasons else []
        settings = [short(row.settings.get(key, "")) for key in keys]
        mark = "*" if is_front and row.is_best else ""
        state = "stopped" if row.reason == STOPPED else row.state
        table.add_row(f"{row.number}{mark}", state, *settings, *values, *reasons)
    if is_front:
        table.caption = "* no other trial is better in all objectives"
        table.caption_justify = "left"
    console = Console()
    # In a file or pipe nothing is cut.
    (console if console.is_terminal else Console(width=1000)).print(table, highlight=False, markup=False)


def short(value: str) -> str:
    """A setting with five digits of a long number; the command to type has them all."""
    return f"{float(value):.5g}" if re.fullmatch(r"-?\d+\.\d{5,}(e-?\d+)?", value) else value


def cell(row: Result, name: str) -> str:
    """``98.2``, or over repeats ``98.2 ± 0.4 (97.9 to 98.5)``."""
    if row.values is None or name not in row.values:
        return ""
    text = f"{row.values[name]:.5g}"
    if name in row.spread:
        low, high = row.spread[name]["interval"]
        text += f" ± {row.spread[name]['std']:.2g} ({low:.5g} to {high:.5g})"
    return text


def command(study: "Study", row: Result) -> str:
    """What to type to train with the settings of a trial."""
    words = study.user_attrs["definition"]["settings"] | {key_of(word): word for word in row.words}
    own = ["--config-dir", os.environ["GENLAB_CONFIG_DIR"]] if user_dir() else []
    return shlex.join(["genlab", "train", *own, *words.values()])


Target = Callable[["FrozenTrial"], float]


def targets(study: "Study") -> Iterator[tuple[str, Target | None, Target | None]]:
    """Each objective and, where there are several, what gives Optuna its value and its cost."""
    definition = study.user_attrs["definition"]
    for place, (name, direction) in enumerate(zip(definition["objective"], definition["direction"], strict=True)):
        if len(definition["objective"]) == 1:
            yield name, None, None
        else:
            sign = 1 if direction == "minimize" else -1
            yield name, partial(signed_value, place, 1), partial(signed_value, place, sign)


def signed_value(place: int, sign: int, trial: "FrozenTrial") -> float:
    return sign * float(trial.values[place])


def importances(study: "Study") -> Iterator[str]:
    """A line with the share of each setting in what makes the best tenth of the trials, for each objective."""
    from optuna.importance import get_param_importances

    if len(study.user_attrs["definition"]["space"]) < 2:
        return

    for name, _, cost in targets(study):
        shares = get_param_importances(study, target=cost)
        found = ", ".join(f"{key} {share:.0%}" for key, share in shares.items())
        yield f"importance for {name}: {found} (PED-ANOVA; a rough guess below some 50 trials)"


def draw(study: "Study", folder: Path) -> Iterator[str]:
    """Draws Optuna's diagrams as HTML and PNG into ``plots``; says where they are, or what is missing."""
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    for kind, library, extra in (("HTML", draw_html, "sweep"), ("PNG", draw_png, "plots")):
        try:
            library(study, plots)
            yield f"diagrams as {kind} in {plots}"
        except ImportError:
            yield f"no diagrams as {kind}: {installation(extra)}"


def draw_html(study: "Study", folder: Path) -> None:
    from optuna import visualization

    for name, figure in diagrams(study, visualization):
        figure.write_html(folder / f"{name}.html", include_plotlyjs="directory")


def draw_png(study: "Study", folder: Path) -> None:
    import matplotlib
    from optuna.visualization import matplotlib as visualization

    matplotlib.use("agg")
    from matplotlib import pyplot

    for name, axes in diagrams(study, visualization):
        figure = (axes if hasattr(axes, "figure") else axes.flat[0]).figure
        figure.set_size_inches(12, 5)
        figure.axes[0].set_facecolor("lightgrey")  # white lines are the worst trials
        figure.savefig(folder / f"{name}.png", dpi=100, bbox_inches="tight")
        pyplot.close(figure)


def diagrams(study: "Study", visualization: Any) -> Iterator[tuple[str, Any]]:
    """Optuna's diagrams by their names, from its modules for plotly or matplotlib."""
    for name, value, cost in targets(study):
        end = f"_{name.replace('/', '_')}" if value is not None else ""
        drawn = {"target": value, "target_name": name}
        yield f"parallel_coordinate{end}", visualization.plot_parallel_coordinate(study, **drawn)
        yield f"slice{end}", visualization.plot_slice(study, **drawn)
        yield f"importance{end}", visualization.plot_param_importances(study, target=cost, target_name=name)
    if len(study.directions) in (2, 3):
        names = study.user_attrs["definition"]["objective"]
        yield "pareto_front", visualization.plot_pareto_front(study, target_names=names)
