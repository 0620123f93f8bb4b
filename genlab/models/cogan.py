"""Coupled GANs.

Liu & Tuzel, "Coupled Generative Adversarial Networks", NIPS 2016, arXiv:1606.07536.
"""

from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from genlab.datasets.batches import UnpairedImages
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import uniform
from genlab.randomness import row_by_row


class Generator(nn.Module):
    """All layers but the last are shared, so that both images show one thing (appendix).

    Shapes: ``(N, latent_dim)`` -> images of both domains, each ``(N, C, 28, 28)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_channels: int) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, side: int, stride: int, padding: int) -> nn.Sequential:
            convolution = nn.ConvTranspose2d(inputs, outputs, side, stride, padding)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.PReLU())

        self.shared = nn.Sequential(
            nn.Unflatten(1, (latent_dim, 1, 1)),
            layer(latent_dim, 8 * width, 4, stride=1, padding=0),
            layer(8 * width, 4 * width, 3, stride=2, padding=1),
            layer(4 * width, 2 * width, 3, stride=2, padding=1),
            layer(2 * width, width, 3, stride=2, padding=1),
        )
        self.first = nn.Sequential(nn.ConvTranspose2d(width, image_channels, 6, padding=1), nn.Tanh())
        self.second = nn.Sequential(nn.ConvTranspose2d(width, image_channels, 6, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        features = self.shared(latent)
        return self.first(features), self.second(features)


class Discriminator(nn.Module):
    """The first convolution is each domain's own, the others are shared (appendix).

    Shapes: images of both domains, each ``(N, C, 28, 28)`` -> logits of both, each ``(N,)``.
    """

    def __init__(self, image_channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(image_channels, 20, 5), nn.MaxPool2d(2))
        self.second = nn.Sequential(nn.Conv2d(image_channels, 20, 5), nn.MaxPool2d(2))
        self.shared = nn.Sequential(
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(50 * 4 * 4, 500),
            nn.PReLU(),
            nn.Linear(500, 1),
            nn.Flatten(0),
        )

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([self.first(first), self.second(second)])
        logits, others = self.shared(features).split([len(first), len(second)])
        return logits, others


class CoGAN(GenerativeModel):
    """Two games at once, with tied weights: pairs are learned from two sets of images without any.

    Args:
        image_shape: ``(C, 28, 28)`` (paper: 1x28x28).
        latent_dim: length of the latent vector z, uniform in (-1, 1) (paper: 100).
        width: channels before the generator's last layer (paper: 128).
        optimizer: called once for both generators, once for both discriminators (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - Pixels are in [-1, 1] and end in tanh; the paper has a sigmoid for [0, 1].
        - The generator's loss is the one that does not saturate; the paper's equation is the minimax game.
        - Each training image is of one domain only, the two from disjoint halves of one set.
    """

    batch_type = UnpairedImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        width: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if image_shape[1:] != (28, 28):
            raise ValueError(f"image_shape={list(image_shape)}: the paper's networks are for 28x28")
        self.latent_dim = latent_dim
        self.generator = Generator(latent_dim, width, image_shape[0])
        self.discriminator = Discriminator(image_shape[0])
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        fake = self.generator(self.draw(uniform, len(batch.first), self.latent_dim))

        # The sum of both games.
        real_logits = self.discriminator(*batch)
        fake_logits = self.discriminator(*(images.detach() for images in fake))
        first_d_loss, second_d_loss = map(discriminator_loss, real_logits, fake_logits)
        self.descend(discriminator_optimizer, first_d_loss + second_d_loss, "discriminator")

        with self.constant(self.discriminator):
            first_g_loss, second_g_loss = map(nonsaturating_generator_loss, self.discriminator(*fake))
            self.descend(generator_optimizer, first_g_loss + second_g_loss, "generator")

        self.report(
            first_discriminator=first_d_loss,
            second_discriminator=second_d_loss,
            first_generator=first_g_loss,
            second_generator=second_g_loss,
        )

    def validation_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        for name, logits in zip(("first", "second"), self.discriminator(*batch), strict=True):
            self.log(f"val/{name}_real_score", logits.sigmoid().mean(), batch_size=len(batch.first), sync_dist=True)

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)``, uniform in (-1, 1)."""
        return row_by_row(num_samples, uniform, self.latent_dim, generator=generator).to(next(self.parameters()))

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, latent_dim)`` -> pairs side by side, ``(N, C, H, 2W)`` in (-1, 1)."""
        return torch.cat(self.generator(latent), 3)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Pairs side by side, ``(num_samples, C, H, 2W)`` in (-1, 1)."""
        return self.decode(self.draw_latent(num_samples, generator))
