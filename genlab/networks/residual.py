"""The generator of residual blocks.

Johnson, Alahi & Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016,
arXiv:1603.08155, supplement, as changed by Zhu et al., 2017, arXiv:1703.10593, appendix 7.2.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genlab.networks.patchgan import instance_norm

Upsampling = Literal["transposed", "nearest"]


class ReflectedConv2d(nn.Conv2d):
    """A convolution that keeps the side of its maps: their borders are reflected.

    Shapes: ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``, sides longer than half of the kernel's.

    torch's ``padding_mode="reflect"`` pads in float32 on a CPU that computes in bf16, which takes a tenth of a
    CycleGAN's step.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.margin = [kernel_size // 2] * 4

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            reflected = pad(maps, self.margin, mode="reflect")
        return super().forward(reflected)


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, with reflected borders and instance norm.

    Shapes: ``(N, channels, H, W)`` -> the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ReflectedConv2d(channels, channels, 3),
            instance_norm(channels),
            nn.ReLU(inplace=True),
            ReflectedConv2d(channels, channels, 3),
            instance_norm(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.layers(maps)


class ResidualGenerator(nn.Sequential):
    """Halves the side a few times, changes the maps by residual blocks, and doubles it again.

    Shapes: ``(N, in_channels, H, W)`` in [-1, 1], sides multiples of ``2 ** num_downsamplings`` -> ``(N, out_channels,
    H, W)`` in (-1, 1).

    Args:
        width: channels of the first layer (paper: 64); they double as the side halves.
        num_blocks: residual blocks (paper: 9 for 256x256, 6 for 128x128).
        upsampling: as in ``doubled``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_blocks: int,
        num_downsamplings: int,
        upsampling: Upsampling,
    ) -> None:
        channels = [width * 2**level for level in range(num_downsamplings + 1)]
        layers: list[nn.Module] = [ReflectedConv2d(in_channels, width, 7)]
        layers += [instance_norm(width), nn.ReLU(inplace=True)]
        for narrow in channels[:-1]:
            layers += [nn.Conv2d(narrow, 2 * narrow, 3, stride=2, padding=1)]
            layers += [instance_norm(2 * narrow), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(channels[-1]) for _ in range(num_blocks)]
        for narrow in reversed(channels[:-1]):
            layers += doubled(2 * narrow, narrow, upsampling)
            layers += [instance_norm(narrow), nn.ReLU(inplace=True)]
        layers += [ReflectedConv2d(width, out_channels, 7), nn.Tanh()]
        super().__init__(*layers)


def doubled(in_channels: int, out_channels: int, upsampling: Upsampling) -> list[nn.Module]:
    """Layers that double the side, with equally many weights.

    Args:
        upsampling: ``transposed`` is the papers' convolution, whose places see one, two or four pixels by turns, so
            that at first it draws grains, which it must learn not to. ``nearest`` repeats each pixel and convolves
            after it: Odena et al., "Deconvolution and Checkerboard Artifacts", 2016, doi:10.23915/distill.00003.
    """
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)]
    return [nn.Upsample(scale_factor=2), ReflectedConv2d(in_channels, out_channels, 3)]
