"""SRGAN: super-resolution that looks real, by an adversarial loss.

Ledig, Theis, Huszár, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang & Shi, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", CVPR 2017, arXiv:1609.04802.
"""

import warnings
from typing import Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import mse_loss

from genlab.datasets.batches import Images
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.losses.perceptual import Content, perceptual_distance
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_low_resolution import FromLowResolution
from genlab.networks.srresnet import Discriminator, Skip
from genlab.networks.vgg import best_features


class SRGAN(FromLowResolution, GenerativeModel):
    """The generator learns to be near the originals in pixels; then, against a discriminator, to look like them.

    Args:
        image_shape: ``(C, H, W)`` of the originals, sides multiples of ``scale`` (paper: crops of 3x96x96).
        scale: 2 or 4 (paper: 4).
        width: channels of all the generator's maps (paper: 64).
        num_blocks: its residual blocks (paper: 16).
        batch_norm: in the generator (paper: True); the discriminator always has it.
        skip: what the generator's output is added to, nothing or the bicubic enlargement (paper: none).
        discriminator_width: channels of the discriminator's first layers (paper: 64).
        content: what is to be near in the game, pixels or features of VGG19 (paper: vgg54, and for comparison mse and
            vgg22); the embedded VGG16 stands in where torch's cache has no VGG19, and its relu4_3 for VGG54.
        adversarial_weight: of the adversarial loss beside that of content (paper: 1e-3).
        pretrain_epochs: that train the generator on pixels alone, before the game (paper: 10^6 steps).
        pretrain_lr: learning rate of these (paper: 1e-4).
        optimizer: of the generator in the game and of the discriminator (paper: Adam, lr 1e-4 and then 1e-5, beta1
            0.9).

    Differs from the paper:
        - Small images are given in [-1, 1], as all images are here, not in [0, 1].
        - They are reduced by the bicubic filter of torch, which at the borders differs a little from MATLAB's.
        - They are not rounded to 8 bits, as those of files are.
        - With ``vgg22`` total variation has no part in the loss (paper: 2e-8 of it).
    """

    batch_type = Images
    best_by = ("val/perceptual_distance", "min")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        scale: Literal[2, 4],
        width: PositiveInt,
        num_blocks: PositiveInt,
        batch_norm: bool,
        skip: Skip,
        discriminator_width: PositiveInt,
        content: Content,
        adversarial_weight: NonNegativeFloat,
        pretrain_epochs: NonNegativeInt,
        pretrain_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.build(image_shape, scale, width, num_blocks, batch_norm, skip, content)
        self.discriminator = Discriminator(discriminator_width, image_shape)
        self.adversarial_weight = adversarial_weight
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_lr = pretrain_lr
        self.judge = self.content.network or best_features()
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters()),
            self.optimizer(self.discriminator.parameters()),
            self.optimizer(self.generator.parameters(), lr=self.pretrain_lr),
        ]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if (epochs := self.trainer.max_epochs) is not None and 0 <= epochs <= self.pretrain_epochs:
            warnings.warn(
                f"model.pretrain_epochs={self.pretrain_epochs} of trainer.max_epochs={epochs}: no epoch is left for "
                "the game, so this trains an SRResNet",
                stacklevel=2,
            )

    def training_step(self, batch: Images, batch_idx: int) -> None:
        if self.current_epoch < self.pretrain_epochs:
            self.pretrain(batch.images)
        else:
            self.play(batch.images)

    def pretrain(self, images: Tensor) -> None:
        *_, pretrain_optimizer = self.optimizers()
        squared_error = mse_loss(self.generator(self.degrade(images)).float(), images)
        self.descend(pretrain_optimizer, squared_error, "squared_error")
        self.report(squared_error=squared_error)

    def play(self, images: Tensor) -> None:
        generator_optimizer, discriminator_optimizer, _ = self.optimizers()
        fake = self.generator(self.degrade(images))

        # Two passes, so that batch norm sees real and generated images apart.
        real_logits, fake_logits = self.discriminator(images), self.discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            content = self.content(fake, images)
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, content + self.adversarial_weight * g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            content=content,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        made = self.translate(self.degrade(batch.images))
        values = {
            "val/psnr": signal_to_noise(made, batch.images, BORDER).mean(),
            "val/perceptual_distance": perceptual_distance(self.judge, made, batch.images).mean(),
        }
        self.log_dict(values, batch_size=len(made), sync_dist=True)
