"""Convolutional encoders and decoders that halve and double the sides of an image at each layer."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


def sides(image_shape: tuple[int, int, int], num_halvings: int) -> list[tuple[int, int]]:
    """Height and width before the first, and after each halving, rounded up."""
    _, height, width = image_shape
    return [(math.ceil(height / 2**n), math.ceil(width / 2**n)) for n in range(num_halvings + 1)]


class ConvolutionalEncoder(nn.Module):
    """Convolutions of stride 2, then a linear layer.

    Shapes: ``(N, C, H, W)`` -> ``(N, output_dim)``.

    Args:
        image_shape: ``(C, H, W)``, of any sides.
        channels: outputs of each convolution.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], channels: Sequence[int], output_dim: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((image_shape[0], *channels)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), activation()]
        self.convolutions = nn.Sequential(*layers)
        height, width = sides(image_shape, len(channels))[-1]
        self.output = nn.Linear(channels[-1] * height * width, output_dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.convolutions(images).flatten(1))


class ConvolutionalDecoder(nn.Module):
    """The mirror of the encoder: a linear layer, then transposed convolutions of stride 2.

    Shapes: ``(N, latent_dim)`` -> ``(N, C · outputs_per_pixel, H, W)``.

    Args:
        channels: as the encoder has them, in its order.
        outputs_per_pixel: numbers for each channel of a pixel, such as a mean and a scale.
    """

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        image_shape: tuple[int, int, int],
        activation: type[nn.Module],
        outputs_per_pixel: int = 1,
    ) -> None:
        super().__init__()
        steps = sides(image_shape, len(channels))[::-1]
        self.first_shape = (channels[-1], *steps[0])
        self.input = nn.Linear(latent_dim, math.prod(self.first_shape))
        layers: list[nn.Module] = []
        widths = (*channels[::-1], image_shape[0] * outputs_per_pixel)
        for (inputs, outputs), (before, after) in zip(pairwise(widths), pairwise(steps), strict=True):
            extra = (after[0] - 2 * before[0] + 1, after[1] - 2 * before[1] + 1)
            layers += [activation(), nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=extra)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        return self.convolutions(self.input(latent).unflatten(1, self.first_shape))
