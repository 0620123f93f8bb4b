"""GAN with an auxiliary classifier.

Odena, Olah & Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017, arXiv:1610.09585.
"""

import torch
from pydantic import PositiveInt
from torch.nn.functional import cross_entropy

from genlab.datasets.batches import LabelledImages
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLabels, one_hot
from genlab.networks.dcgan import Discriminator, Generator, initialize


class ACGAN(FromLabels, GenerativeModel):
    """The generator is told a class, and the discriminator has to find it out.

    Args:
        image_shape: ``(C, H, W)``, square, as of DCGAN (paper: 3x128x128, 3x32x32).
        latent_dim: length of the noise (paper: 100, and 110 with the class).
        num_classes: labels are 0 to num_classes - 1 (paper: 10 in each of its models).
        width: channels of the largest map, of half the image's side; they double as it halves.
        optimizer: called once for each network (paper: Adam, lr 1e-4 to 3e-4, beta1 0.5).

    Differs from the paper:
        - The networks are DCGAN's, with kernels of 4x4; the paper's discriminator is deeper and has dropout and noise.
        - The generator's loss is the one that does not saturate; the paper's equations are the minimax game.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        num_classes: PositiveInt,
        width: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.noise_dim = latent_dim
        self.num_classes = num_classes
        self.latent_dim = latent_dim + num_classes
        self.generator = Generator(self.latent_dim, width, image_shape)
        self.discriminator = Discriminator(width, image_shape, outputs=1 + num_classes)
        self.optimizer = optimizer
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        images, labels = batch
        noise = self.draw(self.prior, len(images), self.noise_dim)
        asked = self.draw(torch.rand, len(images)).mul(self.num_classes).long()
        fake = self.generator(torch.cat([noise, one_hot(asked, self.num_classes)], 1))

        # Equations 2 and 3: the discriminator maximizes L_S + L_C.
        real_output, fake_output = self.discriminator(images), self.discriminator(fake.detach())
        source_loss = discriminator_loss(real_output[:, 0], fake_output[:, 0])
        class_loss = cross_entropy(real_output[:, 1:], labels) + cross_entropy(fake_output[:, 1:], asked)
        self.descend(discriminator_optimizer, source_loss + class_loss, "discriminator")

        with self.constant(self.discriminator):
            output = self.discriminator(fake)
            generator_loss = nonsaturating_generator_loss(output[:, 0])  # equation 2: L_C - L_S, not saturating
            generator_class_loss = cross_entropy(output[:, 1:], asked)
            self.descend(generator_optimizer, generator_loss + generator_class_loss, "generator")

        self.report(
            discriminator=source_loss,
            generator=generator_loss,
            real_score=real_output[:, 0].sigmoid().mean(),
            fake_score=fake_output[:, 0].sigmoid().mean(),
            real_accuracy=(real_output[:, 1:].argmax(1) == labels).float().mean(),
            fake_accuracy=(output[:, 1:].argmax(1) == asked).float().mean(),
        )

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        output = self.discriminator(batch.images)
        accuracy = (output[:, 1:].argmax(1) == batch.labels).float().mean()
        values = {"val/real_score": output[:, 0].sigmoid().mean(), "val/accuracy": accuracy}
        self.log_dict(values, batch_size=len(batch.images), sync_dist=True)
