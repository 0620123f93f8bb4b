"""The GAN of the website MakeGirls.moe, which draws portraits with the attributes one asks for.

Jin, Zhang, Li, Tian & Zhu, "Towards the Automatic Anime Characters Creation with Generative Adversarial Networks",
2017, arXiv:1708.05509.
"""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.datasets.batches import ImagesWithAttributes
from genlab.losses.adversarial import discriminator_loss, gradient_penalty, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_attributes import FromAttributes, coded


class AnimeGAN(FromAttributes, GenerativeModel):
    """DRAGAN with the generator of SRGAN; the discriminator finds out the attributes, too.

    Args:
        image_shape: ``(C, H, W)``, square, the side a power of 2 from 8 (paper: 3x128x128).
        attribute_names: of the data, in their order (paper: 34).
        latent_dim: length of the noise z (paper: 128).
        width: channels of the generator's maps (paper: 64).
        num_blocks: residual blocks of the generator (paper: 16).
        num_upsamplings: how often the generator doubles its first map (paper: 3, from 16x16).
        discriminator_width: channels of the discriminator's largest map; they double as it halves (paper: 32).
        discriminator_blocks: residual blocks of the discriminator at each size (paper: 2).
        adversarial_weight: lambda_adv, of real or generated against the attributes (paper: 34, their number).
        penalty_weight: lambda_gp, of the gradient penalty (paper: 0.5).
        noise_scale: of the noise around the data in standard deviations of the batch (paper: 0.5).
        optimizer: called once for each network (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - The generator has one more convolution after the residual blocks, as SRGAN has it.
        - The slope is taken at points between the data and the noise around it, as DRAGAN's authors have it.
        - The discriminator learns the attributes of real images alone, not those asked of generated ones.
        - The learning rate is constant (paper: it decays after 50,000 steps).
    """

    batch_type = ImagesWithAttributes

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        attribute_names: Annotated[list[str], Field(min_length=1)],
        latent_dim: PositiveInt,
        width: PositiveInt,
        num_blocks: NonNegativeInt,
        num_upsamplings: NonNegativeInt,
        discriminator_width: PositiveInt,
        discriminator_blocks: NonNegativeInt,
        adversarial_weight: NonNegativeFloat,
        penalty_weight: NonNegativeFloat,
        noise_scale: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        check_shape(image_shape, num_upsamplings)
        self.attribute_names = attribute_names
        self.noise_dim = latent_dim
        self.latent_dim = latent_dim + len(attribute_names)
        self.adversarial_weight = adversarial_weight
        self.penalty_weight = penalty_weight
        self.noise_scale = noise_scale
        self.generator = Generator(self.latent_dim, width, num_blocks, num_upsamplings, image_shape)
        self.discriminator = Discriminator(
            discriminator_width, discriminator_blocks, image_shape, 1 + len(attribute_names)
        )
        self.optimizer = optimizer
        self.register_buffer("attribute_rows", self.no_rows())
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: ImagesWithAttributes, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        real = batch.images.contiguous(memory_format=torch.channels_last)
        asked = batch.attributes.roll(1, 0)  # of other images: from the distribution of the training images
        fake = self.generator(torch.cat([self.draw(self.prior, len(real), self.noise_dim), coded(asked)], 1))

        # L_D = λ_adv L_adv(D) + L_cls(D) + λ_gp L_gp(D), the second of real images.
        real_output, fake_output = self.discriminator(real), self.discriminator(fake.detach())
        source_loss = discriminator_loss(real_output[:, 0], fake_output[:, 0])
        attribute_loss = of_attributes(real_output, batch.attributes)
        noise = self.noise_scale * real.std() * self.draw(torch.rand, *real.shape)
        penalty = gradient_penalty(self.source_logits, real + noise, real, self.draw(torch.rand, len(real)))
        d_loss = self.adversarial_weight * source_loss + attribute_loss + self.penalty_weight * penalty
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            output = self.discriminator(fake)
            generator_loss = nonsaturating_generator_loss(output[:, 0])
            generator_attribute_loss = of_attributes(output, asked)
            g_loss = self.adversarial_weight * generator_loss + generator_attribute_loss
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=source_loss,
            generator=generator_loss,
            gradient_penalty=penalty,
            real_score=real_output[:, 0].sigmoid().mean(),
            fake_score=fake_output[:, 0].sigmoid().mean(),
            real_attribute_accuracy=((real_output[:, 1:] > 0) == (batch.attributes > 0)).float().mean(),
            fake_attribute_accuracy=((output[:, 1:] > 0) == (asked > 0)).float().mean(),
        )

    def source_logits(self, images: Tensor) -> Tensor:
        return self.discriminator(images)[:, 0]

    def validation_step(self, batch: ImagesWithAttributes, batch_idx: int) -> None:
        output = self.discriminator(batch.images)
        accuracy = ((output[:, 1:] > 0) == (batch.attributes > 0)).float().mean()
        values = {"val/real_score": output[:, 0].sigmoid().mean(), "val/attribute_accuracy": accuracy}
        self.log_dict(values, batch_size=len(batch.images), sync_dist=True)


