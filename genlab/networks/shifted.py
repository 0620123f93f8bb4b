"""Convolutions that see rows above a pixel, or pixels above it and to its left, and the same computed as they come.

Salimans, Karpathy, Chen & Kingma, "PixelCNN++", ICLR 2017, arXiv:1701.05517, and its code; the cached forms after
Ramachandran et al., "Fast Generation for Convolutional Autoregressive Models", 2017, arXiv:1704.06001.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

Convolution = nn.Conv2d | nn.ConvTranspose2d


class ShiftedConv2d(nn.Conv2d):
    """A convolution whose kernel has its last row on the pixel: the middle of it if it is odd, its end if it is even.

    Kernels of 2x3 see the rows above and the row itself; those of 2x2 see what is above, to the left, and the pixel.

    Args:
        first_scale: standard deviation of the output that ``normalize_outputs`` makes.

    Shapes:
        ``(N, C, H, W)``, with ``margin`` around it -> ``(N, out_channels, H / stride, W / stride)``, rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: int = 1,
        first_scale: float = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride)
        height, width = kernel_size
        right = (width - 1) // 2 if width % 2 else 0
        self.margin = (width - 1 - right, right, height - 1, 0)
        """Columns to the left and right, rows above and below, as ``functional.pad`` takes them."""
        self.first_scale = first_scale


def normalize_weights(network: nn.Module) -> None:
    """Every convolution's weights become g · v / ‖v‖ for each output channel.

    Salimans & Kingma, "Weight Normalization", NIPS 2016, arXiv:1602.07868. At first v is from N(0, 0.05²), g is 1 and
    biases are 0: the authors' code.
    """
    for layer in [module for module in network.modules() if isinstance(module, Convolution)]:
        assert layer.bias is not None
        nn.init.normal_(layer.weight, std=0.05)
        nn.init.zeros_(layer.bias)
        weight_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)
        nn.init.ones_(lengths(layer))


def lengths(layer: Convolution) -> nn.Parameter:
    """g of a layer with normalized weights: a number for each output channel, in the shape of its weights."""
    parameter = layer.get_parameter("parametrizations.weight.original0")
    assert isinstance(parameter, nn.Parameter)
    return parameter


