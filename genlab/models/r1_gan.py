"""GAN with zero-centred gradient penalty on real data (R1).

Mescheder, Geiger & Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018, arXiv:1801.04406.
"""

import torch
from pydantic import NonNegativeFloat, PositiveInt

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss, r1_penalty
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import discriminator_of, generator_of


class R1GAN(FromLatents, GenerativeModel):
    """The first GAN's game, with a discriminator that is punished for any slope at real items.

    Args:
        data_shape: ``(C, H, W)`` as of DCGAN, or ``(D,)`` of points.
        latent_dim: length of the latent vector z (paper: 256).
        width: channels of the largest map, as in DCGAN; of points, units of both hidden layers.
        gamma: twice the weight of the penalty, equation 9 (paper: 10; the authors' code leaves the half out, so that
            its 10 is 20 here).
        optimizer: called once for each network (paper: RMSProp, lr 1e-4).

    Differs from the paper:
        - The networks are DCGAN's, without batch norm in the discriminator; the paper's are residual.
        - The generator's step has the latents of the discriminator's; the authors' code draws others.
    """

    batch_type = Images | Vectors

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        width: PositiveInt,
        gamma: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.gamma = gamma
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
        penalty = r1_penalty(self.discriminator, real)
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss + self.gamma / 2 * penalty, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            r1_penalty=penalty,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        score = self.discriminator(batch[0]).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch[0]), sync_dist=True)
