"""Learning rates that change with the epoch."""

import warnings
from collections.abc import Callable
from typing import Annotated, Any

import pytorch_lightning as pl
from pydantic import Field, NonNegativeInt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

SchedulerFactory = Callable[[Optimizer], LRScheduler]
"""What a ``schedule`` YAML becomes: called once for each optimizer."""


class Schedule(pl.Callback):
    """Gives each optimizer of a model the learning rate of the epoch, and logs it as ``lr``.

    The rate is a function of the epoch and of the optimizer's first rate. Nothing of it is saved: a resumed run goes
    through the epochs that are over again, and so comes to the same bits.

    Args:
        scheduler: called once for each optimizer.
    """

    def __init__(self, scheduler: SchedulerFactory) -> None:
        self.scheduler = scheduler
        self.schedulers: list[LRScheduler] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.schedulers = [begin(self.scheduler, optimizer) for optimizer in trainer.optimizers]
        self.on_train_epoch_start(trainer, pl_module)  # Lightning calls it for whole epochs only

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for scheduler in self.schedulers:
            advance(scheduler, trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx > 0:
            return
        rates = {f"train/lr_{number}": rates_of(optimizer)[0] for number, optimizer in enumerate(trainer.optimizers, 1)}
        named = {"train/lr": rates["train/lr_1"]} if len(rates) == 1 else rates
        for logger in trainer.loggers:
            logger.log_metrics(named | {"epoch": trainer.current_epoch}, trainer.global_step)


def rates_of(optimizer: Optimizer) -> list[float]:
    """The learning rate of each group of weights."""
    return [group["lr"] for group in optimizer.param_groups]


def begin(scheduler: SchedulerFactory, optimizer: Optimizer) -> LRScheduler:
    """A scheduler at epoch 0, whatever rates the optimizer has been restored with."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])
    return scheduler(optimizer)


def advance(scheduler: LRScheduler, epoch: int) -> None:
    """Steps to an epoch, of which a scheduler keeps count."""
    # torch's cosine would rise again after its end.
    end = scheduler.T_max if isinstance(scheduler, CosineAnnealingLR) else epoch
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*before.*optimizer.step.*")
        while scheduler.last_epoch < min(epoch, end):
            scheduler.step()


class ConstantThenLinear(LambdaLR):
    """The optimizer's rate for the first part of the epochs, then a straight line that would reach 0 in the next one.

    Zhu et al., 2017, arXiv:1703.10593, section 4; the line is that of the authors' code.

    Args:
        total_epochs: a run that goes on beyond them has a rate of 0.
        constant_part: of the epochs before the line begins.
    """

    def __init__(
        self, optimizer: Optimizer, total_epochs: NonNegativeInt, constant_part: Annotated[float, Field(ge=0, le=1)]
    ) -> None:
        constant = round(constant_part * total_epochs)
        falling = total_epochs + 1 - constant
        super().__init__(optimizer, lambda epoch: max(0.0, 1 - max(0, epoch + 1 - constant) / falling))
