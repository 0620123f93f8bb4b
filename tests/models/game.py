"""One training step of an adversarial model without a trainer, and what the tests of several of them look at."""

from typing import Any

import torch
from torch import nn


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def sgd(weights: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=lr)


def without_trainer(model: Any, step: int = 0) -> Any:
    """The model, able to take the training step after ``step`` others alone."""
    optimizers = model.configure_optimizers()
    model.optimizers = lambda use_pl_optimizer=False: optimizers
    model.draw = lambda sampler, *shape: sampler(*shape)
    model.said = {}
    model.report = model.said.update
    type(model).global_step = property(lambda self: step)
    return model


def turns_of(model: Any, batch: Any) -> list[str]:
    """Which networks take a step with a batch, in order; asserts that each moves alone.

    Networks are named as their losses are.
    """
    turns: list[str] = []
    descend = model.descend
    networks = {name: getattr(model, name) for name, _ in model.named_children()}

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        before = {other: weights(network) for other, network in networks.items()}
        for parameter in model.parameters():
            parameter.grad = None
        descend(optimizer, loss, name)
        turns.append(name)
        for other, network in networks.items():
            now = weights(network)
            if other == name:
                assert any(not torch.equal(before[other][key], now[key]) for key in now)
                assert all(parameter.grad is not None for parameter in network.parameters())
            else:
                assert all(torch.equal(before[other][key], now[key]) for key in now)
                # Nothing is computed that this network would have to throw away.
                assert all(parameter.grad is None for parameter in network.parameters())

    model.descend = spy
    model.training_step(batch, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    return turns


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}
