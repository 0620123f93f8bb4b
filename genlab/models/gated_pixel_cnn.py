"""Gated PixelCNN.

Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu, "Conditional Image Generation with PixelCNN
Decoders", NIPS 2016, arXiv:1606.05328.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.batches import LabelledImages
from genlab.losses.categorical import num_logits
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_pixels import Binarization, FromLevels, Predicted
from genlab.networks.masked import CachedConvolution, MaskedConv2d, in_full


def gate(features: Tensor, dim: int = 1) -> Tensor:
    """Equation 2: the tanh of half the channels times the sigmoid of the other half."""
    content, openness = features.chunk(2, dim)
    return content.tanh() * openness.sigmoid()


class GatedLayer(nn.Module):
    """Figure 2: a vertical stack, of all rows above, and a horizontal one, of the row to the left and the vertical one.

    The vertical stack of the first layer, of mask A, leaves out the row of the pixel; that of later layers sees it,
    since what stands there comes from the rows above. So there is no blind spot.

    Args:
        in_width: channels of the input.
        width: channels of the output.
        kernel_size: side of the square that the two convolutions are parts of; odd.
        mask_type: A for the first layer, which has no residual connection; B for the others.
        num_classes: 0: of images without classes.

    Shapes:
        vertical, horizontal: ``(N, in_width, H, W)`` -> ``(N, width, H, W)``.
        labels: ``(N,)`` int64.
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        kernel_size: int,
        mask_type: Literal["A", "B"],
        num_colours: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.radius = kernel_size // 2
        height = self.radius if mask_type == "A" else self.radius + 1
        self.rows_above = (0, 0, self.radius, height - self.radius - 1)  # a negative number leaves the last row out
        self.vertical = nn.Conv2d(in_width, 2 * width, (height, kernel_size), padding=(0, self.radius))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = MaskedConv2d(in_width, 2 * width, (1, kernel_size), mask_type, num_colours, num_parts=2)
        self.output = MaskedConv2d(width, width, 1, "B", num_colours)
        self.of_class = nn.Embedding(num_classes, 4 * width) if num_classes else None
        self.is_residual = mask_type == "B"

    def forward(self, vertical: Tensor, horizontal: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        above = self.vertical(functional.pad(vertical, self.rows_above))
        beside = self.horizontal(horizontal) + self.link(above)
        if self.of_class is not None:
            for_above, for_beside = self.of_class(labels)[:, :, None, None].chunk(2, 1)
            above, beside = above + for_above, beside + for_beside
        output = self.output(gate(beside))
        return gate(above), horizontal + output if self.is_residual else output


class CachedLayer:
    """A layer computed row by row in its vertical stack and pixel by pixel in its horizontal one.

    Args:
        layer: its weights must not change in the meantime.
        num_images, width: N and W.
        labels: ``(N,)`` int64, if the layer has classes.
    """

    def __init__(self, layer: GatedLayer, num_images: int, width: int, labels: Tensor | None) -> None:
        self.layer = layer
        self.horizontal = CachedConvolution(layer.horizontal, num_images, width)
        self.output = CachedConvolution(layer.output, num_images, width)
        _, channels, height, _ = layer.vertical.weight.shape
        self.rows = layer.vertical.weight.new_zeros(num_images, channels, height, width + 2 * layer.radius)
        of_class = None if layer.of_class is None else layer.of_class(labels)[:, :, None]
        self.of_class = (0.0, 0.0) if of_class is None else of_class.chunk(2, 1)

    def start_row(self, row: Tensor) -> Tensor:
        """Takes the newest row ``(N, in_width, W)`` that the vertical stack sees; gives its output, ``(N, width, W)``.

        For the first layer it is the row above, for the others the row in work, which comes from the rows above.
        """
        newest = functional.pad(row, (self.layer.radius, self.layer.radius))[:, :, None]
        self.rows = torch.cat([self.rows[:, :, 1:], newest], dim=2)
        above = functional.conv2d(self.rows, self.layer.vertical.weight, self.layer.vertical.bias)
        beside = self.layer.link(above)[:, :, 0] + self.of_class[1]
        self.horizontal.start_row(beside.transpose(1, 2))
        self.output.start_row()
        return gate(above[:, :, 0] + self.of_class[0])

    def read(self, column: int, colour: int) -> Tensor:
        """The output of a pixel, ``(N, channels of the colour)``, from what the layer has been given so far."""
        return self.output(gate(self.horizontal.read(column, colour)), column, colour)

    def __call__(self, features: Tensor, column: int, colour: int) -> Tensor:
        """Takes the input of a pixel and gives its output, both ``(N, channels of the colour)``."""
        self.horizontal.write(features, column, colour)
        return features + self.read(column, colour)


class GatedPixelCNN(FromLevels, GenerativeModel):
    """Two stacks of gated convolutions predict each pixel, and in it each colour, from all those before it.

    Likelihoods are in nats an image; docs/results.md says of which for each ``binarization``.

    Args:
        image_shape: ``(C, H, W)``.
        num_levels: of a pixel: 2 for a Bernoulli distribution of each, else a softmax (paper: 256).
        binarization: see ``from_pixels`` (paper: none, colour images).
        num_classes: 0, or those that the images are conditioned on, each with a bias of its own in every layer
            (equation 4; paper: 1,000).
        width: channels of each stack (paper: 384 for ImageNet).
        num_layers: after the first (paper: 20 in all).
        first_kernel: side of the first convolution.
        kernel: side of the other convolutions (paper: 5).
        head_width: channels of the hidden layer at the end.
        optimizer: called once.

    Differs from the paper:
        - The paper does not say how its networks end, nor what the first layer and the optimizer are: here two ReLU and
          1x1 convolutions follow, as in PixelCNN, and Adam.
        - Channels belong to colours in three runs, and the weights of masked convolutions are larger at first by the
          share of a kernel that the mask hides.
        - Binary images, where asked for, are those of the earlier paper on PixelRNN.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_levels: Annotated[int, Field(ge=2)],
        binarization: Binarization,
        num_classes: NonNegativeInt,
        width: PositiveInt,
        num_layers: PositiveInt,
        first_kernel: Annotated[int, Field(ge=3)],
        kernel: Annotated[int, Field(ge=3)],
        head_width: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_levels = num_levels
        self.binarization = binarization
        self.optimizer = optimizer
        if num_classes:
            self.num_classes = num_classes
        colours = image_shape[0]
        self.layers = nn.ModuleList([GatedLayer(colours, width, first_kernel, "A", colours, num_classes)])
        self.layers.extend(GatedLayer(width, width, kernel, "B", colours, num_classes) for _ in range(num_layers))
        # The last output of the vertical stack is not used.
        self.head = nn.ModuleList(
            [
                MaskedConv2d(width, head_width, 1, "B", colours),
                MaskedConv2d(head_width, colours * num_logits(num_levels), 1, "B", colours),
            ]
        )
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.on_levels(batch.images, self.draw(torch.rand, *batch.images.shape))
        loss = -self.log_likelihood(images, self.labels_of(batch)).mean()
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def predict(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        vertical = horizontal = images
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, labels)
            horizontal = horizontal.to(images.dtype)  # sums of residuals stay float32 under autocast
        hidden, last = self.head
        return in_full(last, hidden(horizontal.relu()).relu())

    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None = None) -> Iterator[Predicted]:
        num_images, num_colours, height, width = images.shape
        stacks = [layer for layer in self.layers if isinstance(layer, GatedLayer)]
        first, *others = layers = [CachedLayer(layer, num_images, width, labels) for layer in stacks]
        head = [CachedConvolution(layer, num_images, width) for layer in self.head if isinstance(layer, MaskedConv2d)]
        for row in range(height):
            vertical = images[:, :, row - 1] if row else torch.zeros_like(images[:, :, 0])
            for layer in layers:
                vertical = layer.start_row(vertical)
            for convolution in head:
                convolution.start_row()
            for column in range(width):
                for colour in range(num_colours):
                    features = first.read(column, colour)
                    for layer in others:
                        features = layer(features, column, colour)
                    for convolution in head:
                        features = convolution(features.relu(), column, colour)
                    colours = slice(colour, colour + 1)
                    yield row, column, colours, features
                    first.horizontal.write(images[:, colours, row, column], column, colour)
