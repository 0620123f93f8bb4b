"""pix2pix: image-to-image translation learned from pairs.

Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
arXiv:1611.07004.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.datasets.batches import PairedImages
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import initialize
from genlab.networks.patchgan import PatchGAN
from genlab.networks.unet import UNet, noise_of, of_each


class Pix2Pix(GenerativeModel):
    """A U-Net that comes near the target pixel by pixel, and a discriminator that asks of each patch to look real.

    Args:
        image_shape: ``(C, H, W)`` of sources and targets; sides multiples of ``2 ** depth`` (paper: 3x256x256).
        width: channels of the first layers of both networks (paper: 64).
        depth: layers down of the U-Net (paper: 8).
        num_layers: of the discriminator that halve the side; with 3 it sees patches of 70x70 (paper: 3).
        norm: by the statistics of the batch, with a scale and an offset that are learned, or of each image, without
            them (paper: the first, of batches of one to ten).
        l1_weight: lambda of equation 4 (paper: 100).
        optimizer: called once for each network (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - Biases of convolutions are trained, where the authors' first code sets them to 0 at each step.
        - A U-Net that is 4 deep or less has no dropout, and so no noise.

    Dropout and the norm work at test time as in training, in all that translates (section 3.3): with ``norm=batch``
    images are then translated one by one.
    """

    batch_type = PairedImages
    best_by = ("val/l1", "min")
    least_batch = 1  # no map of one pixel is normalized
    directions = ("x_to_y",)
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        depth: Annotated[int, Field(ge=2)],
        num_layers: PositiveInt,
        norm: Literal["batch", "instance"],
        l1_weight: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.stride = 2**depth
        if height % self.stride or side % self.stride:
            raise ValueError(
                f"image_shape={list(image_shape)}: sides must be multiples of {self.stride}, as depth={depth} halves "
                "them so often"
            )
        self.norm = norm
        self.l1_weight = l1_weight
        self.generator = UNet(channels, channels, width, depth, norm).apply(initialize)
        self.discriminator = PatchGAN(2 * channels, width, num_layers, norm).apply(initialize)
        self.optimizer = optimizer

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: PairedImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        source, target = batch
        fake = self.generator(source, lambda num_rows, *shape: self.draw(torch.rand, num_rows, *shape))

        real_logits = self.discriminator(torch.cat([source, target], 1))
        fake_logits = self.discriminator(torch.cat([source, fake.detach()], 1))
        # Halved, which slows the discriminator down (section 3.3).
        d_loss = discriminator_loss(real_logits, fake_logits) / 2
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(torch.cat([source, fake], 1)))
            l1 = l1_loss(fake.float(), target)
            self.descend(generator_optimizer, g_loss + self.l1_weight * l1, "generator")

        self.report(discriminator=d_loss, generator=g_loss, l1=l1)

    def validation_step(self, batch: PairedImages, batch_idx: int) -> None:
        l1 = l1_loss(self.translate(batch.source).float(), batch.target)
        self.log("val/l1", l1, batch_size=len(batch.source), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        noise = noise_of(len(images), generator)
        if self.norm == "instance":
            return self.generator(images, of_each(noise))
        each = zip(images.split(1), noise, strict=True)
        return torch.cat([self.generator(image, of_each([one])) for image, one in each])
