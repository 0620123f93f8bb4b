"""Convolutions that see only earlier pixels and colours, and the same convolutions computed pixel by pixel.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, section 3.4.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


def colour_of_channels(num_channels: int, num_colours: int, num_parts: int = 1) -> Tensor:
    """Which colour each channel belongs to, ``(num_channels,)`` int64: as many channels in a row as the division gives.

    Args:
        num_parts: equal parts of the channels, as those of the gates of a layer, each divided alike.
    """
    part = torch.arange(num_channels // num_parts) * num_colours // (num_channels // num_parts)
    return part.repeat(num_parts)


class MaskedConv2d(nn.Conv2d):
    """A convolution of stride 1 whose result at a pixel depends on no later pixel, in raster order.

    Within a pixel, mask A hides the channels of the same and later colours, mask B those of later colours. Output has
    the height and width of the input.

    Args:
        kernel_size: height and width, or both in one; odd.
        mask_type: A for the first layer of a network, whose input is the image itself; B for all others.
        num_colours: groups that the channels of input and output are divided into; see ``colour_of_channels``.
        num_parts: of the output.

    Shapes:
        ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``.

    Raises:
        ValueError: a side of the kernel is even.
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        mask_type: Literal["A", "B"],
        num_colours: int = 1,
        num_parts: int = 1,
    ) -> None:
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        if height % 2 == 0 or width % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: a mask has a middle, so the sides are odd")
        super().__init__(in_channels, out_channels, (height, width), padding=(height // 2, width // 2))
        self.num_colours = num_colours
        self.margin = (width // 2, width // 2 if height > 1 else 0, height // 2, 0)  # of causal_weight
        mask = torch.ones(out_channels, in_channels, height, width)
        mask[:, :, height // 2 + 1 :] = 0
        mask[:, :, height // 2, width // 2 + 1 :] = 0
        of_outputs = colour_of_channels(out_channels, num_colours, num_parts)
        of_inputs = colour_of_channels(in_channels, num_colours)
        is_seen = of_inputs < of_outputs[:, None] if mask_type == "A" else of_inputs <= of_outputs[:, None]
        mask[:, :, height // 2, width // 2] = is_seen.float()
        self.register_buffer("mask", mask, persistent=False)
        self.output_places = [(of_outputs == colour).nonzero().flatten() for colour in range(num_colours)]
        self.input_places = [(of_inputs == colour).nonzero().flatten() for colour in range(num_colours)]
        with torch.no_grad():  # as if there were no hidden weights: their number is what the scale depends on
            self.weight.mul_((mask.numel() / mask.sum()).sqrt())

    def causal_weight(self) -> Tensor:
        """The masked weights without the rows that are hidden altogether, nor hidden columns of a single row."""
        height, width = self.kernel_size
        weight = (self.weight * self.mask)[:, :, : height // 2 + 1]
        return weight[..., : width // 2 + 1] if height == 1 else weight

    def forward(self, images: Tensor) -> Tensor:
        seen = functional.pad(images, self.margin) if self.kernel_size != (1, 1) else images
        return functional.conv2d(seen, self.causal_weight(), self.bias)


def in_full(layer: nn.Module, features: Tensor) -> Tensor:
    """What a layer makes of features in float32 at least, under autocast, too: of logits each digit counts."""
    with torch.autocast(features.device.type, enabled=False):
        return layer(features.to(torch.promote_types(features.dtype, torch.float32)))


class CachedConvolution:
    """A causal convolution that computes each pixel once, in raster order, and in it each colour once.

    It keeps as many rows of its input as its kernel is high. What the rows above add to a whole row is computed as soon
    as these are complete, so that a pixel costs one small product of matrices.

    Args:
        layer: its weights are read once, so they must not change in the meantime.
        num_images: N.
        width: W of the images.
    """

    def __init__(self, layer: MaskedConv2d, num_images: int, width: int) -> None:
        weight = layer.causal_weight()
        self.layer = layer
        self.radius = layer.kernel_size[1] // 2
        self.shape = (num_images, width, layer.out_channels)
        # Channels last: the inputs of a pixel and of those to its left lie side by side.
        self.rows = weight.new_zeros(num_images, weight.shape[2], width + 2 * self.radius, layer.in_channels)
        self.weight_above = weight[:, :, :-1].contiguous(memory_format=torch.channels_last)
        here = weight[:, :, -1, : self.radius + 1].permute(2, 1, 0).flatten(0, 1)
        self.weight_here = [here[:, places].contiguous() for places in layer.output_places]
        self.from_above: list[Tensor] = []

    def start_row(self, addend: Tensor | None = None) -> None:
        """The row in work is complete: begins the next one.

        Args:
            addend: ``(N, W, out_channels)``, added to the outputs of this row.
        """
        self.rows = torch.cat([self.rows[:, 1:], torch.zeros_like(self.rows[:, :1])], dim=1)
        assert self.layer.bias is not None
        row = self.layer.bias.expand(self.shape)
        row = row if addend is None else row + addend
        if self.rows.shape[1] > 1:
            above = self.rows[:, :-1].permute(0, 3, 1, 2)
            row = row + functional.conv2d(above, self.weight_above)[:, :, 0].transpose(1, 2)
        colours = self.layer.output_places
        self.from_above = [row] if len(colours) == 1 else [row[:, :, places] for places in colours]
        self.here = self.rows[:, -1]

    def write(self, values: Tensor, column: int, colour: int = 0) -> None:
        """Takes the input ``(N, channels of the colour)`` of a pixel of the row in work."""
        if self.layer.num_colours == 1:
            self.here[:, column + self.radius] = values
        else:
            self.here[:, column + self.radius, self.layer.input_places[colour]] = values

    def read(self, column: int, colour: int = 0) -> Tensor:
        """The output ``(N, channels of the colour)`` of a pixel of the row in work."""
        seen = self.here[:, column : column + self.radius + 1].flatten(1)
        return torch.addmm(self.from_above[colour][:, column], seen, self.weight_here[colour])

    def __call__(self, values: Tensor, column: int, colour: int = 0) -> Tensor:
        """Takes the input of a pixel and gives its output: mask B."""
        self.write(values, column, colour)
        return self.read(column, colour)
