"""Models that take a training step without a trainer."""

from typing import Any, TypeVar

import torch
from torch import nn

from genlab.models.base import GenerativeModel

Model = TypeVar("Model", bound=GenerativeModel)


def alone(model: Model) -> tuple[Model, dict[str, float]]:
    """The model, able to take a training step alone, and what it reports of its last one."""
    optimizers: Any = model.configure_optimizers()
    reported: dict[str, float] = {}
    model.optimizers = lambda use_pl_optimizer=False: optimizers  # type: ignore[method-assign]
    model.draw = lambda sampler, *shape: sampler(*shape)  # type: ignore[method-assign]
    model.report = lambda **values: reported.update({name: value.item() for name, value in values.items()})  # type: ignore[method-assign]
    return model, reported


def sgd(weights: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=lr)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def changed(network: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())
