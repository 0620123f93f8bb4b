"""PixelCNN++.

Salimans, Karpathy, Chen & Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", ICLR 2017, arXiv:1701.05517.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen
from genlab.losses.mixture import counted_from, discretized_logistic_mixture, num_parameters, sample_logistic_mixture
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_pixels import Binarization, FromPixels, Predicted
from genlab.networks.cached_two_streams import CachedTwoStreams
from genlab.networks.shifted import normalize_outputs
from genlab.networks.two_streams import TwoStreams, down, right

NUM_FIRST = 16
"""Images that the first scales and biases are made for: the authors' code."""


class PixelCNNPP(FromPixels, GenerativeModel):
    """Two streams, of the rows above and of all that is before, predict all colours of a pixel as a mixture.

    Likelihoods are in nats an image; docs/results.md says of which for each ``binarization``.

    Args:
        image_shape: ``(C, H, W)``; one colour or three, any height and width.
        num_levels: of a colour (paper: 256).
        binarization: see ``from_pixels`` (paper: none).
        num_classes: of images conditioned on a class; 0 for images without (paper: 0, or 10 for CIFAR-10).
        width: channels of both streams (paper: 192; authors' code: 160).
        num_blocks: gated blocks of each stream and scale on the way up; on the way down, one more at the first two
            scales (paper: 5).
        num_components: of the mixture (paper: about 5, section 2.1; authors' code: 10).
        means_from: what the means of the components are differences from. ``neighbours``: of a third of them from the
            pixel on the left, of a third from that above, so that flat colours are learnt at once (paper: zero).
        dropout: of the hidden features of each block (paper: 0.5).
        optimizer: called once (paper: Adam, lr 1e-3).

    Differs from the paper:
        - A pixel's probability is exact also below 1e-5, where the authors' code takes the density instead.
        - Samples are on the levels, and so is each colour when the next depends on it: a draw from the distribution
          that the likelihood is of. The authors' code does not round.
        - The loss is the mean over the images of a batch, not the sum, and Adam's eps is outside of the square root;
          this is the same but for eps.
        - Means may be differences from the neighbours.
        - A side may be odd: what the way down has too much is cut off.
        - Of the first images, channels that hardly change keep their scales, which would have no bound.
    """

    batch_type = LabelledImages
    has_begun: Tensor

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_levels: Annotated[int, Field(ge=2)],
        binarization: Binarization,
        num_classes: NonNegativeInt,
        width: PositiveInt,
        num_blocks: PositiveInt,
        num_components: PositiveInt,
        means_from: Literal["zero", "neighbours"],
        dropout: Annotated[float, Field(ge=0, lt=1)],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if means_from == "neighbours" and num_components < 3:
            raise ValueError(f"num_components={num_components}: means_from=neighbours needs 3 at least")
        self.image_shape = image_shape
        self.num_levels = num_levels
        self.binarization = binarization
        if num_classes:
            self.num_classes = num_classes
        self.num_components = num_components
        self.means_from = means_from
        self.optimizer = optimizer
        num_outputs = num_parameters(num_components, image_shape[0])
        self.network = TwoStreams(image_shape[0], width, num_blocks, num_outputs, dropout, num_classes)
        self.register_buffer("has_begun", torch.tensor(False))

    @property
    def num_uniforms(self) -> int:
        """One for the component, and one for each colour."""
        return 1 + self.image_shape[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def on_train_start(self) -> None:
        if not self.has_begun:
            source = dataset_of(self.trainer).sources["train"]
            batch = source.__getitems__(Chosen(-1, torch.arange(min(NUM_FIRST, len(source)))))
            self.begin(batch.images.to(self.device, self.dtype), batch.labels.to(self.device))

    def begin(self, images: Tensor, labels: Tensor) -> None:
        """Scales and biases of all layers from some images; dropout draws from torch's generator."""
        uniform = torch.rand(images.shape).to(images.device)
        normalize_outputs(self.network, self.on_levels(images, uniform), labels)
        if torch.distributed.is_initialized():  # devices may round differently
            for parameter in self.parameters():
                torch.distributed.broadcast(parameter.data, 0)
        self.has_begun.fill_(True)

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.on_levels(batch.images, self.draw(torch.rand, *batch.images.shape))
        loss = -self.log_likelihood_given(self.predict(images, batch.labels), images).mean()
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def predict(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.of_pixels(self.network(images, labels), right(images), down(images))

    def of_pixels(self, parameters: Tensor, left: Tensor, above: Tensor) -> Tensor:
        """The network's parameters ``(N, P, ...)``, with means from 0.

        Args:
            left, above: each pixel's neighbours, ``(N, C, ...)``, 0 outside of the image.
        """
        if self.means_from == "zero":
            return parameters
        third = self.num_components // 3
        zero = torch.zeros_like(left)
        origins = [left] * third + [above] * third + [zero] * (self.num_components - 2 * third)
        return counted_from(torch.stack(origins, dim=2), parameters)

    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None = None) -> Iterator[Predicted]:
        _, num_colours, height, width = images.shape
        cached = CachedTwoStreams(self.network, images, labels)
        outside = torch.zeros_like(images[:, :, 0, 0])
        for row in range(height):
            cached.start_row(row)
            for column in range(width):
                left = images[:, :, row, column - 1] if column else outside
                above = images[:, :, row - 1, column] if row else outside
                yield row, column, slice(0, num_colours), self.of_pixels(cached.pixel(row, column), left, above)

    def log_likelihood_given(self, parameters: Tensor, images: Tensor) -> Tensor:
        return -discretized_logistic_mixture(images, parameters, self.num_levels)

    def draw_pixel(self, parameters: Tensor, uniforms: Tensor, colours: slice) -> Tensor:
        return sample_logistic_mixture(parameters, uniforms, self.num_levels, self.temperature)
