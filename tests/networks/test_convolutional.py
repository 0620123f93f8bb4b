"""Shapes of the convolutional encoder and decoder, for sides that are no power of two."""

import pytest
import torch
from torch import nn

from genlab.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, sides


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 17, 30), (1, 1, 5)])
@pytest.mark.parametrize("outputs_per_pixel", [1, 2])
def test_the_decoder_gives_back_the_shape(shape: tuple[int, int, int], outputs_per_pixel: int) -> None:
    encoder = ConvolutionalEncoder(shape, [4, 8], 5, nn.ReLU)
    decoder = ConvolutionalDecoder(5, [4, 8], shape, nn.ReLU, outputs_per_pixel)
    latent = encoder(torch.randn(2, *shape))
    assert latent.shape == (2, 5)
    assert decoder(latent).shape == (2, outputs_per_pixel * shape[0], *shape[1:])


def test_mnist_is_halved_to_7_and_4() -> None:
    assert sides((1, 28, 28), 3) == [(28, 28), (14, 14), (7, 7), (4, 4)]
