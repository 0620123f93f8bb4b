"""PixelCNN++'s two streams computed once: ``u`` a row at a time, ``ul`` a pixel at a time.

Ramachandran et al., "Fast Generation for Convolutional Autoregressive Models", 2017, arXiv:1704.06001.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.networks.shifted import PixelCache, RowCache, concat_elu
from genlab.networks.two_streams import GatedBlock, Scale, TwoStreams, right, with_ones


class RowBlock:
    """A block of ``u``, a row at a time: ``(N, width, 1, W)`` -> the same."""

    def __init__(self, block: GatedBlock, labels: Tensor | None) -> None:
        self.convolve, self.gate = RowCache(block.convolve), RowCache(block.gate)
        self.shortcut = None if block.shortcut is None else (block.shortcut.weight, block.shortcut.bias)
        self.of_class = 0.0 if block.of_class is None else block.of_class(labels)[:, :, None, None]

    def __call__(self, row: Tensor, shortcut: Tensor | None = None) -> Tensor:
        hidden = self.convolve(concat_elu(row))
        if shortcut is not None and self.shortcut is not None:
            hidden = hidden + functional.conv2d(concat_elu(shortcut), *self.shortcut)
        hidden = self.gate(concat_elu(hidden)) + self.of_class
        return row + functional.glu(hidden, dim=1)


class PixelBlock:
    """A block of ``ul``, a pixel at a time: ``(N, width)`` -> the same. Its shortcut from ``u`` comes a row at a time.

    Args:
        num_images, width: N and W.
    """

    def __init__(self, block: GatedBlock, num_images: int, width: int, labels: Tensor | None) -> None:
        assert block.shortcut is not None
        channels = block.convolve.out_channels
        # The inputs of a shortcut are the features of u, then of ul, then the negatives of both.
        from_u, *from_ul = block.shortcut.weight.view(channels, 2, -1, channels).unbind(2)
        self.from_u = from_u.flatten(1)[..., None, None]
        shortcut = from_ul[0].flatten(1) if from_ul else None
        of_class = None if block.of_class is None else block.of_class(labels)
        self.convolve = PixelCache(block.convolve, num_images, width, shortcut)
        self.gate = PixelCache(block.gate, num_images, width, constant=of_class)
        self.bias = block.shortcut.bias

    def start_row(self, u: Tensor) -> None:
        """Takes the row of ``u``'s features, ``(N, width, 1, W)``."""
        from_u = functional.conv2d(concat_elu(u), self.from_u, self.bias)
        self.convolve.start_row(from_u[:, :, 0].transpose(1, 2))
        self.gate.start_row()

    def __call__(self, pixel: Tensor, active: Tensor, *shortcut: Tensor) -> Tensor:
        """Takes a pixel before and after its concatenated ELU, and the shortcut from ``ul`` after its own."""
        hidden = self.gate(pixel_concat_elu(self.convolve(active, *shortcut)))
        return pixel + functional.glu(hidden, dim=1)


def pixel_concat_elu(pixel: Tensor) -> Tensor:
    """``concat_elu`` of ``(N, C)``."""
    return functional.elu_(torch.cat([pixel, -pixel], dim=1))


