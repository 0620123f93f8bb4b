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
from genlab.networks import dcgan
from genlab.networks.maxout import Maxout


class Generator(nn.Module):
    """The paper's: noise and class have a hidden layer each, which meet in a third (section 4.1).

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
    """The paper's: maxout layers of the image and of the class, which meet in a third (section 4.1).

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


class ProjectionDiscriminator(nn.Module):
    """DCGAN's, of a logit of any class plus one of the class told, both linear in the same features of the image.

    Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018, arXiv:1802.05637, equation 3.

    Shapes: images ``(N, C, H, W)`` and classes ``(N, num_classes)`` -> logits ``(N,)``.
    """

    def __init__(self, num_classes: int, image_shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.of_image = dcgan.Discriminator(width, image_shape, outputs=1 + num_classes)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        logits = self.of_image(images)
        return logits[:, 0] + (logits[:, 1:] * condition).sum(1)


class CGAN(FromLabels, GenerativeModel):
    """Generator and discriminator are both told the class of the image.

    Args:
        image_shape: ``(C, H, W)`` (paper: 1x28x28); square, as of DCGAN, with a width.
        latent_dim: length of the noise, uniform in (-1, 1) (paper: 100).
        num_classes: labels are 0 to num_classes - 1.
        width: channels of the largest map, as in DCGAN; None: the paper's fully connected networks.
        dropout: share of hidden units left out in both of the paper's networks (paper: 0.5); 0 with a width.
        optimizer: called once for each network (paper: gradient descent, rate 0.1, with momentum from 0.5 to 0.7).

    Raises:
        ValueError: dropout with a width.

    Differs from the paper:
        - With a width the networks are convolutional and trained by Adam: the paper's draw one image for each class, or
          one for all, in the minutes that a laptop has. The generator is told the class with the noise and the
          discriminator at its end, where the class is learned sooner than as maps beside the image or beside its first
          features. The paper holds the discriminator's architecture for not critical (section 4.1).
        - Noise is uniform in (-1, 1), the paper's in the unit hypercube; momentum stays at 0.5, the rate falls with the
          epoch, and training does not stop by a likelihood.
        - The generator ends in tanh for pixels in [-1, 1], where the paper has a sigmoid for [0, 1].
        - The generator's loss is the one that does not saturate; the paper's equation is the minimax game.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        num_classes: PositiveInt,
        width: PositiveInt | None,
        dropout: Annotated[float, Field(ge=0, lt=1)],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if width is not None and dropout:
            raise ValueError(f"dropout={dropout} with width={width}: only the paper's networks have it; set width=null")
        self.prior = uniform
        self.noise_dim = latent_dim
        self.num_classes = num_classes
        self.latent_dim = latent_dim + num_classes
        self.optimizer = optimizer
        self.discriminator: nn.Module
        if width is None:
            self.generator = Generator(latent_dim, num_classes, image_shape, dropout)
            self.discriminator = Discriminator(num_classes, image_shape, dropout)
        else:
            self.generator = dcgan.Generator(self.latent_dim, width, image_shape)
            self.discriminator = ProjectionDiscriminator(num_classes, image_shape, width)
            self.apply(dcgan.initialize)
            self.to(memory_format=torch.channels_last)

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