def of_attributes(output: Tensor, attributes: Tensor) -> Tensor:
    """Cross entropy of an image's attributes, nats: the sum over these, the mean over the batch."""
    losses = binary_cross_entropy_with_logits(output[:, 1:], attributes, reduction="none")
    return losses.sum(1).mean()


def check_shape(image_shape: tuple[int, ...], num_upsamplings: int) -> None:
    """Raises a ValueError unless the side is a power of 2 from 8 and can be halved so often."""
    _, height, side = image_shape
    if height != side or side < 8 or side & (side - 1):
        raise ValueError(f"image_shape={list(image_shape)}: expected a square whose side is 8, 16, 32, 64 or so on")
    if side >> num_upsamplings < 4:
        most = side.bit_length() - 3
        raise ValueError(f"num_upsamplings={num_upsamplings}: images of {side}x{side} allow at most {most}")


class Generator(nn.Module):
    """Figure 4: SRResNet from a small map of the latent on; its side doubles by sub-pixel convolutions.

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(
        self, latent_dim: int, width: int, num_blocks: int, num_upsamplings: int, image_shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        side = image_shape[1] >> num_upsamplings
        self.first = nn.Sequential(
            nn.Linear(latent_dim, width * side**2),
            nn.Unflatten(1, (width, side, side)),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        layers: list[nn.Module] = [GeneratorBlock(width) for _ in range(num_blocks)]
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.blocks = nn.Sequential(*layers)
        upsamplings: list[nn.Module] = []
        for _ in range(num_upsamplings):
            upsamplings += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
            upsamplings += [nn.BatchNorm2d(width), nn.ReLU()]
        self.last = nn.Sequential(*upsamplings, nn.Conv2d(width, image_shape[0], 9, padding=4), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        features = self.first(latent)
        return self.last(features + self.blocks(features))


class GeneratorBlock(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + super().forward(features)


class Discriminator(nn.Sequential):
    """Figure 5: residual blocks and a strided convolution at each size, down to 2x2; no batch norm.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N, outputs)``: of being real, then of each attribute.
    """

    def __init__(self, width: int, num_blocks: int, image_shape: tuple[int, ...], outputs: int) -> None:
        side, channels = image_shape[1] // 2, width
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 4, 2, 1), nn.LeakyReLU(0.2)]
        while side > 2:
            layers += [DiscriminatorBlock(channels) for _ in range(num_blocks)]
            layers += [nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.LeakyReLU(0.2)]
            side, channels = side // 2, 2 * channels
        super().__init__(*layers, nn.Flatten(), nn.Linear(4 * channels, outputs))


class DiscriminatorBlock(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            *(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, padding=1))
        )

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.leaky_relu(features + super().forward(features), 0.2)
