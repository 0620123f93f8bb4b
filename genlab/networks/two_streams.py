"""PixelCNN++'s two streams of features, at three scales: one of the rows above a pixel, one of all that is before it.

Salimans, Karpathy, Chen & Kingma, "PixelCNN++", ICLR 2017, arXiv:1701.05517, sections 2.3 to 2.5 and figure 2. The
streams are called ``u``, up, and ``ul``, up and left, as in the authors' code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.networks.shifted import ByteDropout, ShiftedConv2d, concat_elu, normalize_weights

U, UL = (2, 3), (2, 2)
"""Kernels of the streams."""

NUM_SCALES = 3


class GatedBlock(nn.Module):
    """Two convolutions after concatenated ELUs, and a gate on what they add to their input.

    Args:
        kernel_size: of both convolutions.
        num_shortcuts: further features whose convolution of 1x1 is added between the two.
        dropout: before the second.
        num_classes: each adds to the input of the gate; 0: none.

    Shapes:
        features, each shortcut: ``(N, width, H, W)`` -> the same.
        labels: ``(N,)`` int64.
    """

    def __init__(
        self, width: int, kernel_size: tuple[int, int], num_shortcuts: int, dropout: float, num_classes: int
    ) -> None:
        super().__init__()
        self.convolve = ShiftedConv2d(2 * width, width, kernel_size)
        self.shortcut = nn.Conv2d(2 * num_shortcuts * width, width, 1) if num_shortcuts else None
        self.dropout = ByteDropout(dropout)
        self.gate = ShiftedConv2d(2 * width, 2 * width, kernel_size, first_scale=0.1)
        self.of_class = nn.Embedding(num_classes, 2 * width) if num_classes else None
        if self.of_class is not None:
            nn.init.normal_(self.of_class.weight, std=0.05)

    def forward(self, features: Tensor, shortcuts: list[Tensor], labels: Tensor | None) -> Tensor:
        hidden = self.convolve(concat_elu(features, self.convolve.margin))
        if self.shortcut is not None:
            hidden = hidden + self.shortcut(concat_elu(torch.cat(shortcuts, dim=1)))
        hidden = self.gate(self.dropout(concat_elu(hidden, self.gate.margin)))
        if self.of_class is not None:
            hidden = hidden + self.of_class(labels)[:, :, None, None]
        content, openness = hidden.chunk(2, 1)
        return features + content * openness.to(features.dtype).sigmoid()  # of bf16 it takes longer


class Scale(nn.Module):
    """All that happens at one height and width: a way up, the next scale at half of both, a way down with shortcuts.

    On the way up each block of ``ul`` takes that of ``u`` as a shortcut. On the way down each block takes the newest
    features of its stream from the way up that no block has taken yet, and a block of ``ul`` that of ``u``, too.

    Args:
        num_inner: smaller scales within this one.

    Shapes:
        u, ul: ``(N, width, H, W)`` -> the same.
    """

    def __init__(self, width: int, num_blocks: int, dropout: float, num_classes: int, num_inner: int) -> None:
        super().__init__()

        def blocks(kernel_size: tuple[int, int], number: int, num_shortcuts: int) -> nn.ModuleList:
            return nn.ModuleList(
                GatedBlock(width, kernel_size, num_shortcuts, dropout, num_classes) for _ in range(number)
            )

        # At the smallest scale the last features of the way up are the first of the way down.
        num_down = num_blocks + 1 if num_inner else num_blocks
        self.u_up, self.ul_up = blocks(U, num_blocks, 0), blocks(UL, num_blocks, 1)
        self.u_down, self.ul_down = blocks(U, num_down, 1), blocks(UL, num_down, 2)
        self.inner: Scale | None = None
        if num_inner:
            self.u_halve, self.ul_halve = ShiftedConv2d(width, width, U, 2), ShiftedConv2d(width, width, UL, 2)
            self.inner = Scale(width, num_blocks, dropout, num_classes, num_inner - 1)
            self.u_double = nn.ConvTranspose2d(width, width, U, 2, padding=(0, 1), output_padding=(0, 1))
            self.ul_double = nn.ConvTranspose2d(width, width, UL, 2)

    def forward(self, u: Tensor, ul: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        us, uls = [u], [ul]
        for u_block, ul_block in zip(self.u_up, self.ul_up, strict=True):
            us.append(u_block(us[-1], [], labels))
            uls.append(ul_block(uls[-1], [us[-1]], labels))
        if self.inner is None:
            u, ul = us.pop(), uls.pop()
        else:
            height, width = u.shape[2:]
            # Under autocast blocks add to sums in the precision of the images.
            halves = [
                layer(functional.pad(features, layer.margin)).to(u.dtype)
                for layer, features in ((self.u_halve, us[-1]), (self.ul_halve, uls[-1]))
            ]
            doubles = zip((self.u_double, self.ul_double), self.inner(*halves, labels), strict=True)
            u, ul = (layer(features)[..., :height, :width].to(u.dtype) for layer, features in doubles)
        for u_block, ul_block in zip(self.u_down, self.ul_down, strict=True):
            u = u_block(u, [us.pop()], labels)
            ul = ul_block(ul, [u, uls.pop()], labels)
        return u, ul


class TwoStreams(nn.Module):
    """From images to parameters of each pixel's distribution, which depend on no later pixel and not on itself.

    Args:
        num_outputs: P.
        width, num_blocks, dropout, num_classes: of each ``Scale``.

    Shapes:
        images: ``(N, num_colours, H, W)`` -> ``(N, P, H, W)``.
        labels: ``(N,)`` int64; of no account without classes.
    """

    def __init__(
        self, num_colours: int, width: int, num_blocks: int, num_outputs: int, dropout: float, num_classes: int
    ) -> None:
        super().__init__()
        self.u_first = ShiftedConv2d(num_colours + 1, width, (2, 3))
        self.ul_first_above = ShiftedConv2d(num_colours + 1, width, (1, 3))
        self.ul_first_left = ShiftedConv2d(num_colours + 1, width, (2, 1))
        self.scale = Scale(width, num_blocks, dropout, num_classes, NUM_SCALES - 1)
        self.output = nn.Conv2d(width, num_outputs, 1)
        normalize_weights(self)

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        images = with_ones(images).contiguous(memory_format=torch.channels_last)
        u, above, left = (
            layer(functional.pad(images, layer.margin)).to(images.dtype)
            for layer in (self.u_first, self.ul_first_above, self.ul_first_left)
        )
        _, ul = self.scale(down(u), down(above) + right(left), labels)
        with torch.autocast(images.device.type, enabled=False):  # bf16 is coarser than 256 levels
            return self.output(functional.elu(ul))


def with_ones(images: Tensor) -> Tensor:
    """A further channel of ones tells the image from the zeros around it."""
    return functional.pad(images, (0, 0, 0, 0, 0, 1), value=1.0)


def down(features: Tensor) -> Tensor:
    """Moves all rows down by one; the first becomes zeros, without the bias of the layer before."""
    return functional.pad(features, (0, 0, 1, -1))


def right(features: Tensor) -> Tensor:
    """Moves all columns to the right by one; the first becomes zeros."""
    return functional.pad(features, (1, -1))
