"""Search for the best settings of a model, in many trainings."""

import json as json_format
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from genlab.config import Composed, check, difference, digest
from genlab.config.values import shown
from genlab.config.words import key_of
from genlab.errors import InterruptedRunError, ResourceError, RunError, UsageError
from genlab.run import OUTPUTS, Run

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from genlab.sweep.search import Plan
    from genlab.sweep.space import Space

Searcher = Literal["optuna", "grid", "random", "cmaes", "nsga2"]
Direction = Literal["minimize", "maximize"]


def main(
    composed: Composed,
    action: str | None,
    sweep: None,
    sweep_dir: str | None,
    search: Searcher,
    objective: str | list[str] | None,
    direction: Direction | list[Direction],
    trials: PositiveInt | None,
    pruning: Literal["none", "median", "hyperband"],
    repeats: PositiveInt,
    jobs: PositiveInt,
    launcher: Literal["local", "ray", "slurm"],
    resources: dict[str, Any],
    retry: Literal["failed"] | None,
    allow_change: bool,
    json: bool,
    settings: dict[str, Any],
    overrides: list[str],
) -> None:
    """Searches, or goes on with the same search where it stopped; or shows what was found.

    Args:
        sweep: stands here for ``+sweep=NAME``, a recipe that Hydra has laid over these keys.
        sweep_dir: the folder of the study and of the runs.
        objective: one value that the model logs, or several.
        trials: how many in all, those of before included.
        retry: runs failed trials again, under their numbers.
        allow_change: goes on with another search than the folder's; its trials keep their numbers.
        json: prints ``{"trials": [{"number", "state", "values", "config", "run_dir", …}, …]}``, best first.
        settings: words of ``genlab train`` by their keys; ``overrides`` win.

    Raises:
        UsageError: a word is wrong, or no trial of the search could work.
        RunError: the folder has another search, or is in use.
        TrialsFailedError, InterruptedRunError: some trials are not done.
    """
    if action is not None:
        show(composed, sweep_dir, json)
        return
    from genlab.sweep.launchers import new_launcher
    from genlab.sweep.results import show as show_results
    from genlab.sweep.search import Plan, Search, TrialsFailedError
    from genlab.sweep.space import new_space
    from genlab.sweep.study import JOURNAL, import_optuna, mend

    if "LOCAL_RANK" in os.environ:
        raise UsageError("a sweep starts its own processes: run it without torchrun")
    space = new_space(settings, overrides)
    plan = Plan(search, *objectives(objective, direction), trials, repeats, jobs, pruning)
    check_plan(plan, space)
    definition = {
        "search": search,
        "objective": plan.objectives,
        "direction": plan.directions,
        "pruning": pruning,
        "repeats": repeats,
        "settings": space.settings,
        "space": {axis.key: axis.text for axis in space.axes},
    }
    points = space.points() if search == "grid" else space.ends()
    composed_points = [(words, space.compose(words)) for words in points]
    import_optuna()
    trials_by_identity = checked(composed_points)
    folder = Path(sweep_dir).expanduser() if sweep_dir else OUTPUTS / "sweeps" / default_name(composed, definition)
    make(folder, JOURNAL)
    try:
        with Run(folder.absolute()).lock():
            mend(folder / JOURNAL)
            grid = trials_by_identity if search == "grid" else {}
            study = current_study(folder, definition, space, grid, retry is not None, allow_change)
            work = new_launcher(launcher, jobs, folder.absolute() / "submitit", resources)
            print(f"sweep in {folder}; `genlab sweep show {shlex.quote(str(folder))}` shows its trials", flush=True)
            Search(folder.absolute(), study, space, plan, work).run()
    except (TrialsFailedError, InterruptedRunError):
        show_results(study, folder)
        raise
    show_results(study, folder)


def make(folder: Path, journal: str) -> None:
    """Makes the folder of a sweep, or finds that one is there.

    Raises:
        RunError: something else is there.
        ResourceError: it cannot be made.
    """
    if folder.is_file():
        raise RunError(f"sweep_dir={folder} is a file: give the path of a new folder")
    if folder.is_dir() and not (folder / journal).is_file():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise RunError(
                f"sweep_dir={folder} is no sweep's, and holds {others[0]!r}: nothing is put beside it\n"
                "give the path of a new folder"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"sweep_dir={folder} cannot be made: {error.strerror}; choose another") from error


def show(composed: Composed, sweep_dir: str | None, json: bool) -> None:
    """Shows the sweep that the words ``show FOLDER`` or ``sweep_dir`` name."""
    from genlab.sweep.results import as_json, results
    from genlab.sweep.results import show as show_results
    from genlab.sweep.study import existing_study

    # Of several words without a value, only the last becomes `action`.
    first, *rest = [word for word in composed.words if "=" not in word]
    if first != "show" or len(rest) + (sweep_dir is not None) != 1:
        raise UsageError("expected `genlab sweep show FOLDER`, or `genlab sweep key=value …` to search")
    if others := [word for word in composed.words if "=" in word and key_of(word) not in ("sweep_dir", "json")]:
        raise UsageError(f"`genlab sweep show` shows what was found; '{others[0]}' is for a search: leave it out")
    folder = Path(sweep_dir or rest[0]).expanduser()
    study = existing_study(folder)
    if json:
        print(json_format.dumps(as_json(results(study, folder)), indent=2))
    else:
        show_results(study, folder)


