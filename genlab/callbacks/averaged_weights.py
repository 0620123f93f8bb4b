"""Averages of a network's weights over its training, which often draw better than the last weights.

Exponential moving averages of a generator: Karras et al., "Progressive Growing of GANs", ICLR 2018, arXiv:1710.10196,
appendix A.1; Yazıcı et al., "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019, arXiv:1806.04498.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import pytorch_lightning as pl
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genlab.errors import UsageError

Weights = Mapping[str, Mapping[str, Tensor]]
"""The state of each network, by the network's name."""

Tensors = tuple[Tensor, ...] | list[Tensor]


class AveragedWeights(pl.Callback):
    """Keeps averages of networks, updated after each batch: decay · average + (1 - decay) · weights.

    The first batch gives the first average. After n batches the decay is at most (1 + n) / (10 + n), as TensorFlow's
    moving averages have it: in a short training the first weights, which have learned nothing, would else weigh much.
    Buffers are averaged too: the running statistics of batch norm belong to the weights. The training itself is the
    same as without, to the bit; the averages are part of each checkpoint.

    Args:
        networks: attributes of the model, as ``generator``.
        decay: in [0, 1); 0.999 averages about the last 1,000 batches, once 9,000 are done.
    """

    def __init__(
        self,
        networks: Annotated[list[str], Field(min_length=1)],
        decay: Annotated[float, Field(ge=0, lt=1)],
    ) -> None:
        self.networks = networks
        self.decay = decay
        self.averages: dict[str, AveragedModel] = {}

    def check_model(self, model: nn.Module) -> None:
        """Whether the model has the networks.

        Raises:
            UsageError: it has not; says which it has.
        """
        has = [name for name, _ in model.named_children()]
        for name in self.networks:
            if name not in has:
                raise UsageError(
                    f"callbacks.averaged_weights.networks={self.networks}: {type(model).__name__} has no network "
                    f"'{name}'\nit has: {', '.join(has) or 'none'}"
                )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begins with copies."""
        self.check_model(pl_module)

        def average(averages: Tensors, weights: Tensors, num_batches: Tensor | int) -> None:
            decay = min(self.decay, (1 + int(num_batches)) / (10 + int(num_batches)))
            get_ema_multi_avg_fn(decay)(averages, weights, num_batches)

        self.averages = {
            name: AveragedModel(pl_module.get_submodule(name), multi_avg_fn=average, use_buffers=True)
            for name in self.networks
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for average in self.averages.values():
            average.to(pl_module.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for name, average in self.averages.items():
            average.update_parameters(pl_module.get_submodule(name))

    @property
    def weights(self) -> Weights:
        return {name: average.module.state_dict() for name, average in self.averages.items()}

    def state_dict(self) -> dict[str, Any]:
        return {name: average.state_dict() for name, average in self.averages.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with the averages that the checkpoint has; of a network that was added, they begin anew."""
        for name, average in self.averages.items():
            if name in state_dict:
                average.load_state_dict(state_dict[name])


def kept_by(trainer: Any) -> Weights:
    """The averages in a training; none without the callback."""
    found = (callback for callback in trainer.callbacks if isinstance(callback, AveragedWeights))
    return next((callback.weights for callback in found), {})


def saved_in(checkpoint: Mapping[str, Any]) -> Weights:
    """The averages in a checkpoint; none if its training kept none."""
    averages = checkpoint.get("callbacks", {}).get(AveragedWeights.__name__, {})
    return {
        name: {key.removeprefix("module."): tensor for key, tensor in state.items() if key != "n_averaged"}
        for name, state in averages.items()
    }


def exchange(model: nn.Module, weights: Weights) -> Weights:
    """Puts weights into networks of the model; returns those that were in these."""
    before = {}
    for name, state in weights.items():
        network = model.get_submodule(name)
        before[name] = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        network.load_state_dict(state)
    return before


@contextmanager
def exchanged(model: nn.Module, weights: Weights) -> Iterator[None]:
    """Within, networks of the model have these weights; after it their own again, to the bit."""
    before = exchange(model, weights)
    try:
        yield
    finally:
        exchange(model, before)
