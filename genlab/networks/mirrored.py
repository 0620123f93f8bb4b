"""The two networks of an autoencoder: an encoder, and a decoder that mirrors it."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import nn

from genlab.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from genlab.networks.mlp import mlp

LatentActivation = Literal["linear", "relu", "sigmoid"]


def mirrored_networks(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    network: Literal["mlp", "convolutional"],
    hidden_dims: Sequence[int],
    latent_activation: LatentActivation,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder with ReLU between their layers.

    Weights are drawn from N(0, 2 / fan-in), where torch counts the fan-in of a transposed convolution by its output
    channels; biases are 0: He et al., "Delving Deep into Rectifiers", 2015,
    arXiv:1502.01852, equation 10.

    Shapes:
        encoder: ``(N, C, H, W)`` -> ``(N, latent_dim)``.
        decoder: ``(N, latent_dim)`` -> logits ``(N, C, H, W)``.

    Args:
        hidden_dims: units of each hidden layer of the encoder, or channels of each of its convolutions.
        latent_activation: of the encoder's output.

    Raises:
        ValueError: ``convolutional`` without a convolution.
    """
    encoder: nn.Module
    decoder: nn.Module
    if network == "mlp":
        num_pixels = math.prod(image_shape)
        encoder = nn.Sequential(nn.Flatten(), *mlp(num_pixels, *hidden_dims, latent_dim, activation=nn.ReLU))
        pixels = mlp(latent_dim, *reversed(hidden_dims), num_pixels, activation=nn.ReLU)
        decoder = nn.Sequential(*pixels, nn.Unflatten(1, image_shape))
    elif hidden_dims:
        encoder = ConvolutionalEncoder(image_shape, hidden_dims, latent_dim, nn.ReLU)
        decoder = ConvolutionalDecoder(latent_dim, hidden_dims, image_shape, nn.ReLU)
    else:
        raise ValueError("hidden_dims=[] with network=convolutional: give the channels of at least one convolution")
    for layer in (*encoder.modules(), *decoder.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    activation = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}[latent_activation]
    return nn.Sequential(encoder, activation()), decoder
