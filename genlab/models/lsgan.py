"""Least squares GAN.

Mao, Li, Xie, Lau, Wang & Smolley, "Least Squares Generative Adversarial Networks", ICCV 2017, arXiv:1611.04076.
"""

import torch
from pydantic import PositiveInt

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import least_squares_discriminator_loss, least_squares_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import discriminator_of, generator_of


class LSGAN(FromLatents, GenerativeModel):
    """Scores are drawn to 1 for real and to 0 for generated items by squares, which pull on those far off, too.

    Args:
        data_shape: ``(C, H, W)`` as of DCGAN, or ``(D,)`` of points.
        latent_dim: length of the latent vector z (paper: 1024).
        width: channels of the largest map, as in DCGAN; of points, units of both hidden layers (paper: 64).
        optimizer: called once for each network (paper: Adam, lr 2e-4 to 1e-3 by data set, beta1 0.5).

    Differs from the paper:
        - The networks are DCGAN's with kernels of 4x4, where the paper's generator has two more layers of stride 1.
        - z is normal and shorter.
    """

    batch_type = Images | Vectors
    saturates = False

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        width: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.generator = generator_of(data_shape, latent_dim, width)
        self.discriminator = discriminator_of(data_shape, width, batch_norm=True)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        real = batch[0]
        fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))

        real_scores, fake_scores = self.discriminator(real), self.discriminator(fake.detach())
        d_loss = least_squares_discriminator_loss(real_scores, fake_scores)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = least_squares_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss, generator=g_loss, real_score=real_scores.mean(), fake_score=fake_scores.mean()
        )

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        score = self.discriminator(batch[0]).mean()
        self.log("val/real_score", score, batch_size=len(batch[0]), sync_dist=True)
