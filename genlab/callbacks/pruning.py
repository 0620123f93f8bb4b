"""Tells a sweep how a trial is doing, and ends it when the sweep's pruner says so."""

from pathlib import Path

import pytorch_lightning as pl

from genlab.callbacks.progress import reported, validated
from genlab.errors import RunError, UsageError
from genlab.run import Run
from genlab.sweep.study import import_optuna, open_study, value_of


class Pruning(pl.Callback):
    """Reports the objective after each epoch; a pruned run ends like one that has converged, with a checkpoint.

    ``status.json`` then has the epoch as ``pruned``. A resumed run makes no report a second time.

    Args:
        study: the file of the sweep, from the run's folder; it knows the objective and the pruner.
        trial: its number.

    Raises:
        UsageError: the objective is not among the values that the model logs.
        RunError: the run has been moved away from its sweep.
    """

    def __init__(self, study: str, trial: int) -> None:
        self.study = study
        self.trial = trial

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        is_whole = trainer.fit_loop.epoch_loop._num_ready_batches_reached()
        if not is_whole or epoch % (trainer.check_val_every_n_epoch or 1):
            return  # not validated
        logged = reported(pl_module) | validated(trainer)
        is_behind = trainer.is_global_zero and self.report(trainer, epoch, logged)
        trainer.should_stop = trainer.should_stop or bool(trainer.strategy.broadcast(is_behind))

    def report(self, trainer: pl.Trainer, epoch: int, logged: dict[str, float]) -> bool:
        """Writes the value of an epoch into the study; whether the trial is to end."""
        optuna = import_optuna()
        run = Run(Path(trainer.default_root_dir))
        file = (run.folder / self.study).resolve()
        study = open_study(file)
        if study is None:
            raise RunError(f"callbacks.pruning: there is no sweep in {file}; to go on without: ~callbacks.pruning")
        frozen = study.get_trials(deepcopy=False)[self.trial]
        if frozen.state.is_finished():
            return False  # the run is gone on with, after its sweep
        trial = optuna.trial.Trial(study, frozen._trial_id)
        objectives = study.user_attrs["definition"]["objective"]
        try:
            values = [value_of(name, logged) for name in objectives]
        except UsageError as error:
            trial.set_user_attr("wrong_objective", str(error))  # stops the sweep
            raise
        if len(objectives) > 1:
            return False  # trials are pruned by one objective
        if epoch not in frozen.intermediate_values:
            trial.report(values[0], epoch)
        if "pruned" not in frozen.user_attrs:
            if not trial.should_prune():
                return False
            trial.set_user_attr("pruned", epoch)
        run.write_status(pruned=epoch)
        return True
