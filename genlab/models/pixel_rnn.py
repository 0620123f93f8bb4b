"""PixelRNN, with Row LSTM or Diagonal BiLSTM layers.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, sections 2
to 5.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.categorical import num_logits
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_pixels import Binarization, FromLevels, Predicted
from genlab.networks.pixel_lstm import Layer
from genlab.networks.pixel_rnn import PixelRNNNetwork


class PixelRNN(FromLevels, GenerativeModel):
    """LSTMs over rows or diagonals predict each pixel, and in it each colour, from those before it.

    A Row LSTM sees a triangle above the pixel. A Diagonal BiLSTM sees all pixels before it but, where the first
    convolution does not reach it, the last one of the row above.

    Likelihoods are in nats an image; docs/results.md says of which for each ``binarization``.

    Args:
        image_shape: ``(C, H, W)``.
        num_levels: of a pixel: 2 for a Bernoulli distribution of each, else a softmax (paper: 256).
        binarization: see ``from_pixels`` (paper: the binary MNIST of the literature, drawn once).
        layer: Row LSTM or Diagonal BiLSTM (paper: both).
        width: h, the length of a state and half the channels between layers (paper: 128 for CIFAR-10, 16 for MNIST).
        num_layers: of LSTMs (paper: 12 for CIFAR-10, 7 for MNIST).
        first_kernel: side of the first convolution (paper: 7).
        head_width: channels of the last two hidden layers (paper: 1024; 32 for MNIST).
        skip: whether each LSTM also adds to what the last hidden layers get (paper: with and without).
        optimizer: called once (paper: RMSProp).

    Differs from the paper:
        - Adam instead of RMSProp; where images are few, weights decay.
        - Binary images are drawn anew each time, or have a threshold, instead of being drawn once and for all.
        - Channels belong to colours in three runs, of nearly equal length where 3 is no divisor.
        - Initial weights of masked convolutions are larger by the share of a kernel that the mask hides.
        - The learned initial state is one for each layer and direction, the same at all rows or columns.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_levels: Annotated[int, Field(ge=2)],
        binarization: Binarization,
        layer: Layer,
        width: PositiveInt,
        num_layers: PositiveInt,
        first_kernel: Annotated[int, Field(ge=3)],
        head_width: PositiveInt,
        skip: bool,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_levels = num_levels
        self.binarization = binarization
        self.optimizer = optimizer
        num_outputs = image_shape[0] * num_logits(num_levels)
        self.network = PixelRNNNetwork(
            image_shape[0], num_outputs, width, num_layers, layer, first_kernel, head_width, skip
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.on_levels(batch.images, self.draw(torch.rand, *batch.images.shape))
        loss = -self.log_likelihood(images).mean()
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def predict(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.network(images)

    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None = None) -> Iterator[Predicted]:
        return self.network.pixel_by_pixel(images)
