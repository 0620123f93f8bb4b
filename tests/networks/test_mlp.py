"""Layers and their order."""

import torch
from torch import nn

from genlab.networks.mlp import mlp


def test_an_activation_between_layers_and_none_after_the_last() -> None:
    network = mlp(4, 3, 2, activation=nn.Tanh)
    assert [type(layer) for layer in network] == [nn.Linear, nn.Tanh, nn.Linear]
    assert [weight.shape for weight in network.parameters()] == [(3, 4), (3,), (2, 3), (2,)]


def test_one_layer_is_linear() -> None:
    network = mlp(4, 2, activation=nn.ReLU)
    a, b = torch.randn(2, 5, 4)
    torch.testing.assert_close(network(a + b) + network(torch.zeros(5, 4)), network(a) + network(b))
