"""Wasserstein GAN with clipped weights.

Arjovsky, Chintala & Bottou, "Wasserstein Generative Adversarial Networks", ICML 2017, arXiv:1701.07875.
"""

import torch
from pydantic import PositiveFloat, PositiveInt

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import discriminator_of, generator_of


class WGAN(FromLatents, GenerativeModel):
    """A critic with bounded weights estimates the Wasserstein distance to the data, and the generator descends it.

    Args:
        data_shape: ``(C, H, W)`` as of DCGAN, or ``(D,)`` of points.
        latent_dim: length of the latent vector z (authors' code: 100).
        width: channels of the largest map, as in DCGAN (authors' code: 64); of points, units of both hidden layers.
        clip: bound of each of the critic's weights, gains of batch norm included, after its step (paper: 0.01).
        critic_steps: batches of the critic for each step of the generator (paper: 5).
        optimizer: called once for each network (paper: RMSProp, lr 5e-5).

    Differs from the paper:
        - The critic takes 5 steps from the beginning; the authors' code gives it 100 for each of the generator's first
          25 and for every 500th.
        - Weights are clipped after the critic's step, as in algorithm 1; the authors' code clips before it.
    """

    batch_type = Images | Vectors

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        width: PositiveInt,
        clip: PositiveFloat,
        critic_steps: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.clip = clip
        self.critic_steps = critic_steps
        self.generator = generator_of(data_shape, latent_dim, width)
        self.critic = discriminator_of(data_shape, width, batch_norm=True)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.critic.parameters())]

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, critic_optimizer = self.optimizers()
        real = batch[0]
        with torch.no_grad():
            fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
        critic_loss = wasserstein_critic_loss(self.critic(real), self.critic(fake))
        self.descend(critic_optimizer, critic_loss, "critic")
        with torch.no_grad():
            for weight in self.critic.parameters():
                weight.clamp_(-self.clip, self.clip)
        self.report(critic=critic_loss, wasserstein_distance=-critic_loss)

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
