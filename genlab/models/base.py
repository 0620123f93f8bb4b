"""The one base class of all models."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from genlab.datasets.base import Dataset
from genlab.errors import NumericError

OptimizerFactory = Callable[..., Optimizer]
"""What an ``optimizer`` YAML becomes: called with the weights of each network or group that takes turns."""


class GenerativeModel(pl.LightningModule):
    """A model whose training step writes out its paper's updates with ``descend`` and ``report``.

    Optimization is manual for every model, so that networks that take turns and those that do not read the same.
    """

    batch_type: ClassVar[Any]
    """The NamedTuple of ``datasets.batches`` that the model eats, or a union of them."""

    saturates: ClassVar[bool] = True
    """Whether a ``train/discriminator`` near 0 means that the generator learns nothing: of a log loss."""

    least_batch: ClassVar[int] = 2
    """Items that batch norm, if there is any, needs to train on: of one value a channel it makes 0."""

    best_by: ClassVar[tuple[str, Literal["min", "max"]] | None] = None
    """The logged value that chooses the best checkpoint; None: the newest is the best."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.reported: dict[str, float] = {}  # the newest value of each name

    def optimizers(self, use_pl_optimizer: bool = False) -> Any:
        """torch's own optimizers: the wrapped ones would count their steps, and ``global_step`` counts batches."""
        return super().optimizers(use_pl_optimizer)

    def check_data(self, dataset: Dataset) -> None:
        """For a model that cannot be fitted to just any data: called before the run folder is made.

        Raises:
            UsageError: says what does not fit.
        """

    def setup(self, stage: str) -> None:
        """torch's wrapper for several processes is for gradients: it refuses a model without weights to descend."""
        strategy: Any = self.trainer.strategy
        has_wrapper = isinstance(strategy, DDPStrategy)
        if has_wrapper and not list(self.parameters()):
            strategy.configure_ddp = lambda: None

    def descend(self, optimizer: Optimizer, loss: Tensor, name: str) -> None:
        """One step of ``optimizer`` down the gradient of ``loss``.

        Args:
            loss: scalar, the mean over the batch.
            name: the loss term as it is logged, ``train/<name>``; an error names it.

        Raises:
            NumericError: the loss or a gradient is not finite; the weights of this optimizer are left as they were.
        """
        if not math.isfinite(value := loss.item()):
            raise NumericError(f"the loss 'train/{name}' is {value}")
        optimizer.zero_grad()
        # Lightning's manual_backward, without its calls of hooks that nothing here listens to.
        if torch.distributed.is_initialized():
            self.trainer.strategy.pre_backward(loss)
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        # A sum is finite if all its terms are, and takes half the time of the norm.
        sums = [weight.grad.sum() for weight in weights if weight.grad is not None]
        if not math.isfinite(torch.stack(sums).sum().item()):
            raise NumericError(f"a gradient of the loss 'train/{name}' is not finite")
        optimizer.step()

    @contextmanager
    def constant(self, *networks: nn.Module) -> Iterator[None]:
        """Within, no gradient is computed for the weights of ``networks``; it still flows through them."""
        for network in networks:
            network.requires_grad_(False)
        try:
            yield
        finally:
            for network in networks:
                network.requires_grad_(True)

    def draw(self, sampler: Callable[..., Tensor], num_rows: int, *shape: int) -> Tensor:
        """Random numbers of a training step: this process's rows of what one process alone would draw.

        That is if all processes have equally many rows: in all batches but perhaps the last of an epoch.

        Args:
            sampler: ``torch.rand``, ``torch.randn`` or alike.
            num_rows: items of this process's share of the batch.

        Returns:
            ``(num_rows, *shape)`` on the model's device.
        """
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        return sampler(num_rows * processes, *shape, device=self.device)[rank::processes]

    @property
    def is_due(self) -> bool:
        """Whether ``report`` logs at this step: every ``trainer.log_every_n_steps`` batches and at an epoch's last."""
        trainer: Any = self.trainer  # which gets some of its attributes from elsewhere
        return (trainer.global_step + 1) % trainer.log_every_n_steps == 0 or trainer.is_last_batch

    def report(self, **values: Tensor) -> None:
        """Logs ``train/<name>`` if that is due."""
        if self.is_due:
            self.log_now(**values)

    def log_now(self, **values: Tensor) -> None:
        """Logs ``train/<name>`` at the step in work, of several processes the mean.

        The loggers are called at once, not by Lightning at the end of the step: a checkpoint of this step is written
        before that, so a run killed after it would resume with a gap in its curves.
        """
        trainer = self.trainer
        if trainer.world_size > 1:
            means = trainer.strategy.reduce(
                torch.stack([value.detach().double() for value in values.values()]), reduce_op="mean"
            )
            values = dict(zip(values, means, strict=True))
        named = {f"train/{name}": value.item() for name, value in values.items()}
        self.reported |= named
        for logger in trainer.loggers:
            logger.log_metrics(named | {"epoch": trainer.current_epoch}, trainer.global_step)
