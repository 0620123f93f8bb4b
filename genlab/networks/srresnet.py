"""The generator and the discriminator of SRGAN.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", CVPR 2017,
arXiv:1609.04802, figure 4.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

Skip = Literal["none", "bicubic"]
"""What the generator's output is added to: nothing, or the enlarged image, from which it then only has to differ."""


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation, ``(N, C, H, W)`` -> ``(N, C, scale · H, scale · W)``; it may leave [-1, 1]."""
    return interpolate(images, scale_factor=scale, mode="bicubic", antialias=True)


def reduced(images: Tensor, scale: int) -> Tensor:
    """The same the other way, without aliasing, in [-1, 1]; rows and columns that make no whole pixel are left out."""
    height, width = (side // scale for side in images.shape[2:])
    whole = images[:, :, : height * scale, : width * scale]
    return interpolate(whole, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)


def norm(channels: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if batch_norm else []


class ResidualBlock(nn.Module):
    """Convolution, batch norm, PReLU, convolution, batch norm, and the input added.

    Shapes: ``(N, width, H, W)`` -> the same.
    """

    def __init__(self, width: int, batch_norm: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            *norm(width, batch_norm),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            *norm(width, batch_norm),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.layers(maps)


class Generator(nn.Module):
    """Residual blocks at the low resolution, then a convolution and a rearrangement of pixels for each doubling.

    All convolutions have biases, and each PReLU one slope: 1,549,462 weights with 16 blocks of 64 channels, 4 times.

    Shapes: ``(N, channels, H, W)`` in [-1, 1] -> ``(N, channels, scale · H, scale · W)``, which may leave it a little.

    Args:
        channels: of the images, 1 or 3.
        scale: 2 or 4 (paper: 4).
        width: channels of all maps (paper: 64).
        num_blocks: paper: 16.
        batch_norm: paper: True.
        skip: paper: none.
    """

    def __init__(self, channels: int, scale: int, width: int, num_blocks: int, batch_norm: bool, skip: Skip) -> None:
        super().__init__()
        self.scale, self.skip = scale, skip
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(width, batch_norm) for _ in range(num_blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            *norm(width, batch_norm),
        )
        upward: list[nn.Module] = []
        for _ in range({2: 1, 4: 2}[scale]):
            upward += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.last = nn.Sequential(*upward, nn.Conv2d(width, channels, 9, padding=4))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        made = self.last(maps + self.body(maps))
        return made if self.skip == "none" else made.float() + enlarged(images, self.scale)


class Discriminator(nn.Sequential):
    """Eight convolutions, every second one halving the side, then a hidden layer of ``16 · width`` units.

    23,565,505 weights with a width of 64 and images of 96x96. Batch norm keeps no running averages, which would be of
    real and generated images together.

    Shapes: ``(N, *image_shape)`` in [-1, 1] -> logits ``(N,)``, large for real images.

    Args:
        width: channels of the first two layers (paper: 64).
    """

    def __init__(self, width: int, image_shape: tuple[int, int, int]) -> None:
        inputs, height, side = image_shape
        layers: list[nn.Module] = []
        for number, outputs in enumerate(width * 2**level for level in (0, 0, 1, 1, 2, 2, 3, 3)):
            stride = 1 + number % 2
            layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1)]
            layers += [nn.BatchNorm2d(outputs, track_running_stats=False)] if number else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            inputs, height, side = outputs, -(-height // stride), -(-side // stride)
        hidden = [nn.Linear(inputs * height * side, 16 * width), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Flatten(), *hidden, nn.Linear(16 * width, 1), nn.Flatten(0))
