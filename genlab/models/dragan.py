"""DRAGAN: deep regret analytic GAN.

Kodali, Abernethy, Hays & Kira, "On Convergence and Stability of GANs", 2017, arXiv:1705.07215.
"""

import torch
from pydantic import NonNegativeFloat, PositiveInt

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import discriminator_loss, gradient_penalty, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import discriminator_of, generator_of


class DRAGAN(FromLatents, GenerativeModel):
    """The first GAN's game, with the discriminator's slope drawn to 1 around the data only.

    Args:
        data_shape: ``(C, H, W)`` as of DCGAN, or ``(D,)`` of points.
        latent_dim: length of the latent vector z (authors' code: 100).
        width: channels of the largest map, as in DCGAN; of points, units of both hidden layers.
        penalty_weight: lambda, of the gradient penalty (paper: 10; here 0.1 for points in the plane).
        noise_scale: c, of the noise around the data in standard deviations of the batch (authors' code: 0.5).
        optimizer: called once for each network (paper: Adam; authors' code: lr 1e-4, betas 0.5 and 0.9).

    Differs from the paper:
        - The noise is uniform in [0, c std) and a point between the data and it is taken, as in the authors' code; the
          paper's is normal.
        - The standard deviation is that of a process's share of the batch.
        - z is normal (authors' code: uniform in (-1, 1)), and the generator's step has the latents of the
          discriminator's; the authors' code draws others.
        - The discriminator has no batch norm, with which a slope would not be that of one image.
    """

    batch_type = Images | Vectors

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        width: PositiveInt,
        penalty_weight: NonNegativeFloat,
        noise_scale: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.penalty_weight = penalty_weight
        self.noise_scale = noise_scale
        self.generator = generator_of(data_shape, latent_dim, width)
        self.discriminator = discriminator_of(data_shape, width, batch_norm=False)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        real = batch[0]
        fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))

        real_logits, fake_logits = self.discriminator(torch.cat([real, fake.detach()])).chunk(2)
        noise = self.noise_scale * real.std() * self.draw(torch.rand, *real.shape)
        penalty = gradient_penalty(self.discriminator, real + noise, real, self.draw(torch.rand, len(real)))
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss + self.penalty_weight * penalty, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            gradient_penalty=penalty,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        score = self.discriminator(batch[0]).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch[0]), sync_dist=True)
