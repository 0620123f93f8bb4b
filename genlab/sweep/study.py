"""The file of a sweep: an Optuna study in a journal, which many processes may write at once, on a network disk too.

A sweep whose search was changed, or whose failed trials are run again, becomes a new study in the same file, with a
copy of all trials under their old numbers. A study counts from the moment it has its definition, which is written last:
a process killed before that leaves the old one as it was.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.errors import MissingExtraError, RunError, UsageError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "study.journal"


def import_optuna() -> Any:
    """The library, quiet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("a sweep needs Optuna", "sweep") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def journal(file: Path) -> "optuna.storages.BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file.absolute())))


def mend(file: Path) -> None:
    """Cuts off a line that a power cut left half-written; Optuna would stumble over it."""
    from optuna.storages.journal import JournalFileSymlinkLock

    if not file.is_file():
        return
    lock = JournalFileSymlinkLock(str(file.absolute()))
    lock.acquire()
    try:
        with file.open("rb+") as lines:
            lines.truncate(lines.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def open_study(file: Path) -> "optuna.Study | None":
    """The study that counts; None if there is none yet."""
    optuna = import_optuna()
    if not file.is_file():
        return None
    storage = journal(file)
    names = [study.study_name for study in storage.get_all_studies() if "definition" in study.user_attrs]
    if not names:
        return None
    study = optuna.load_study(study_name=names[-1], storage=storage)
    study.pruner = new_pruner(study.user_attrs["definition"]["pruning"])
    return study


def existing_study(folder: Path) -> "optuna.Study":
    """The study of a sweep's folder.

    Raises:
        RunError: there is none.
    """
    study = open_study(folder / JOURNAL)
    if study is None:
        raise RunError(f"there is no sweep in {folder}: `genlab sweep` prints the folder of each when it starts")
    return study


def new_study(file: Path, definition: dict[str, Any], trials: Iterable["FrozenTrial"]) -> "optuna.Study":
    """A study with these trials, which are numbered from 0.

    Args:
        definition: what is searched, and how: ``{"objective": ["val/…"], "direction": ["minimize"], …}``.
    """
    optuna = import_optuna()
    storage = journal(file)
    study = optuna.create_study(
        study_name=str(len(storage.get_all_studies())),
        storage=storage,
        directions=definition["direction"],
        pruner=new_pruner(definition["pruning"]),
    )
    for trial in trials:
        study.add_trial(trial)
    study.set_user_attr("definition", definition)
    return study


def waiting(parameters: dict[str, Any]) -> "FrozenTrial":
    """A trial that is still to be run, with these parameters."""
    from optuna.trial import TrialState, create_trial

    return create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": parameters})


def copied(
    trial: "FrozenTrial",
    definition: dict[str, Any],
    distributions: dict[str, "BaseDistribution"],
    parameters: dict[str, Any] | None,
    is_same: bool,
    retry: bool,
) -> "FrozenTrial":
    """A trial as another search has it.

    Args:
        definition: of that search; a trial with too few repeats is under way again.
        distributions: of that search.
        parameters: of the trial in that search; None if it is outside of it. Such a trial keeps its number and, as
            ``outside``, its state; for Optuna it has failed, so that it counts for nothing.
        is_same: whether the search is still that of the trial.
        retry: whether a failed trial is under way again.

    Raises:
        UsageError: its runs logged no value of that name.
    """
    from optuna.trial import TrialState, create_trial

    attributes, values = dict(trial.user_attrs), trial.values
    state = TrialState[attributes.pop("outside", trial.state.name)]
    if parameters is None:
        return create_trial(state=TrialState.FAIL, user_attrs=attributes | {"outside": state.name})
    metrics = attributes.get("metrics", [])
    if (state == TrialState.FAIL and retry and "trial" in attributes) or (
        state == TrialState.COMPLETE and len(metrics) < definition["repeats"]
    ):
        state, values = TrialState.RUNNING, None
    if state == TrialState.COMPLETE:
        values = means(metrics, definition["objective"])
    if state == TrialState.RUNNING:
        attributes = {name: attributes[name] for name in ("trial", "pruned") if name in attributes}
    return create_trial(
        state=state,
        values=values,
        params=parameters,
        distributions={name: distributions[name] for name in parameters},
        user_attrs=attributes,
        system_attrs=trial.system_attrs if is_same else None,
        intermediate_values=trial.intermediate_values if is_same else None,
    )


def means(metrics: list[dict[str, float]], objectives: list[str]) -> list[float]:
    """The value of each objective, over the repeats of a trial.

    Args:
        metrics: the last values of each of its runs.

    Raises:
        UsageError: one is not among them.
    """
    return [sum(value_of(name, row) for row in metrics) / len(metrics) for name in objectives]


def value_of(objective: str, logged: Mapping[str, float]) -> float:
    """The value of an objective; ``val/negative_elbo`` is minus ``val/elbo`` where only that is logged.

    Raises:
        UsageError: the model logs no such value.
    """
    if objective in logged:
        return logged[objective]
    if "negative_" in objective and (opposite := objective.replace("negative_", "", 1)) in logged:
        return -logged[opposite]
    raise UsageError(
        f"objective={objective}: the model logs no such value; it logs: {', '.join(sorted(logged))}; "
        "'negative_' before the last part of a name turns its sign\n"
        "correct the word, or give more trainer.max_epochs to a model that validates seldom, and add "
        "allow_change=true: what is trained stays"
    )


def new_pruner(name: str) -> "optuna.pruners.BasePruner":
    """Optuna's, with its own settings; hyperband learns the number of epochs from the first trial that ends."""
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner()
    return pruners.HyperbandPruner() if name == "hyperband" else pruners.NopPruner()


def new_sampler(name: str, *seeds: int) -> "optuna.samplers.BaseSampler":
    """Optuna's sampler of that name.

    Args:
        seeds: of the sweep, the number of a trial, the place of a parameter: a sampler of its own for each. What it
            draws then depends on these and on the trials before, not on when the sweep was stopped.
    """
    from numpy.random import SeedSequence
    from optuna import samplers

    seed = int(SeedSequence(seeds).generate_state(1)[0])
    if name == "cmaes":
        return samplers.CmaEsSampler(seed=seed)
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=seed)
    return samplers.TPESampler(seed=seed) if name == "optuna" else samplers.RandomSampler(seed=seed)


def suggested(
    study: "optuna.Study", trial: "Trial", search: str, seed: int, axes: Mapping[str, "BaseDistribution"]
) -> list[Any]:
    """The value of each parameter of a trial, in their order.

    Each has a sampler of its own: of a trial that a kill ended at its very beginning, the study has some parameters
    already, and the others must not depend on that.
    """
    values = []
    for place, (name, distribution) in enumerate(axes.items()):
        study.sampler = new_sampler(search, seed, trial.number, place)
        values.append(trial._suggest(name, distribution))
    return values
