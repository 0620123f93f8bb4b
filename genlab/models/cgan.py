"""Conditional GAN.

Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784.
"""

import math
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genlab.datasets.batches import LabelledImages
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLabels, one_hot, uniform
from genlab.networks.maxout import Maxout


class Generator(nn.Module):
    """Noise and class have a hidden layer each, which meet in a third (section 4.1).

    Shapes: ``(N, noise_dim + num_classes)`` -> ``(N, C, H, W)`` in [-1, 1].
    """

    def __init__(self, noise_dim: int, num_classes: int, image_shape: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.sizes = [noise_dim, num_classes]
        self.of_noise = nn.Linear(noise_dim, 200)
        self.of_class = nn.Linear(num_classes, 1000)
        self.joint = nn.Sequential(
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1200, 1200),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1200, math.prod(image_shape)),
            nn.Tanh(),
            nn.Unflatten(1, image_shape),
        )

    def forward(self, latent: Tensor) -> Tensor:
        noise, condition = latent.split(self.sizes, 1)
        return self.joint(torch.cat([self.of_noise(noise), self.of_class(condition)], 1))


class Discriminator(nn.Module):
    """Maxout layers of the image and of the class, which meet in a third (section 4.1).

    Shapes: images ``(N, C, H, W)`` and classes ``(N, num_classes)`` -> logits ``(N,)``.
    """

    def __init__(self, num_classes: int, image_shape: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.of_image = Maxout(math.prod(image_shape), 240, 5)
        self.of_class = Maxout(num_classes, 50, 5)
        self.joint = nn.Sequential(
            nn.Dropout(dropout), Maxout(290, 240, 4), nn.Dropout(dropout), nn.Linear(240, 1), nn.Flatten(0)
        )

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        return self.joint(torch.cat([self.of_image(images.flatten(1)), self.of_class(condition)], 1))


class CGAN(FromLabels, GenerativeModel):
    """Generator and discriminator are both told the class of the image.

    Args:
        image_shape: ``(C, H, W)`` (paper: 1x28x28).
        latent_dim: length of the noise, uniform in (-1, 1) (paper: 100).
        num_classes: labels are 0 to num_classes - 1.
        dropout: share of hidden units left out in both networks (paper: 0.5).
        optimizer: called once for each network (paper: gradient descent, rate 0.1, with momentum from 0.5 to 0.7).

    Differs from the paper:
        - Trained by Adam without dropout in the recipe that comes with genlab; the paper's own is its experiment.
        - Noise is uniform in (-1, 1), the paper's in the unit hypercube; momentum stays at 0.5, the rate falls with the
          epoch, and training does not stop by a likelihood.
        - The generator ends in tanh for pixels in [-1, 1], where the paper has a sigmoid for [0, 1].
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        num_classes: PositiveInt,
        dropout: Annotated[float, Field(ge=0, lt=1)],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.prior = uniform
        self.noise_dim = latent_dim
        self.num_classes = num_classes
        self.latent_dim = latent_dim + num_classes
        self.generator = Generator(latent_dim, num_classes, image_shape, dropout)
        self.discriminator = Discriminator(num_classes, image_shape, dropout)
        self.optimizer = optimizer

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        condition = one_hot(batch.labels, self.num_classes).to(batch.images.dtype)
        fake = self.generator(torch.cat([self.draw(self.prior, len(condition), self.noise_dim), condition], 1))

        real_logits = self.discriminator(batch.images, condition)
        fake_logits = self.discriminator(fake.detach(), condition)
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake, condition))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        condition = one_hot(batch.labels, self.num_classes).to(batch.images.dtype)
        score = self.discriminator(batch.images, condition).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch.images), sync_dist=True)