class CachedScale:
    """A scale of which each row of ``u`` and each pixel of ``ul`` is computed once, in raster order.

    Args:
        num_images, width: N, and W at this scale.
    """

    def __init__(self, scale: Scale, num_images: int, width: int, labels: Tensor | None) -> None:
        lists: tuple[Any, ...] = (scale.u_up, scale.u_down, scale.ul_up, scale.ul_down)  # of blocks, not any modules
        u_up, u_down, ul_up, ul_down = lists
        self.u_up, self.u_down = ([RowBlock(block, labels) for block in blocks] for blocks in (u_up, u_down))
        self.ul_up, self.ul_down = (
            [PixelBlock(block, num_images, width, labels) for block in blocks] for blocks in (ul_up, ul_down)
        )
        self.width = width
        self.inner: CachedScale | None = None
        if scale.inner is not None:
            self.u_halve, self.ul_halve = RowCache(scale.u_halve), PixelCache(scale.ul_halve, num_images, width)
            self.inner = CachedScale(scale.inner, num_images, (width + 1) // 2, labels)
            self.u_double = scale.u_double
            self.ul_double = DoublePixel(scale.ul_double)

    def start_row(self, u: Tensor, row: int) -> Tensor:
        """Takes a row of ``u``, ``(N, width, 1, W)``; gives what the scale makes of it; ``ul`` gets what it needs."""
        us = [u]
        for u_block, ul_block in zip(self.u_up, self.ul_up, strict=True):
            us.append(u_block(us[-1]))
            ul_block.start_row(us[-1])
        if self.inner is None:
            u = us.pop()
        else:
            self.ul_halve.start_row()
            if row % 2 == 0:
                self.u_doubled = self.u_double(self.inner.start_row(self.u_halve(us[-1]), row // 2))
                self.ul_doubled: list[Tensor] = []
            else:
                self.u_halve.write(us[-1])
            u = self.u_doubled[:, :, row % 2 : row % 2 + 1, : self.width]
        for u_block, ul_block in zip(self.u_down, self.ul_down, strict=True):
            u = u_block(u, us.pop())
            ul_block.start_row(u)
        return u

    def pixel(self, ul: Tensor, row: int, column: int) -> Tensor:
        """Takes a pixel of ``ul``, ``(N, width)``; gives what the scale makes of it."""
        active = [pixel_concat_elu(ul)]
        for block in self.ul_up:
            ul = block(ul, active[-1])
            active.append(pixel_concat_elu(ul))
        if self.inner is None:
            active.pop()
        else:
            if row % 2 == 0 and column % 2 == 0:
                inner = self.inner.pixel(self.ul_halve(ul), row // 2, column // 2)
                self.ul_doubled.append(self.ul_double(inner))
            else:
                self.ul_halve.write(ul)
            ul = self.ul_doubled[column // 2][:, row % 2, column % 2]
        for block in self.ul_down:
            ul = block(ul, pixel_concat_elu(ul), active.pop())
        return ul


class DoublePixel:
    """The transposed convolution of 2x2, a pixel at a time: ``(N, width)`` -> ``(N, 2, 2, width)``."""

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        assert layer.bias is not None
        self.weight = layer.weight.permute(0, 2, 3, 1).flatten(1)
        self.bias = layer.bias.repeat(4)

    def __call__(self, pixel: Tensor) -> Tensor:
        return torch.addmm(self.bias, pixel, self.weight).unflatten(1, (2, 2, -1))


class CachedTwoStreams:
    """The network a pixel at a time, in raster order.

    Args:
        network: its weights must not change in the meantime.
        images: ``(N, num_colours, H, W)``, of which no pixel is read before its turn is over.
    """

    def __init__(self, network: TwoStreams, images: Tensor, labels: Tensor | None) -> None:
        self.network = network
        self.images = images
        self.scale = CachedScale(network.scale, len(images), images.shape[3], labels)
        self.u_first = RowCache(network.u_first)
        self.weight_left = network.ul_first_left.weight[:, :-1, 1, 0].T.contiguous()  # without the channel of ones
        assert network.output.bias is not None
        self.output = network.output.bias, network.output.weight.flatten(1).T.contiguous()

    def start_row(self, row: int) -> None:
        """All rows above are complete."""
        in_work = with_ones(torch.zeros_like(self.images[:, :, :1]))
        if row == 0:
            above = torch.zeros_like(in_work)
            u = from_above = self.weight_left.new_zeros(len(above), self.weight_left.shape[1], 1, above.shape[3])
        else:
            above = with_ones(self.images[:, :, row - 1 : row])
            layer = self.network.ul_first_above
            u, from_above = self.u_first(above), layer(functional.pad(above, layer.margin))
        # The image in the row in work is added pixel by pixel.
        from_left = right(self.network.ul_first_left(torch.cat([above, in_work], dim=2)))
        self.ul = (from_above + from_left)[:, :, 0].transpose(1, 2)
        self.scale.start_row(u, row)

    def pixel(self, row: int, column: int) -> Tensor:
        """The parameters of a pixel of the row in work, ``(N, P)``."""
        ul = self.ul[:, column]
        if column > 0:
            ul = torch.addmm(ul, self.images[:, :, row, column - 1], self.weight_left)
        bias, weight = self.output
        return torch.addmm(bias, functional.elu(self.scale.pixel(ul, row, column)), weight)
