"""EfficientNet-Lite0, a classifier of ImageNet that is small enough to come with genlab.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv:1905.11946, table
1; the Lite variant has no squeeze-and-excitation and ReLU6 in place of swish. Its batch norms are folded into the
convolutions before them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224

RESIZE = f"bilinear antialias to {SIDE}"

IMAGES = 4
"""Computed at a time: more take longer, because what the widest layers make of them leaves the processor's caches."""

STAGES = (
    *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
    *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
)
"""Expansion, channels, blocks, stride of the first block, and kernel."""


class SameConv2d(nn.Conv2d):
    """A convolution with ``ceil(side / stride)`` outputs; the odd pixel of the border is at the right and the bottom.

    That is TensorFlow's "same", in which the weights were trained; torch's is symmetric.
    """

    def forward(self, images: Tensor) -> Tensor:
        border: list[int] = []
        for size, kernel, stride in zip(images.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            border += [total // 2, total - total // 2]
        return super().forward(functional.pad(images, border) if any(border) else images)


class InvertedResidual(nn.Module):
    """A wider layer of one pixel, a convolution of each channel alone, and a linear layer of one pixel back.

    Shapes: ``(N, in_channels, H, W)`` -> ``(N, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expand = SameConv2d(in_channels, width, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(width, width, kernel, stride, groups=width)
        self.project = SameConv2d(width, out_channels, 1)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, images: Tensor) -> Tensor:
        hidden = images if self.expand is None else functional.relu6(self.expand(images))
        hidden = self.project(functional.relu6(self.depthwise(hidden)))
        return images + hidden if self.has_skip else hidden


class EfficientNetLite0(nn.Module):
    """The pooled last layer of the network, for images of any size.

    Shapes: ``(N, 1 or 3, H, W)`` in [-1, 1] -> ``(N, 1280)`` in [0, 6]; ``classifier`` makes 1,000 logits of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        channels = 32
        for expansion, width, num_blocks, stride, kernel in STAGES:
            for number in range(num_blocks):
                blocks.append(InvertedResidual(channels, width, expansion, 1 if number else stride, kernel))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv2d(channels, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self._features(as_trained_on(part)) for part in images.split(IMAGES)])

    def _features(self, images: Tensor) -> Tensor:
        hidden = self.blocks(functional.relu6(self.stem(images)))
        return functional.relu6(self.head(hidden)).mean((2, 3))


def as_trained_on(images: Tensor) -> Tensor:
    """Whole images as the network knows them; grey ones in three equal colours.

    Shapes: ``(N, 1 or 3, H, W)`` in [-1, 1] -> ``(N, 3, 224, 224)`` in [-127/128, 1].
    """
    values = (images.clamp(-1, 1).expand(-1, 3, -1, -1) + 1) * 127.5
    resized = functional.interpolate(values, (SIDE, SIDE), mode="bilinear", antialias=True)
    return ((resized - 127) / 128).contiguous(memory_format=torch.channels_last)
