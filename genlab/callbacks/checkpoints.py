"""When a run is saved, under which names, and what a signal does."""

import os
import shlex
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from genlab.callbacks.progress import finite, validated
from genlab.errors import InterruptedRunError, NumericError
from genlab.run import Run

STOPPING: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
"""Signals that end a run after a checkpoint, and the exit code of each."""


class Checkpoints(Checkpoint):
    """Saves by time, by epoch, when a signal comes and when training ends, always at the end of a whole batch.

    One file a save, ``step-<batches>.ckpt``; ``last.ckpt`` and ``best.ckpt`` are further names of the same file.
    Lightning calls a ``Checkpoint`` after all other callbacks and after the model: what it saves is complete.

    Args:
        run: where to save.
        monitor: the logged value that chooses the best checkpoint and ``min`` or ``max``; None: the newest is the best.
        every_n_minutes: the most that a power cut can cost.
        every_n_epochs: save at the end of each nth epoch.
        keep: how many of the newest ``step-*.ckpt`` stay.
    """

    def __init__(
        self, run: Run, monitor: tuple[str, str] | None, every_n_minutes: float, every_n_epochs: int, keep: int
    ) -> None:
        self.run = run
        self.monitor = monitor
        self.every_n_seconds = 60 * every_n_minutes
        self.every_n_epochs = every_n_epochs
        self.keep = keep
        self.best: float | None = None
        self.saved_step = -1
        self.saved_at = time.monotonic()
        self.signal: int = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.saved_at = time.monotonic()
        self.saved_step = trainer.global_step
        for number in (*STOPPING, signal.SIGUSR1):
            signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal for the end of the batch; a second Ctrl-C ends the process at once."""
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            os._exit(STOPPING[signal.SIGINT])
        self.signal = number

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loop = trainer.fit_loop.epoch_loop
        number, is_due = self.agree(trainer)
        if number == 0 and not is_due and not trainer.should_stop and not loop._is_training_done:
            return
        # The last batch of an epoch is followed by validation: the save waits for it, see on_train_epoch_end.
        if not loop._num_ready_batches_reached():
            self.save(trainer, pl_module)
            self.obey(number)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            return  # stopped within an epoch: on_train_batch_end has saved it
        number, is_due = self.agree(trainer)
        is_last = trainer.should_stop or trainer.current_epoch == trainer.max_epochs or trainer.fit_loop.done
        better = self.is_better(trainer)
        if trainer.current_epoch % self.every_n_epochs == 0 or is_last or is_due or number or better:
            self.save(trainer, pl_module, best=better)
        self.obey(number)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The only checkpoint of a run that ends within its first epoch is its best, too."""
        last, best = (self.run.checkpoints / f"{name}.ckpt" for name in ("last", "best"))
        if trainer.is_global_zero and last.is_file() and not best.is_file():
            give_name(last, best)

    def agree(self, trainer: pl.Trainer) -> tuple[int, bool]:
        """The signal and whether a save is due by time, the same on every process."""
        is_due = time.monotonic() - self.saved_at >= self.every_n_seconds
        if trainer.world_size == 1:
            return self.signal, is_due
        told = torch.tensor([self.signal, int(is_due)], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return int(told[0]), bool(told[1])

    def obey(self, number: int) -> None:
        """Ends the run for the signals that ask for it."""
        if self.signal == number:
            self.signal = 0  # another may have come while the checkpoint was written
        if number in STOPPING:
            name = signal.Signals(number).name
            raise InterruptedRunError(
                f"stopped by {name} after step {self.saved_step}; nothing is lost\n"
                f"go on with `genlab resume {shlex.quote(os.path.relpath(self.run.folder))}`",
                STOPPING[number],
            )

    def is_better(self, trainer: pl.Trainer) -> bool:
        """Whether the monitored value is the best so far; remembers it."""
        if self.monitor is None:
            return True
        name, mode = self.monitor
        score = finite(validated(trainer)).get(name)
        if score is None:
            return self.best is None  # never measured on this data set: the newest is the best
        better = self.best is None or (score < self.best if mode == "min" else score > self.best)
        if better:
            self.best = score
        return better

    def save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, best: bool = False) -> None:
        """Writes ``step-*.ckpt``, gives it its further names and removes the oldest.

        Raises:
            NumericError: a weight is not finite; no file is written, so the last good checkpoint stays the last.
        """
        for name, tensor in pl_module.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise NumericError(f"'{name}' holds values that are not finite after step {trainer.global_step}")
        path = self.run.checkpoints / f"step-{trainer.global_step:09d}.ckpt"
        trainer.save_checkpoint(path)
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step
        if not trainer.is_global_zero:
            return
        for name in ("last", "best") if best else ("last",):
            give_name(path, self.run.checkpoints / f"{name}.ckpt")
        for old in sorted(self.run.checkpoints.glob("step-*.ckpt"))[: -self.keep or None]:
            old.unlink()
        monitor = {"name": self.monitor[0], "mode": self.monitor[1], "best": self.best} if self.monitor else None
        epochs = trainer.global_step // int(trainer.num_training_batches)
        self.run.write_status(epoch=epochs, step=trainer.global_step, monitor=monitor)


def give_name(path: Path, name: Path) -> None:
    """Makes ``name`` another name of ``path``, atomically; a copy where the file system has no hard links."""
    partial = name.with_name(name.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, partial)
    partial.replace(name)
