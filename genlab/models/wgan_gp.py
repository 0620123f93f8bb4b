"""Wasserstein GAN with gradient penalty.

Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, "Improved Training of Wasserstein GANs", NIPS 2017, arXiv:1704.00028.
"""

import torch
from pydantic import NonNegativeFloat, PositiveInt

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import gradient_penalty, wasserstein_critic_loss, wasserstein_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import discriminator_of, generator_of


class WGANGP(FromLatents, GenerativeModel):
    """The critic's slope is drawn to 1 between real and generated items, instead of its weights being clipped.

    Args:
        data_shape: ``(C, H, W)`` as of DCGAN, or ``(D,)`` of points.
        latent_dim: length of the latent vector z (paper: 128).
        width: channels of the largest map, as in DCGAN (authors' code: 64); of points, units of both hidden layers.
        penalty_weight: lambda, of the gradient penalty (paper: 10, for toys too; authors' code: 0.1 for points in
            the plane).
        critic_steps: batches of the critic for each step of the generator (paper: 5).
        optimizer: called once for each network (paper: Adam, lr 1e-4, betas 0 and 0.9).

    Differs from the paper:
        - The networks are DCGAN's, the paper's baseline (section 5.2), with kernels of 4x4 (authors' code: 5x5); its
          best scores are from residual ones, as ``sngan`` has.
        - The critic has no normalization at all, where the paper recommends layer normalization.
    """

    batch_type = Images | Vectors

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        width: PositiveInt,
        penalty_weight: NonNegativeFloat,
        critic_steps: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.penalty_weight = penalty_weight
        self.critic_steps = critic_steps
        self.generator = generator_of(data_shape, latent_dim, width)
        self.critic = discriminator_of(data_shape, width, batch_norm=False)
        self.critic[-2].register_parameter("bias", None)  # differences of scores do not depend on it
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.critic.parameters())]

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, critic_optimizer = self.optimizers()
        real = batch[0]
        with torch.no_grad():
            fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
        real_scores, fake_scores = self.critic(torch.cat([real, fake])).chunk(2)
        distance = -wasserstein_critic_loss(real_scores, fake_scores)
        penalty = gradient_penalty(self.critic, real, fake, self.draw(torch.rand, len(real)))
        critic_loss = -distance + self.penalty_weight * penalty
        self.descend(critic_optimizer, critic_loss, "critic")
        self.report(critic=critic_loss, wasserstein_distance=distance, gradient_penalty=penalty)

        if (self.global_step + 1) % self.critic_steps == 0:
            with self.constant(self.critic):
                fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
                generator_loss = wasserstein_generator_loss(self.critic(fake))
                self.descend(generator_optimizer, generator_loss, "generator")
            self.report(generator=generator_loss)

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        """``val/wasserstein_distance`` far below that of training: the critic knows its images by heart."""
        fake = self.generator(self.draw(self.prior, len(batch[0]), self.latent_dim))
        distance = -wasserstein_critic_loss(self.critic(batch[0]), self.critic(fake))
        self.log("val/wasserstein_distance", distance, batch_size=len(batch[0]), sync_dist=True)
