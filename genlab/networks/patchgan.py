"""The discriminator of patches.

Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
arXiv:1611.07004, section 3.2.2 and appendix 6.1.2.
"""

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

Norm = Literal["batch", "instance", "none"]


def norms(norm: Norm, channels: int) -> list[nn.Module]:
    """The layer that normalizes, if any.

    Batch norm keeps no running averages: by the paper it normalizes by the batch at test time, too (section 3.3).
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels, track_running_stats=False)]
    return [instance_norm(channels)] if norm == "instance" else []


def instance_norm(channels: int) -> nn.GroupNorm:
    """Every channel of every image brought to mean 0 and variance 1, without weights.

    As groups of one channel it takes a third of the time of ``nn.InstanceNorm2d``, which copies its input, on maps that
    lie channel after channel; so networks with it are left in that memory format.
    """
    return nn.GroupNorm(channels, channels, affine=False)


class PatchGAN(nn.Module):
    """Scores every patch by convolutions alone: with three layers, patches of 70x70 pixels.

    Shapes: ``(N, in_channels, H, W)`` in [-1, 1] -> scores ``(N, 1, ·, ·)``, large where real.

    Args:
        width: channels of the first layer (paper: 64).
        num_layers: that halve the side (paper: 3).
        padding: of every convolution (pix2pixHD: 2).
    """

    def __init__(self, in_channels: int, width: int, num_layers: int, norm: Norm, padding: int = 1) -> None:
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(num_layers + 1)]
        first = nn.Sequential(nn.Conv2d(in_channels, width, 4, 2, padding), nn.LeakyReLU(0.2, inplace=True))
        layers: list[nn.Module] = [first]
        for level, (narrow, wide) in enumerate(pairwise(channels), start=1):
            stride = 2 if level < num_layers else 1
            convolution = nn.Conv2d(narrow, wide, 4, stride, padding, bias=norm != "batch")
            layers.append(nn.Sequential(convolution, *norms(norm, wide), nn.LeakyReLU(0.2, inplace=True)))
        layers.append(nn.Conv2d(channels[-1], 1, 4, 1, padding))
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)[-1]

    def features(self, images: Tensor) -> list[Tensor]:
        """What each layer gives; the last are the scores."""
        found = [images]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found[1:]
