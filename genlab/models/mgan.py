"""MGAN: a generator that turns the features of any image into one of a given texture, in a single pass.

Li & Wand, "Precomputed Real-Time Texture Synthesis with Markovian Generative Adversarial Networks", ECCV 2016,
arXiv:1604.04382, section 3: Markovian generative adversarial networks.
"""

from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from genlab.datasets.base import Dataset
from genlab.datasets.batches import Images, UnpairedImages
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.markovian import (
    CHANNELS,
    FeatureReader,
    Features,
    Layer,
    MarkovianDiscriminator,
    discriminator_loss,
    feed_forward_discriminator,
    generator_loss,
    stride_of,
)
from genlab.randomness import row_by_row

OCTAVES = 5
"""Of the noise that textures are made of: white noise at the size of the image, at half of it, and so on."""


class MGAN(GenerativeModel):
    """A generator decodes features of VGG; discriminators of patches of features know the texture.

    Of one set of images, the texture, it learns to make them of noise; of two domains it learns to make the first look
    like the second and keep its layout, as style transfer does.

    Args:
        image_shape: ``(C, H, W)`` of the crops, sides multiples of the encoder's stride (paper: 3x128x128).
        features: the network that encodes, and whose features are compared (paper: VGG19).
        encoder_layer: of it, of the second block at least, which the generator decodes (authors' code: relu4_1).
        layers: of it, each with a discriminator of its patches (paper: relu3_1).
        width: channels of the generator's largest map (authors' code: 128).
        discriminator_width: channels of the first convolution of each discriminator (authors' code: 256).
        content_weight: of the squared difference of the encoded features of the image and of what becomes of it,
            against that of none at all; noise has no content (paper: see below).
        generator_lr: learning rate of the generator (authors' code: 0.02).
        optimizer: called once for the generator and once for the discriminators (authors' code: Adam, lr 0.02, beta1
            0.5).

    Differs from the paper:
        - The paper first makes the pictures of many contents by MDAN and has the generator reproduce their pixels, with
          weight 1 against 0.01 of the discriminator. Here the discriminator alone teaches the texture, with weight 1,
          and the features of the content what is to stay, so that there is one training and no other model. Their
          squared error is divided by their mean square.
        - Discriminators of several layers see details of several sizes.
        - Features are, by default, those of the VGG16 that comes with genlab.
        - Batch norm of the discriminators takes its averages from real patches; see ``MarkovianDiscriminator``.
        - Scores at the border are not left out, and biases are not set to zero after each step; all networks begin with
          PyTorch's weights, where the authors' code draws N(0, 0.02).
    """

    batch_type = Images | UnpairedImages
    directions = ("x_to_y",)
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        features: Features,
        encoder_layer: Annotated[str, Field(pattern=r"^relu[2-5]_[1-4]$")],
        layers: Annotated[list[Layer], Field(min_length=1)],
        width: PositiveInt,
        discriminator_width: PositiveInt,
        content_weight: NonNegativeFloat,
        generator_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.stride = stride_of(encoder_layer)
        # A discriminator has a score for each 4x4 features.
        least = max(self.stride, 4 * max(map(stride_of, layers)))
        if image_shape[1] % least or image_shape[2] % least:
            raise ValueError(f"image_shape={list(image_shape)}: sides are multiples of {least} with these layers")
        self.image_shape = image_shape
        self.features = FeatureReader(features)
        self.encoder_layer = encoder_layer
        self.content_weight = content_weight
        self.generator_lr = generator_lr
        self.generator = MarkovianGenerator(encoder_layer, width, image_shape[0])
        self.discriminator = MarkovianDiscriminator(layers, discriminator_width, feed_forward_discriminator)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def check_data(self, dataset: Dataset) -> None:
        """
        Raises:
            DataError: the network is not there.
            UsageError: it has not all of the layers.
        """
        self.features.check([self.encoder_layer, *self.discriminator])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters(), lr=self.generator_lr),
            self.optimizer(self.discriminator.parameters()),
        ]

    def training_step(self, batch: Images | UnpairedImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        layers = list(self.discriminator)
        if isinstance(batch, UnpairedImages):
            content, textures, content_weight = batch.first, batch.second, self.content_weight
        else:
            content = self.noise_images(self.draw(torch.randn, len(batch.images), self.noise_dim))
            textures, content_weight = batch.images, 0.0
        with torch.no_grad():
            real = self.features(textures, layers)
            encoded = self.features(content, [self.encoder_layer])[self.encoder_layer]
        made = self.features(self.generator(encoded), [*layers, self.encoder_layer])

        d_loss = discriminator_loss(self.discriminator(real, {layer: made[layer].detach() for layer in layers}))
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            adversarial = generator_loss(self.discriminator(real, made))
            lost = mse_loss(made[self.encoder_layer], encoded) / encoded.square().mean()
            self.descend(generator_optimizer, adversarial + content_weight * lost, "generator")
        self.report(discriminator=d_loss, generator=adversarial, content=lost)

    def validation_step(self, batch: Images | UnpairedImages, batch_idx: int) -> None:
        """``val/generator`` near 0: held-out contents become what the discriminators take for the texture."""
        layers = list(self.discriminator)
        if isinstance(batch, UnpairedImages):
            content, textures = batch
        else:
            textures = batch.images
            content = self.noise_images(self.draw(torch.randn, len(textures), self.noise_dim))
        scores = self.discriminator(self.features(textures, layers), self.features(self.translate(content), layers))
        self.log("val/generator", generator_loss(scores), batch_size=len(textures), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """Images of any size of the texture, which have what the encoder sees of these."""
        return self.generator(self.features(images, [self.encoder_layer])[self.encoder_layer])

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """The texture made of noise, ``(num_samples, *image_shape)``."""
        noise = row_by_row(num_samples, torch.randn, self.noise_dim, generator=generator)
        return self.translate(self.noise_images(noise.to(next(self.parameters()))))

    @property
    def noise_sizes(self) -> list[tuple[int, int]]:
        _, height, width = self.image_shape
        return [(max(1, height >> octave), max(1, width >> octave)) for octave in range(OCTAVES)]

    @property
    def noise_dim(self) -> int:
        """Numbers that an image of noise is made of."""
        return sum(self.image_shape[0] * height * width for height, width in self.noise_sizes)

    def noise_images(self, noise: Tensor) -> Tensor:
        """Images whose details of every size are alike strong, as those of Brownian noise.

        Shapes: ``(N, noise_dim)`` from N(0, 1) -> ``(N, *image_shape)`` in (-1, 1).
        """
        channels, height, width = self.image_shape
        parts = noise.split([channels * rows * columns for rows, columns in self.noise_sizes], 1)
        octaves = [
            interpolate(part.view(-1, channels, *size), (height, width), mode="bilinear")
            for part, size in zip(parts, self.noise_sizes, strict=True)
        ]
        return (torch.stack(octaves).sum(0) / OCTAVES).tanh()


class MarkovianGenerator(nn.Sequential):
    """Transposed convolutions from the features of a layer to an image.

    Shapes: ``(N, channels, h, w)`` -> ``(N, out_channels, h · stride, w · stride)`` in (-1, 1).

    Args:
        width: channels of the largest map; they double as it halves.
    """

    def __init__(self, layer: str, width: int, out_channels: int) -> None:
        doublings = int(layer[4]) - 1
        channels = [width * 2**level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(CHANNELS[layer[4]], channels[0], 3, padding=1)]
        for wide, narrow in pairwise([*channels, out_channels]):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)]
        super().__init__(*layers, nn.Tanh())
