"""The U-Net of pix2pix.

Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
arXiv:1611.07004, section 3.2.1 and appendix 6.1.1; Ronneberger et al., 2015, arXiv:1505.04597.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.networks.patchgan import Norm, norms
from genlab.randomness import own_generators

Uniform = Callable[..., Tensor]
"""Draws ``(num_rows, *shape)`` numbers, uniform in [0, 1): what dropout does is then up to who calls."""

DROPPED = 0.5


class UNet(nn.Module):
    """Halves the side ``depth`` times and doubles it again, each map beside that of the same side on the way down.

    Dropout in the first three layers on the way up, fewer if not so many are as wide as they get, is the only noise, in
    use at test time, too (section 3.1).

    Shapes: ``(N, in_channels, H, W)`` in [-1, 1], sides multiples of ``2 ** depth`` -> ``(N, out_channels, H, W)`` in
    (-1, 1).

    Args:
        width: channels of the first layer (paper: 64); they double as the side halves, up to eight times as many.
        depth: layers down (paper: 8, for 256x256).
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int, norm: Norm) -> None:
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(depth)]
        bias = norm != "batch"
        self.down = nn.ModuleList([nn.Conv2d(in_channels, width, 4, 2, 1, bias=bias)])
        for level, (narrow, wide) in enumerate(pairwise(channels), start=1):
            # One value a channel cannot be normalized: it would be 0.
            normed = norms(norm, wide) if level < depth - 1 else []
            self.down.append(nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(narrow, wide, 4, 2, 1, bias=bias), *normed))
        self.up = nn.ModuleList()
        for level in reversed(range(1, depth)):
            wide = channels[level] * (1 if level == depth - 1 else 2)
            convolution = nn.ConvTranspose2d(wide, channels[level - 1], 4, 2, 1, bias=bias)
            self.up.append(nn.Sequential(nn.ReLU(), convolution, *norms(norm, channels[level - 1])))
        self.up.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1), nn.Tanh()))
        self.num_dropped = min(3, max(0, depth - 4))  # of the layers with the most channels

    def forward(self, images: Tensor, uniform: Uniform) -> Tensor:
        skips: list[Tensor] = []
        for layer in self.down:
            skips.append(layer(skips[-1] if skips else images))
        maps = skips.pop()
        for place, layer in enumerate(self.up):
            maps = layer(maps)
            if place < self.num_dropped:
                kept = uniform(len(maps), *maps.shape[1:]).to(maps.device) >= DROPPED
                maps = maps * kept / (1 - DROPPED)
            if skips:
                maps = torch.cat([skips.pop(), maps], dim=1)
        return maps


def of_each(generators: Sequence[torch.Generator]) -> Uniform:
    """Draws each row by its own generator, so that no image's dropout depends on the batch it is in."""

    def uniform(num_rows: int, *shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=generator) for generator in generators])

    return uniform


def noise_of(num_images: int, generator: torch.Generator | None) -> list[torch.Generator]:
    """A generator for each image; without one to seed them, the same for all."""
    if generator is None:
        return [torch.Generator().manual_seed(0) for _ in range(num_images)]
    return own_generators(num_images, generator)
