"""MDAN: a picture is optimized until a discriminator takes its patches for those of a texture.

Li & Wand, "Precomputed Real-Time Texture Synthesis with Markovian Generative Adversarial Networks", ECCV 2016,
arXiv:1604.04382, section 3: Markovian deconvolutional adversarial networks.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from genlab.datasets.base import Dataset
from genlab.datasets.batches import Images
from genlab.datasets.images import centred, fit
from genlab.datasets.photos import photographs
from genlab.datasets.pictures import BadPictureError, PictureFiles, plain
from genlab.errors import DataError
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.markovian import (
    FeatureReader,
    Features,
    Layer,
    MarkovianDiscriminator,
    discriminator_loss,
    generator_loss,
    optimizing_discriminator,
    stride_of,
)

START = 0.1
"""The most that the first picture's pixels differ from grey."""


class MDAN(GenerativeModel):
    """The picture is what is learnt: its features are to look like those of the texture, patch by patch.

    Args:
        image_shape: ``(C, H, W)`` of the crops of the texture (paper: up to 3x384x384, the whole image).
        picture_size: ``(H, W)`` of the picture that is made.
        features: the network whose features are compared (paper: VGG19).
        layers: of it, each with a discriminator of its patches (paper: relu3_1).
        width: channels of each discriminator (authors' code: 256).
        content: a picture whose layout is kept, so that the texture becomes its style: the name of one of the
            embedded photographs or a file; None keeps nothing.
        content_layer: the layer in which the content is compared (authors' code: relu5_1).
        content_weight: of the squared difference of its features, against that of none at all (paper: 1, equation 1).
        smoothness_weight: of the mean squared difference of neighbouring pixels (authors' code: 1e-4 of a sum).
        picture_lr: learning rate of the picture (authors' code: 0.02).
        optimizer: called once for the picture and once for the discriminators (authors' code: Adam, lr 0.02, beta1
            0.5).

    Differs from the paper:
        - Discriminators of several layers see details of several sizes; relu3_1 alone leaves noise in few steps.
        - Features are, by default, those of the VGG16 that comes with genlab; it has no relu5_1.
        - Batch norm takes its averages from real patches; see ``MarkovianDiscriminator``.
        - Real patches are of random crops at their own scale, not of the image in nine scales and rotations.
        - Biases are not set to zero after each step, and the discriminators begin with PyTorch's weights; the authors'
          code draws N(0, 0.02).
        - The picture is clamped to [-1, 1] after each step, and each place of it counts once; the authors' code cuts
          extreme values when it saves, and averages patches of a grid that overlap.
        - The content's squared error is divided by the mean square of its features, so that its weight means the same
          in every layer of every network; the authors' code takes half of the error as it is.
        - The smoothness is a mean over the picture. The authors' code adds the differences to the gradient of each
          pixel, as of a sum: of 3x128x128 the same weight counts tens of thousands of times more there.
    """

    batch_type = Images

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        picture_size: tuple[PositiveInt, PositiveInt],
        features: Features,
        layers: Annotated[list[Layer], Field(min_length=1)],
        width: PositiveInt,
        content: str | None,
        content_layer: Layer,
        content_weight: NonNegativeFloat,
        smoothness_weight: NonNegativeFloat,
        picture_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        least = 8 * max(map(stride_of, layers))
        if min(*image_shape[1:], *picture_size) < least:
            raise ValueError(
                f"image_shape={list(image_shape)} and picture_size={list(picture_size)}: patches of 8x8 features of "
                f"{', '.join(layers)} have {least} pixels, so sides are at least that"
            )
        self.features = FeatureReader(features)
        self.content = content
        self.content_layer = content_layer
        self.content_weight = content_weight
        self.smoothness_weight = smoothness_weight
        self.picture_lr = picture_lr
        self.picture = nn.Parameter(torch.empty(1, image_shape[0], *picture_size).uniform_(-START, START))
        self.discriminator = MarkovianDiscriminator(layers, width, optimizing_discriminator)
        self.register_buffer("kept", torch.zeros(self.picture.shape if content is not None else (0,)))
        self.optimizer = optimizer

    def check_data(self, dataset: Dataset) -> None:
        """Reads the content, which is in every checkpoint from then on, and the network.

        Raises:
            DataError: one of them is not there.
            UsageError: the network has not all of the layers.
        """
        self.features.check([*self.discriminator, *([] if self.content is None else [self.content_layer])])
        if self.content is not None:
            picture = content_picture(self.content, self.picture.shape[1])
            self.kept = covering(picture, self.picture.shape[2], self.picture.shape[3]).to(self.picture)
            with torch.no_grad():
                self.picture.copy_(self.kept)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer([self.picture], lr=self.picture_lr),
            self.optimizer(self.discriminator.parameters()),
        ]

    def training_step(self, batch: Images, batch_idx: int) -> None:
        picture_optimizer, discriminator_optimizer = self.optimizers()
        layers = list(self.discriminator)
        with torch.no_grad():
            real = self.features(batch.images, layers)
        made = self.features(self.picture, layers if self.content is None else [*layers, self.content_layer])

        scores = self.discriminator(real, {layer: made[layer].detach() for layer in layers})
        d_loss = discriminator_loss(scores)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            scores = self.discriminator(real, made)
            loss = generator_loss(scores) + self.smoothness_weight * roughness(self.picture)
            if self.content is not None:
                loss = loss + self.content_weight * self.content_loss(made[self.content_layer])
            self.descend(picture_optimizer, loss, "picture")
        with torch.no_grad():
            self.picture.clamp_(-1, 1)
        self.report(discriminator=d_loss, picture=loss, roughness=roughness(self.picture))

    def content_loss(self, made: Tensor) -> Tensor:
        """Squared difference to the content's features, over their mean square."""
        with torch.no_grad():
            wanted = self.features(self.kept, [self.content_layer])[self.content_layer]
        return mse_loss(made, wanted) / wanted.square().mean()

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        """``val/discriminator`` far above ``train/discriminator``: it knows its patches by heart."""
        layers = list(self.discriminator)
        scores = self.discriminator(self.features(batch.images, layers), self.features(self.picture, layers))
        self.log("val/discriminator", discriminator_loss(scores), batch_size=len(batch.images), sync_dist=True)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """The picture, as many times: nothing is random but the noise that training began with."""
        return self.picture.detach().expand(num_samples, -1, -1, -1).clone()


