"""The one base class of all models, and what a command may ask of a model."""

import math
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from genlab.errors import NumericError

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
"""What an ``optimizer`` YAML becomes: called once for each network or group of networks that take turns."""


class GenerativeModel(pl.LightningModule):
    """A model whose training step writes out its paper's updates with ``descend`` and ``report``.

    Optimization is manual for every model, so that networks that take turns and those that do not read the same.
    """

    batch_type: ClassVar[Any]
    """The NamedTuple of ``datasets.batches`` that the model eats, or a union of them."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def descend(self, optimizer: Optimizer, loss: Tensor, name: str) -> None:
        """One step of ``optimizer`` down the gradient of ``loss``.

        Args:
            loss: scalar, the mean over the batch.
            name: the loss term as it is logged, ``train/<name>``; an error names it.

        Raises:
            NumericError: the loss is not finite; the weights are left as they were.
        """
        if not math.isfinite(value := loss.item()):
            raise NumericError(f"the loss 'train/{name}' is {value}")
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    @contextmanager
    def only(self, network: nn.Module, *others: nn.Module):  # type: ignore[no-untyped-def]
        """Within, the ``others`` are constants: no gradient is computed for their weights."""
        for other in others:
            other.requires_grad_(False)
        try:
            yield network
        finally:
            for other in others:
                other.requires_grad_(True)

    def report(self, **values: Tensor) -> None:
        """Logs ``train/<name>`` every ``trainer.log_every_n_steps`` batches and nothing in between.

        One logged key costs about a tenth of a small model's step, so nothing is done on the other batches.
        """
        trainer = self.trainer
        if (trainer.fit_loop.total_batch_idx + 1) % trainer.log_every_n_steps == 0:
            self.log_dict({f"train/{name}": value for name, value in values.items()}, prog_bar=True)


@runtime_checkable
class Samples(Protocol):
    """Draws new data."""

    def sample(self, num_samples: int, condition: Tensor | None, generator: torch.Generator | None) -> Tensor: ...


@runtime_checkable
class Reconstructs(Protocol):
    """Maps images to latents and back."""

    def encode(self, images: Tensor) -> Tensor: ...

    def decode(self, latent: Tensor) -> Tensor: ...
