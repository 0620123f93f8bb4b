"""The networks of autoencoders: shapes, mirror, initial weights."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from genlab.networks.mirrored import mirrored_networks


@pytest.mark.parametrize(("network", "hidden_dims"), [("mlp", []), ("mlp", [9, 7]), ("convolutional", [4, 6])])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 30)])
def test_shapes(shape: tuple[int, int, int], network: Any, hidden_dims: list[int]) -> None:
    encoder, decoder = mirrored_networks(shape, 5, network, hidden_dims, "linear")
    latent = encoder(torch.rand(2, *shape))
    assert latent.shape == (2, 5)
    assert decoder(latent).shape == (2, *shape)


def test_the_decoder_mirrors_the_encoder() -> None:
    encoder, decoder = mirrored_networks((1, 28, 28), 30, "mlp", [1000, 500, 250], "linear")
    there = [weight.shape for weight in encoder.parameters() if weight.ndim == 2]
    back = [weight.shape for weight in decoder.parameters() if weight.ndim == 2]
    assert there == [(1000, 784), (500, 1000), (250, 500), (30, 250)]
    assert back == [shape[::-1] for shape in there[::-1]]


def test_initial_weights_keep_the_size_of_activations() -> None:
    torch.manual_seed(0)
    encoder, decoder = mirrored_networks((1, 28, 28), 300, "mlp", [], "relu")
    for network, inputs in ((encoder, 784), (decoder, 300)):
        [linear] = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / inputs), rel=0.01)
        assert linear.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert linear.bias is not None
        assert not linear.bias.any()


@pytest.mark.parametrize(("activation", "low", "high"), [("relu", 0, math.inf), ("sigmoid", 0, 1)])
def test_the_range_of_latents(activation: Any, low: float, high: float) -> None:
    encoder, _ = mirrored_networks((1, 8, 8), 50, "mlp", [20], activation)
    latent = encoder(torch.randn(20, 1, 8, 8))
    assert latent.min() >= low
    assert latent.max() <= high


def test_a_convolutional_network_needs_a_convolution() -> None:
    with pytest.raises(ValueError, match="at least one convolution"):
        mirrored_networks((1, 8, 8), 2, "convolutional", [], "linear")