def objectives(names: str | list[str] | None, directions: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """The objectives and the direction of each.

    Raises:
        UsageError: there is no objective, one twice, or another number of directions.
    """
    listed = [names] if isinstance(names, str) else names or []
    if not listed:
        raise UsageError("objective must be given: a value that the model logs, as in objective=val/negative_elbo")
    ways = [directions] * len(listed) if isinstance(directions, str) else list(directions)
    if len(ways) != len(listed) or len(set(listed)) != len(listed):
        raise UsageError(
            f"objective={shown(names)} direction={shown(directions)}: expected each objective once, and one direction "
            "or as many"
        )
    return listed, ways


def check_plan(plan: "Plan", space: "Space") -> None:
    """Raises a UsageError for a search that cannot be."""
    if plan.search == "grid" and plan.trials is not None:
        raise UsageError(f"trials={plan.trials}: search=grid runs every combination; leave the word out")
    if plan.search != "grid" and plan.trials is None:
        raise UsageError(f"trials must be given for search={plan.search}, as in trials=30")
    if len(plan.objectives) > 1 and plan.pruning != "none":
        raise UsageError(f"pruning={plan.pruning}: trials are pruned by one objective; give one, or pruning=none")
    if plan.search == "cmaes":
        choices = [axis.key for axis in space.axes if axis.low is None]
        if choices or len(space.axes) < 2 or len(plan.objectives) > 1:
            raise UsageError(
                "search=cmaes takes one objective and two or more ranges or intervals of numbers"
                + (f"; a choice is: {', '.join(choices)}" if choices else "")
                + "\ntake search=optuna"
            )
    if plan.repeats > 1 and "seed" in [axis.key for axis in space.axes]:
        raise UsageError(f"repeats={plan.repeats}: the seeds of repeats are seed, seed + 1, …; do not search seed too")


def checked(trials: list[tuple[list[str], Composed]]) -> dict[str, list[str]]:
    """The words of each trial by its identity; says which are the same as another.

    Raises:
        UsageError: one could not work.
    """
    from genlab.sweep.space import identity

    found: dict[str, list[str]] = {}
    for words, composed in trials:
        try:
            check(composed)
        except UsageError as error:
            raise UsageError(f"the trial {shlex.join(words)} cannot work, so none was started:\n{error}") from error
        same = found.setdefault(identity(composed.config), words)
        if same is not words:
            print(f"{shlex.join(words)} is the same as {shlex.join(same)}, which is enough")
    return found


def default_name(composed: Composed, definition: dict[str, Any]) -> str:
    """The same for the same search, so that the same command finds its folder again."""
    model = definition["settings"].get("model", "model=vae").partition("=")[2]
    return composed.choices.get("sweep", f"{model}-{digest(definition)[:8]}")


def current_study(
    folder: Path,
    definition: dict[str, Any],
    space: "Space",
    grid: dict[str, list[str]],
    retry: bool,
    allow_change: bool,
) -> "Study":
    """The study of the folder: as it is, or a new one with its trials if the search has changed or some are run again.

    Args:
        grid: the words of each combination by its identity; they wait in the study to be run.

    Raises:
        RunError: the search has changed, and that is not allowed.
    """
    from genlab.sweep.study import JOURNAL, copied, new_study, open_study, waiting

    study = open_study(folder / JOURNAL)
    changes = difference(study.user_attrs["definition"], definition) if study is not None else []
    if changes and not allow_change:
        rows = [f"  {key}: {shown(before)} in the sweep, {shown(after)} now" for key, before, after in changes]
        raise RunError(
            f"{folder} is another sweep; these differ:\n"
            + "\n".join(rows)
            + "\nleave them as they were, choose another sweep_dir, or go on with them: allow_change=true"
        )
    old = study.get_trials() if study is not None else []
    if study is not None and not changes and not (retry and any("reason" in trial.user_attrs for trial in old)):
        return study
    distributions = {axis.key: axis.distribution for axis in space.axes}

    def parameters(trial: "FrozenTrial") -> dict[str, Any] | None:
        if not changes:
            return trial.params if "outside" not in trial.user_attrs else None
        about = trial.user_attrs.get("trial")
        if about is not None and about["identity"] in grid:
            return space.parameters(grid[about["identity"]])
        return space.parameters_of(about["words"], about["identity"]) if about is not None else None

    kept = [
        copied(trial, definition, distributions, parameters(trial), not changes, retry)
        for trial in old
        if not changes or trial.state.name != "WAITING"
    ]
    if not kept or changes:
        inside = [trial.user_attrs for trial in kept if "outside" not in trial.user_attrs]
        there = {attributes["trial"]["identity"] for attributes in inside if "trial" in attributes}
        kept += [waiting(space.parameters(words)) for key, words in grid.items() if key not in there]
    return new_study(folder / JOURNAL, definition, kept)
