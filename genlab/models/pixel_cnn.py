"""PixelCNN.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, sections 3.3
to 3.5 and 5.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genlab.datasets.batches import LabelledImages
from genlab.losses.categorical import num_logits
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_pixels import Binarization, FromLevels, Predicted
from genlab.networks.masked import CachedConvolution, MaskedConv2d, in_full


class ResidualBlock(nn.Module):
    """Figure 5, left: the channels are halved, convolved and doubled again, each after a ReLU, and added to the input.

    Shapes:
        ``(N, 2 * width, H, W)`` -> the same.
    """

    def __init__(self, width: int, kernel_size: int, num_colours: int) -> None:
        super().__init__()
        self.reduce = MaskedConv2d(2 * width, width, 1, "B", num_colours)
        self.convolve = MaskedConv2d(width, width, kernel_size, "B", num_colours)
        self.restore = MaskedConv2d(width, 2 * width, 1, "B", num_colours)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.convolve(self.reduce(features.relu()).relu_())
        return features + self.restore(hidden.relu_())


class PixelCNN(FromLevels, GenerativeModel):
    """Masked convolutions predict each pixel, and in it each colour, from those before it.

    Likelihoods are in nats an image; docs/results.md says of which for each ``binarization``.

    Args:
        image_shape: ``(C, H, W)``.
        num_levels: of a pixel: 2 for a Bernoulli distribution of each, else a softmax (paper: 256).
        binarization: see ``from_pixels`` (paper: the binary MNIST of the literature, drawn once).
        width: h, half the channels between blocks (paper: 128 for CIFAR-10).
        num_blocks: residual blocks (paper: 15).
        first_kernel: side of the first convolution (paper: 7).
        kernel: side of the other masked convolutions (paper: 3).
        head_width: channels of the last two hidden layers (paper: 1024; 32 for MNIST).
        optimizer: called once (paper: RMSProp).

    Differs from the paper:
        - AdamW instead of RMSProp, whose decay of the weights keeps a small set from being learned by heart.
        - Binary images are drawn anew each time, or have a threshold, instead of being drawn once and for all.
        - No connections from each block to the output (section 3.3), and residual ones alone.
        - Channels belong to colours in three runs, of nearly equal length where 3 is no divisor.
        - Initial weights are larger by the share of a kernel that the mask hides.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_levels: Annotated[int, Field(ge=2)],
        binarization: Binarization,
        width: PositiveInt,
        num_blocks: PositiveInt,
        first_kernel: Annotated[int, Field(ge=3)],
        kernel: PositiveInt,
        head_width: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_levels = num_levels
        self.binarization = binarization
        self.optimizer = optimizer
        colours = image_shape[0]
        self.first = MaskedConv2d(colours, 2 * width, first_kernel, "A", colours)
        self.blocks = nn.ModuleList(ResidualBlock(width, kernel, colours) for _ in range(num_blocks))
        widths = (2 * width, head_width, head_width, colours * num_logits(num_levels))
        self.head = nn.ModuleList(MaskedConv2d(before, after, 1, "B", colours) for before, after in pairwise(widths))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.on_levels(batch.images, self.draw(torch.rand, *batch.images.shape))
        loss = -self.log_likelihood(images).mean()
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def predict(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.first(images).to(images.dtype)  # sums of residuals stay float32 under autocast
        for block in self.blocks:
            features = block(features)
        *hidden, last = self.head
        for layer in hidden:
            features = layer(features.relu())
        return in_full(last, features.relu())

    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None = None) -> Iterator[Predicted]:
        num_images, num_colours, height, width = images.shape
        layers = [layer for layer in self.modules() if isinstance(layer, MaskedConv2d)]
        cached = [CachedConvolution(layer, num_images, width) for layer in layers]
        first, *others = cached
        blocks, head = [others[place : place + 3] for place in range(0, len(others) - 3, 3)], others[-3:]
        for row in range(height):
            for convolution in cached:
                convolution.start_row()
            for column in range(width):
                for colour in range(num_colours):
                    features = first.read(column, colour)
                    for reduce, convolve, restore in blocks:
                        hidden = reduce(features.relu(), column, colour).relu_()
                        hidden = convolve(hidden, column, colour).relu_()
                        features = features + restore(hidden, column, colour)
                    for layer in head:
                        features = layer(features.relu(), column, colour)
                    colours = slice(colour, colour + 1)
                    yield row, column, colours, features
                    first.write(images[:, colours, row, column], column, colour)
