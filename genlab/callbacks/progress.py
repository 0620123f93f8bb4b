"""What a person sees in the terminal while a model trains."""

import math
import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from genlab.models.base import GenerativeModel

REFRESH = 0.25
"""Seconds between two drawings; the bar costs nothing in the steps between."""


class TrainingProgress(pl.Callback):
    """A bar for the whole training and one for the epoch, with losses and items a second.

    Where there is no terminal, or with ``NO_COLOR``, one plain line an epoch instead.
    """

    def __init__(self) -> None:
        self.console = Console()
        self.live = self.console.is_terminal and not self.console.no_color
        self.bars: Progress | None = None
        self.drawn = 0.0
        self.epoch_started = 0.0
        self.items = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epoch_started = time.monotonic()  # a run that goes on within an epoch does not start that epoch
        if not self.live or not trainer.is_global_zero:
            return
        self.bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self.total = self.bars.add_task(
            "training", total=_total_batches(trainer), completed=trainer.global_step, note=""
        )
        self.epoch = self.bars.add_task("epoch", total=int(trainer.num_training_batches), note="")
        self.bars.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epoch_started, self.items = time.monotonic(), 0
        if self.bars is not None:
            self.bars.update(self.epoch, description=f"epoch {trainer.current_epoch + 1}", completed=0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.items += len(batch[0]) * trainer.world_size
        now = time.monotonic()
        if self.bars is None or now - self.drawn < REFRESH:
            return
        self.drawn = now
        self.bars.update(self.total, completed=trainer.global_step, note=f"{self.rate():,.0f} items/s")
        self.bars.update(self.epoch, completed=batch_idx + 1, note=_words(reported(pl_module)))
        self.bars.refresh()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
            line = f"epoch {trainer.current_epoch + 1}{of}  step {trainer.global_step}  {self.rate():,.0f} items/s"
            print_line = self.bars.console.print if self.bars is not None else self.console.print
            print_line(f"{line}  {_words(reported(pl_module) | validated(trainer))}", highlight=False, soft_wrap=True)

    def rate(self) -> float:
        """Items of data a second in this epoch, over all processes."""
        return self.items / max(time.monotonic() - self.epoch_started, 1e-9)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.bars is not None:
            self.bars.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self.bars is not None:
            self.bars.stop()


def _total_batches(trainer: pl.Trainer) -> int | None:
    epochs = trainer.max_epochs
    by_epochs = epochs * int(trainer.num_training_batches) if epochs is not None and epochs > 0 else None
    by_steps = trainer.max_steps if trainer.max_steps > 0 else None
    return min((count for count in (by_epochs, by_steps) if count is not None), default=None)


def reported(model: pl.LightningModule) -> dict[str, float]:
    """The newest ``train/…`` values."""
    assert isinstance(model, GenerativeModel)
    return model.reported


def validated(trainer: pl.Trainer) -> dict[str, float]:
    """The newest ``val/…`` values."""
    return {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}


def finite(values: dict[str, float]) -> dict[str, float]:
    """Those that JSON holds: the signal-to-noise ratio of an image that is restored exactly is infinite."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _words(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())
