"""The generator and the discriminator that most adversarial losses are compared with: those of DCGAN.

Radford, Metz & Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016, arXiv:1511.06434. Items that are points have perceptrons instead.
"""

from itertools import pairwise

from torch import nn

from genlab.networks.mlp import mlp


def num_doublings(image_shape: tuple[int, ...]) -> int:
    """How often the generator doubles its first map, of side 4 to 7, to reach the image (figure 1: 4 times from 4).

    Raises:
        ValueError: the image is not square, or of a side that is not reached.
    """
    _, height, side = image_shape
    doublings = 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if height != image_shape[2] or not 4 <= side <= 7 or doublings == 0:
        raise ValueError(
            f"image_shape={list(image_shape)}: expected a square whose side is 4, 5, 6 or 7 times a power of 2 and at "
            "least 8, as 28, 32, 48 or 64"
        )
    return doublings


class Generator(nn.Sequential):
    """Doubles the side and halves the channels with each strided transposed convolution (section 3, figure 1).

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, channels[0], image_shape[1] >> doublings, bias=False),
        ]
        for wide, narrow in zip(channels, [*channels[1:], image_shape[0]], strict=True):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)]
        super().__init__(*layers, nn.Tanh())


class Discriminator(nn.Sequential):
    """The generator in reverse: strided convolutions instead of pooling, LeakyReLU, batch norm but at the input.

    Batch norm keeps no running averages: they would be of real and generated images together, and no batch is like
    that. It normalizes by the batch in evaluation, too, so scores of held-out images compare with those of training, if
    their batches are as mixed.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``, large for real images; ``(N, outputs)`` of more outputs.

    Args:
        batch_norm: False for losses that need a score to depend on its own image alone; convolutions have biases then.
        outputs: numbers for each image.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...], batch_norm: bool = True, outputs: int = 1) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in range(doublings)]
        layers: list[nn.Module] = [
            nn.Conv2d(image_shape[0], width, 4, stride=2, padding=1, bias=not batch_norm),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=not batch_norm)]
            layers += [nn.BatchNorm2d(wide, track_running_stats=False)] if batch_norm else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        last = nn.Conv2d(channels[-1], outputs, image_shape[1] >> doublings, bias=not batch_norm)
        super().__init__(*layers, last, nn.Flatten(0 if outputs == 1 else 1))


def initialize(module: nn.Module) -> None:
    """Weights from N(0, 0.02) (section 4) and, as in the authors' code, gains of batch norm from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def generator_of(data_shape: tuple[int, ...], latent_dim: int, width: int) -> nn.Sequential:
    """DCGAN's for images; for points ``(D,)`` a perceptron with two hidden layers of ``width`` units."""
    if len(data_shape) == 1:
        return mlp(latent_dim, width, width, *data_shape, activation=nn.ReLU)
    return Generator(latent_dim, width, data_shape).apply(initialize)


def discriminator_of(data_shape: tuple[int, ...], width: int, batch_norm: bool) -> nn.Sequential:
    """What judges the work of ``generator_of``: ``(N, *data_shape)`` -> logits ``(N,)``; points have no batch norm."""
    if len(data_shape) == 1:
        return nn.Sequential(*mlp(*data_shape, width, width, 1, activation=nn.ReLU), nn.Flatten(0))
    return Discriminator(width, data_shape, batch_norm).apply(initialize)
