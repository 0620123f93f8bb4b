"""Multi-scale PixelRNN.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, section 3.6.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genlab.datasets.batches import LabelledImages
from genlab.losses.categorical import num_logits
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_pixels import Binarization, FromLevels, Predicted
from genlab.networks.pixel_lstm import Layer
from genlab.networks.pixel_rnn import PixelRNNNetwork


class Upsampler(nn.Sequential):
    """Transposed convolutions with a ReLU after each, one for each prime factor of the scale.

    Shapes:
        ``(N, in_channels, h, w)`` -> ``(N, out_channels, scale * h, scale * w)``.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        layers: list[nn.Module] = []
        factor = 2
        while scale > 1:
            if scale % factor:
                factor += 1
                continue
            scale //= factor
            before = out_channels if layers else in_channels
            around = factor // 2
            layers += [nn.ConvTranspose2d(before, out_channels, factor + 2 * around, factor, around), nn.ReLU()]
        super().__init__(*layers)


class MultiScalePixelRNN(FromLevels, GenerativeModel):
    """A PixelRNN of a small image, and one of the image given the small one.

    The small image is every ``scale``-th pixel of every ``scale``-th row. Its pixels are drawn first, in raster order,
    then all others; ``log_likelihood`` is the sum of both, that of the whole image.

    Args:
        image_shape: ``(C, H, W)``.
        num_levels: of a pixel: 2 for a Bernoulli distribution of each, else a softmax (paper: 256).
        binarization: see ``from_pixels`` (paper: none).
        scale: rows and columns for each one of the small image.
        layer: Row LSTM or Diagonal BiLSTM (paper: both).
        width: h, the length of a state and half the channels between layers (paper: 512 for 64x64 images).
        num_layers: of LSTMs in each network (paper: 4 for 64x64 images).
        first_kernel: side of the first convolution (paper: 7).
        head_width: channels of the last two hidden layers (paper: 1024).
        skip: whether each LSTM also adds to what the last hidden layers get (paper: with and without).
        context_channels: of the map that the small image becomes (paper: not told).
        optimizer: called once, for both networks (paper: RMSProp).

    Differs from the paper:
        - The second network draws, and scores, only the pixels that the first one has not: the small image is part of
          the image, so that nothing is left of these to draw, and counting them twice would not be a likelihood.
        - Both networks are trained at once, with the sum of their losses.
        - Residual connections for images of all sizes.
        - For all else see ``pixel_rnn``.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_levels: Annotated[int, Field(ge=2)],
        binarization: Binarization,
        scale: Annotated[int, Field(ge=2)],
        layer: Layer,
        width: PositiveInt,
        num_layers: PositiveInt,
        first_kernel: Annotated[int, Field(ge=3)],
        head_width: PositiveInt,
        skip: bool,
        context_channels: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_levels = num_levels
        self.binarization = binarization
        self.scale = scale
        self.optimizer = optimizer
        colours = image_shape[0]
        sizes = (colours, colours * num_logits(num_levels), width, num_layers, layer, first_kernel, head_width, skip)
        self.unconditional = PixelRNNNetwork(*sizes)
        self.upsampler = Upsampler(colours, context_channels, scale)
        self.conditional = PixelRNNNetwork(*sizes, context_channels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.on_levels(batch.images, self.draw(torch.rand, *batch.images.shape))
        loss = -self.log_likelihood(images).mean()
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def small(self, images: Tensor) -> Tensor:
        """A view of the pixels that are drawn first, ``(N, C, h, w)``, of ``(N, C, H, W)``."""
        return images[..., :: self.scale, :: self.scale]

    def context(self, images: Tensor) -> Tensor:
        """``(N, context_channels, H, W)``, from the pixels that are drawn first."""
        height, width = images.shape[2:]
        return self.upsampler(self.small(images))[..., :height, :width]

    def predict(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each pixel from those drawn before it, ``(N, P, H, W)``."""
        parameters = self.conditional(images, self.context(images)).clone()
        self.small(parameters)[:] = self.unconditional(self.small(images))
        return parameters

    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None = None) -> Iterator[Predicted]:
        for row, column, colours, parameters in self.unconditional.pixel_by_pixel(self.small(images)):
            yield row * self.scale, column * self.scale, colours, parameters
        for row, column, colours, parameters in self.conditional.pixel_by_pixel(images, self.context(images)):
            if row % self.scale or column % self.scale:
                yield row, column, colours, parameters
