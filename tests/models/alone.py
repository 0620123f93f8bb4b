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
    stubbed: Any = model
    stubbed.optimizers = lambda use_pl_optimizer=False: optimizers
    stubbed.draw = lambda sampler, *shape: sampler(*shape)
    stubbed.report = lambda **values: reported.update({name: value.item() for name, value in values.items()})
    return model, reported


def sgd(weights: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=lr)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def changed(network: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())
