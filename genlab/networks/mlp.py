"""Fully connected networks."""

from itertools import pairwise

from torch import nn


def mlp(*dims: int, activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers from each of ``dims`` to the next, with an activation between them and none after the last.

    Shapes: ``(N, dims[0])`` -> ``(N, dims[-1])``.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(dims):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])
