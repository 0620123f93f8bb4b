"""Deep convolutional GAN.

Radford, Metz & Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016, arXiv:1511.06434.
"""

from typing import Literal

import torch
from pydantic import PositiveInt

from genlab.datasets.batches import Images
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents, uniform
from genlab.networks.dcgan import Discriminator, Generator, initialize


class DCGAN(FromLatents, GenerativeModel):
    """A convolutional generator and discriminator, trained in turn.

    Args:
        image_shape: ``(C, H, W)``; square, the side 4, 5, 6 or 7 times a power of 2 and at least 8 (paper: 3x64x64).
        latent_dim: length of the latent vector z (paper: 100).
        width: channels of the largest map, of half the image's side; they double as it halves (paper: 128).
        prior: of z, N(0, 1) or uniform in (-1, 1) (paper: uniform).
        optimizer: called once for each network (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - Kernels are 4x4, not 5x5: they overlap evenly at stride 2, and this is the network that the field calls DCGAN.
          The first batch norm of the generator is for each of its maps, where the authors' code has one for each pixel.
        - z is normal by default, as in most models that came after.
        - The discriminator and the generator both take a step with each batch, with the same generated images; the
          authors' code takes them in turn, one network a batch.
        - Samples are normalized by running averages, so that an image does not depend on those beside it; the authors'
          code normalizes them by their batch.
        - Weights do not decay (authors' code: by 1e-5).
    """

    batch_type = Images

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        width: PositiveInt,
        prior: Literal["normal", "uniform"],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.prior = torch.randn if prior == "normal" else uniform
        self.generator = Generator(latent_dim, width, image_shape)
        self.discriminator = Discriminator(width, image_shape)
        self.optimizer = optimizer
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: Images, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        images = batch.images.contiguous(memory_format=torch.channels_last)
        fake = self.generator(self.draw(self.prior, len(images), self.latent_dim))

        # Two passes, so that batch norm sees real and generated images apart.
        real_logits, fake_logits = self.discriminator(images), self.discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        """``val/real_score`` far below ``train/real_score``: the discriminator knows its images by heart."""
        score = self.discriminator(batch.images).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch.images), sync_dist=True)
