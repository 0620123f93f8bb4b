"""DiscoGAN: relations between two sets of images, found without pairs.

Kim, Cha, Kim, Lee & Kim, "Learning to Discover Cross-Domain Relations with Generative Adversarial Networks", ICML 2017,
arXiv:1703.05192.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from genlab.datasets.batches import UnpairedImages
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss, precise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import Discriminator, initialize, num_doublings

Share = Annotated[float, Field(ge=0, le=1)]


class DiscoGAN(GenerativeModel):
    """Two generators that undo each other, in which an image passes a map of 4x4 pixels without a way around it.

    Args:
        image_shape: ``(C, H, W)`` of both domains, square, the side 4, 5, 6 or 7 times a power of 2 (paper: 3x64x64).
        width: channels of the largest map; they double as it halves (paper: 64).
        bottleneck_dim: numbers that an image passes between halving and doubling; 0: as many as the smallest map has
            (authors' code: 0, or 100 for some pairs of domains).
        feature_weight: of the distance of the discriminator's features (authors' code: 0.9).
        adversarial_weight: of the discriminator's answer (authors' code: 0.1).
        first_share: of the reconstruction in the generators' loss at the start; the other terms have the rest (authors'
            code: 0.01).
        first_steps: that it is so (authors' code: 10,000).
        share: of the reconstruction afterwards (authors' code: 0.5).
        discriminator_every: of so many steps the discriminators have one, the generators the others (authors' code: 3).
        optimizer: called once for both generators, once for both discriminators (paper: Adam, lr 2e-4, beta1 0.5,
            weights decaying by 1e-4; authors' code: by 1e-5).

    Differs from the paper:
        - The distance of features, the growing share of the reconstruction and the turns are those of the authors'
          code; the paper's equations have none of them.
        - Pixels are in [-1, 1] and end in tanh, where the authors' code has a sigmoid for [0, 1]; their squared error
          counts as one of pixels in [0, 1].
        - An image of 32x32 is halved three times, not four.
        - Weights begin as DCGAN's, N(0, 0.02); the authors' code leaves them to its library.
        - Translations are normalized by running averages, so that none depends on those beside it; they mix those of
          real images and of generated ones, which each generator leads back.
    """

    batch_type = UnpairedImages
    directions = ("x_to_y", "y_to_x")
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        bottleneck_dim: NonNegativeInt,
        feature_weight: NonNegativeFloat,
        adversarial_weight: NonNegativeFloat,
        first_share: Share,
        first_steps: NonNegativeInt,
        share: Share,
        discriminator_every: Annotated[int, Field(ge=2)],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        # A bottleneck covers the whole smallest map.
        self.stride = image_shape[1] if bottleneck_dim else 2 ** num_doublings(image_shape)
        self.feature_weight = feature_weight
        self.adversarial_weight = adversarial_weight
        self.first_share = first_share
        self.first_steps = first_steps
        self.share = share
        self.discriminator_every = discriminator_every
        self.x_to_y = Generator(width, bottleneck_dim, image_shape).apply(initialize)
        self.y_to_x = Generator(width, bottleneck_dim, image_shape).apply(initialize)
        self.discriminator_x = Discriminator(width, image_shape).apply(initialize)
        self.discriminator_y = Discriminator(width, image_shape).apply(initialize)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        generators = nn.ModuleList([self.x_to_y, self.y_to_x])
        discriminators = nn.ModuleList([self.discriminator_x, self.discriminator_y])
        return [self.optimizer(generators.parameters()), self.optimizer(discriminators.parameters())]

    def training_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        x, y = (images.contiguous(memory_format=torch.channels_last) for images in batch)
        if self.global_step % self.discriminator_every == 0:
            self.discriminator_step(x, y)
        else:
            self.generator_step(x, y)

    def discriminator_step(self, x: Tensor, y: Tensor) -> None:
        _, discriminator_optimizer = self.optimizers()
        with torch.no_grad():
            fake_y, fake_x = self.x_to_y(x), self.y_to_x(y)
        d_loss_x = discriminator_loss(self.discriminator_x(x), self.discriminator_x(fake_x)) / 2
        d_loss_y = discriminator_loss(self.discriminator_y(y), self.discriminator_y(fake_y)) / 2
        self.descend(discriminator_optimizer, d_loss_x + d_loss_y, "discriminator")
        self.report(discriminator_x=d_loss_x, discriminator_y=d_loss_y)

    def generator_step(self, x: Tensor, y: Tensor) -> None:
        generator_optimizer, _ = self.optimizers()
        share = self.first_share if self.global_step < self.first_steps else self.share
        with self.constant(self.discriminator_x, self.discriminator_y):
            fake_y, fake_x = self.x_to_y(x), self.y_to_x(y)
            reconstruction = squared_error(self.y_to_x(fake_y), x) + squared_error(self.x_to_y(fake_x), y)
            logits_x, features_x = judged(self.discriminator_x, x, fake_x)
            logits_y, features_y = judged(self.discriminator_y, y, fake_y)
            g_loss_x, g_loss_y = map(nonsaturating_generator_loss, (logits_x, logits_y))
            deceit = self.adversarial_weight * (g_loss_x + g_loss_y) + self.feature_weight * (features_x + features_y)
            self.descend(generator_optimizer, (1 - share) * deceit + share * reconstruction, "generator")
        self.report(
            generator_x=g_loss_x,
            generator_y=g_loss_y,
            features_x=features_x,
            features_y=features_y,
            reconstruction=reconstruction,
        )

    def validation_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        x, y = batch
        cycle_x = squared_error(self.y_to_x(self.x_to_y(x)), x)
        cycle_y = squared_error(self.x_to_y(self.y_to_x(y)), y)
        cycles = {"val/reconstruction_x": cycle_x, "val/reconstruction_y": cycle_y}
        self.log_dict(cycles, batch_size=len(x), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        return (self.x_to_y if direction == "x_to_y" else self.y_to_x)(images)


def squared_error(images: Tensor, truth: Tensor) -> Tensor:
    """Of images in [-1, 1], as if pixels were in [0, 1]; the mean."""
    return mse_loss(precise(images), precise(truth)) / 4


def features(discriminator: Discriminator, images: Tensor) -> list[Tensor]:
    """What each layer of a discriminator gives after its norm and LeakyReLU, without the first, and its logits."""
    found = []
    for layer in discriminator:
        images = layer(images)
        if isinstance(layer, nn.LeakyReLU):
            found.append(images)
    return [*found[1:], images]


def judged(discriminator: Discriminator, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of generated images, and how far the means of their features are from those of real ones.

    Shapes: ``(N, C, H, W)`` in [-1, 1], both -> ``(N,)`` and a scalar: of each layer the squared difference of the
    means over the batch, the mean over its map; the sum over layers.
    """
    with torch.no_grad():
        wanted = features(discriminator, real)[:-1]
    *found, logits = features(discriminator, fake)
    return logits, feature_distance(found, wanted)


def feature_distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Of lists of ``(N, channels, H, W)``; see ``judged``."""
    distances = [mse_loss(precise(x).mean(0), precise(y).mean(0)) for x, y in zip(found, wanted, strict=True)]
    return torch.stack(distances).sum()


class Generator(nn.Sequential):
    """Halves the side with strided convolutions and doubles it again (section 2.2), no map beside another.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> the same in (-1, 1).
    """

    def __init__(self, width: int, bottleneck_dim: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in range(doublings)]
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 4, 2, 1, bias=False)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
        for narrow in channels[:-1]:
            layers += [nn.Conv2d(narrow, 2 * narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * narrow)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        if bottleneck_dim:
            side, wide = image_shape[1] >> doublings, channels[-1]
            layers += [nn.Conv2d(wide, bottleneck_dim, side, bias=False), nn.BatchNorm2d(bottleneck_dim)]
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.ConvTranspose2d(bottleneck_dim, wide, side, bias=False)]
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        for narrow in reversed(channels[:-1]):
            layers += [nn.ConvTranspose2d(2 * narrow, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow)]
            layers += [nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.ConvTranspose2d(width, image_shape[0], 4, 2, 1, bias=False), nn.Tanh())
