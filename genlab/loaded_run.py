"""The model of a run, as it was at one of its checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.errors import RunError, UsageError
from genlab.run import Run

if TYPE_CHECKING:
    from genlab.datasets.base import Dataset
    from genlab.models.base import GenerativeModel

WeightsChoice = Literal["averaged", "last"]


@dataclass
class LoadedRun:
    """A model as it was at a checkpoint of its run, in evaluation mode on the CPU.

    Args:
        path: of the checkpoint; None is the untrained model.
    """

    model: "GenerativeModel"
    dataset: "Dataset"
    config: dict[str, Any]
    folder: Path
    path: Path | None
    checkpoint: str
    step: int
    weights: WeightsChoice

    @property
    def is_in_its_run(self) -> bool:
        """Not of a checkpoint file that was copied elsewhere."""
        return (self.folder / "config.yaml").is_file()

    def folder_for(self, results: str) -> Path:
        """Where ``results`` go, if nobody says where.

        Raises:
            UsageError: the checkpoint lies in no run folder.
        """
        if not self.is_in_its_run:
            raise UsageError(f"{self.path} lies in no run folder: say where the results go, output=FOLDER")
        return self.folder / results


def load_model(name: str | None, checkpoint: str = "last", weights: WeightsChoice | None = None) -> LoadedRun:
    """The model and (not yet loaded) data set of a run.

    Args:
        name: a run folder, a checkpoint file, or ``last``.
        checkpoint: ``last``, ``best``, a file name in the run's folder of checkpoints, or ``initial``: the untrained
            model that the run's seed gives.
        weights: ``averaged`` over the training, or the ``last``; None is averaged if the checkpoint has such.

    Raises:
        RunError: there is no such run or checkpoint, it is damaged, or its model has changed since.
        UsageError: averaged weights are wanted of a checkpoint that has none, or another checkpoint than the one named.
    """
    from genlab.callbacks.averaged_weights import exchange, saved_in
    from genlab.checkpoint import load
    from genlab.config import build
    from genlab.training import build_model

    named = None if name is None else Path(name).expanduser()
    if named is not None and named.is_file():
        if checkpoint not in ("last", named.stem, named.name):
            raise UsageError(
                f"checkpoint={checkpoint}: {name} is a checkpoint itself; leave the word out, or name the run"
            )
        path: Path | None = named.absolute()
        folder = named.absolute().parent.parent
    else:
        run = Run.open(name)
        folder = run.folder
        path = None if checkpoint == "initial" else run.checkpoint_file(checkpoint)
    try:
        step, state = 0, load(path) if path is not None else None
    except RunError as error:
        whole, _ = Run(folder).newest_good()
        if whole is None or whole == path:
            raise
        raise RunError(f"{error}\ntake the newest that is whole: checkpoint={whole.stem}") from error
    config = state["genlab"]["config"] if state is not None else run.config
    try:
        # Built in its own precision, which a checkpoint of precision=64-true is copied to.
        model = build_model(config | {"precision": "32-true"})
    except UsageError as error:
        raise (changed(folder, error) if isinstance(error.__cause__, TypeError) else error) from error
    if path is not None and state is not None:
        try:
            model.load_state_dict(state["state_dict"])
        except RuntimeError as error:
            raise changed(folder, error) from error
        checkpoint, step = path.stem, state["genlab"]["step"]
    averages = saved_in(state) if state is not None else {}
    if weights == "averaged" and not averages:
        raise UsageError(
            f"weights=averaged: the checkpoint '{checkpoint}' of {folder} has none\n"
            "leave the word out; a run keeps averages if it is trained with callbacks=averaged"
        )
    weights = weights or ("averaged" if averages else "last")
    if weights == "averaged":
        exchange(model, averages)
    dataset = build(config["dataset"], "dataset")
    return LoadedRun(model.eval(), dataset, config, folder, path, checkpoint, step, weights)


def changed(folder: Path, error: Exception) -> RunError:
    """What a user is told of a run whose model has other arguments or weights by now."""
    return RunError(
        f"{folder} is of another version of genlab than this one: {' '.join(str(error).split())[:300]}\n"
        "take the version that trained it, which its environment.json names, or train anew"
    )