@torch.no_grad()
def normalize_outputs(network: nn.Module, *inputs: Any) -> None:
    """Sets g and biases, layer after layer, so that each output channel has mean 0 and a given deviation on a batch.

    Salimans & Kingma, section 3. A channel that hardly changes over the batch is scaled by the deviation
    wanted alone: else its g would have no bound.
    """

    def normalize(layer: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        assert isinstance(layer, Convolution)
        assert layer.bias is not None
        variance, mean = torch.var_mean(output, dim=(0, 2, 3), correction=0)
        wanted = layer.first_scale if isinstance(layer, ShiftedConv2d) else 1.0
        scale = torch.where(variance > 1e-6, wanted / variance.sqrt(), wanted)
        g = lengths(layer)
        g.mul_(scale.view_as(g))
        layer.bias.sub_(mean).mul_(scale)
        return (output - mean[:, None, None]).mul_(scale[:, None, None])

    layers = [module for module in network.modules() if isinstance(module, Convolution)]
    handles = [layer.register_forward_hook(normalize) for layer in layers]
    network(*inputs)
    for handle in handles:
        handle.remove()


def concat_elu(features: Tensor, margin: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Tensor:
    """ELU of the features and of their negatives, ``(N, C, H, W)`` -> ``(N, 2 * C, ...)`` with a margin of zeros.

    The margin is that of ``ShiftedConv2d``.
    """
    return ConcatELU.apply(features, margin)


class ConcatELU(torch.autograd.Function):
    """``concat_elu`` in one piece of memory, channels last, and its gradient.

    ELU is the larger one of x and exp(-|x|) - 1, so one exponential serves x and -x, and it is a fast one. Under
    autocast the output has the type that the convolution after it takes.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, margin: tuple[int, int, int, int]) -> Tensor:
        num_images, channels, height, width = features.shape
        left, right, top, bottom = margin
        kind = features.device.type
        output = torch.empty(
            (num_images, 2 * channels, top + height + bottom, left + width + right),
            dtype=torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else features.dtype,
            device=features.device,
            memory_format=torch.channels_last,
        )
        for side in (output[:, :, :top], output[:, :, top + height :], output[..., :left], output[..., left + width :]):
            side.zero_()
        ctx.inside = (..., slice(top, top + height), slice(left, left + width))
        positive, negative = output[ctx.inside].chunk(2, 1)
        below_zero = features.to(torch.promote_types(features.dtype, torch.float32)).abs().neg_().exp_().sub_(1)
        # Rounded first: of mixed types the larger one takes three times as long.
        features, below_zero = features.to(output.dtype), below_zero.to(output.dtype)
        torch.maximum(features, below_zero, out=positive)
        torch.maximum(-features, below_zero, out=negative)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (output,) = ctx.saved_tensors
        # The derivative of ELU is 1 where its result is positive, else the result plus 1.
        both = torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, output)[ctx.inside]
        positive, negative = both.chunk(2, 1)
        return positive - negative, None


class ByteDropout(nn.Dropout):
    """Dropout with 8 random bits for each feature, which on a CPU takes a tenth of torch's time.

    ``p`` is rounded to a 256th.
    """

    def forward(self, features: Tensor) -> Tensor:
        threshold = min(round(256 * self.p), 255)
        if not self.training or threshold == 0:
            return features
        num_images, channels, height, width = features.shape
        words = torch.empty((features.numel() + 7) // 8, dtype=torch.int64, device=features.device).random_(
            -(2**63), None
        )
        is_kept = words.view(torch.uint8)[: features.numel()] >= threshold
        scale = is_kept.to(features.dtype).mul_(256 / (256 - threshold))
        return features * scale.view(num_images, height, width, channels).permute(0, 3, 1, 2)


class RowCache:
    """A convolution of two rows, computed a row at a time: ``(N, C, 1, W)`` -> ``(N, out_channels, 1, W / stride)``.

    Args:
        layer: its weights are read once, so they must not change in the meantime.
    """

    def __init__(self, layer: ShiftedConv2d) -> None:
        self.weight = layer.weight.contiguous(memory_format=torch.channels_last)
        self.bias = layer.bias
        self.stride = layer.stride
        self.sides = layer.margin[:2]
        self.above: Tensor | None = None

    def write(self, row: Tensor) -> Tensor:
        """Takes the next row; returns it below the one above it, with columns of zeros at their sides."""
        row = functional.pad(row, self.sides)
        above = torch.zeros_like(row) if self.above is None else self.above
        self.above = row
        return torch.cat([above, row], dim=2)

    def __call__(self, row: Tensor) -> Tensor:
        return functional.conv2d(self.write(row), self.weight, self.bias, self.stride)


class PixelCache:
    """A convolution of 2x2, computed a pixel at a time: ``(N, C)`` -> ``(N, out_channels)``.

    What the row above adds to a row is computed for all its pixels at once, as soon as it is complete, so that a pixel
    costs one product of matrices.

    Args:
        layer: its weights are read once, so they must not change in the meantime.
        num_images, width: N, and W of the input.
        shortcut: ``(out_channels, D)``, the weights of further inputs of a pixel, ``(N, D)``.
        constant: ``(N, out_channels)``, added to all pixels.
    """

    def __init__(
        self,
        layer: ShiftedConv2d,
        num_images: int,
        width: int,
        shortcut: Tensor | None = None,
        constant: Tensor | None = None,
    ) -> None:
        assert layer.bias is not None
        weight = layer.weight
        self.stride = layer.stride[1]
        self.weight_above = weight[:, :, :1].contiguous(memory_format=torch.channels_last)
        here = weight[:, :, 1].permute(2, 1, 0).flatten(0, 1)  # of the pixel to the left, then of the pixel itself
        self.weight_here = here if shortcut is None else torch.cat([here, shortcut.T])
        self.constant = (layer.bias if constant is None else layer.bias + constant).view(-1, 1, len(layer.bias))
        self.nothing = weight.new_zeros(num_images, layer.in_channels)
        self.row = [self.nothing] * width

    def start_row(self, addend: Tensor | float = 0.0) -> None:
        """The row in work is complete: begins the next one.

        Args:
            addend: ``(N, W / stride, out_channels)``, added to the row's pixels.
        """
        above = torch.stack([self.nothing, *self.row], dim=1).transpose(1, 2)[:, :, None]
        from_above = functional.conv2d(above, self.weight_above, None, (1, self.stride))
        self.given = from_above[:, :, 0].transpose(1, 2) + self.constant + addend
        self.left = self.nothing
        self.row = []

    def write(self, pixel: Tensor) -> None:
        """Takes the next pixel of the row."""
        self.left = pixel
        self.row.append(pixel)

    def __call__(self, pixel: Tensor, *further: Tensor) -> Tensor:
        """Takes the next pixel of the row and the inputs of its shortcut; gives the output."""
        column = len(self.row) // self.stride
        seen = torch.cat([self.left, pixel, *further], dim=1)
        self.write(pixel)
        return torch.addmm(self.given[:, column], seen, self.weight_here)