def roughness(images: Tensor) -> Tensor:
    """The mean squared difference of neighbouring pixels."""
    return images.diff(dim=2).square().mean() + images.diff(dim=3).square().mean()


def content_picture(content: str, channels: int) -> Tensor:
    """An embedded photograph or a file, ``(1, channels, H, W)`` in [-1, 1].

    Raises:
        DataError: there is none of this name, or it cannot be read.
    """
    own = photographs("train") | photographs("test")
    path = Path(content).expanduser()
    if content in own:
        shape = (channels, *own[content].shape[1:])
        return centred(fit(own[content][None], 255, shape, "resize")[0])
    if not path.is_file():
        raise DataError(
            f"there is no photograph '{content}' and no such file\n"
            f"genlab's own: {', '.join(sorted(own))}\nset it with model.content=NAME or model.content=FILE"
        )
    try:
        array = np.array(plain(PictureFiles(path.parent, [path.name]).open(0, 2**15), channels))
    except BadPictureError as error:
        raise DataError(f"{path} {error}\nset another with model.content=FILE") from error
    return centred(torch.from_numpy(array).view(*array.shape[:2], channels).permute(2, 0, 1))[None]


def covering(picture: Tensor, height: int, width: int) -> Tensor:
    """The middle of a picture ``(1, C, H, W)``, as large as it goes, at this size."""
    factor = max(height / picture.shape[2], width / picture.shape[3])
    size = (max(height, round(picture.shape[2] * factor)), max(width, round(picture.shape[3] * factor)))
    larger = interpolate(picture, size, mode="bilinear", antialias=True)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return larger[:, :, top : top + height, left : left + width].clone()
