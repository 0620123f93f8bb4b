"""GAN with spectral normalization, of residual networks.

Miyato, Kataoka, Koyama & Yoshida, "Spectral Normalization for Generative Adversarial Networks", ICLR 2018,
arXiv:1802.05957.
"""

from typing import TypeVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from genlab.datasets.batches import Images, Vectors
from genlab.losses.adversarial import hinge_discriminator_loss, hinge_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import num_doublings
from genlab.networks.mlp import mlp

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class GeneratorBlock(nn.Module):
    """Doubles the side: batch norm, ReLU and a convolution, twice, beside a convolution of 1x1 (figure 8).

    Shapes: ``(N, channels, H, W)`` -> ``(N, channels, 2H, 2W)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = xavier(nn.Conv2d(channels, channels, 3, padding=1), 2)
        self.conv2 = xavier(nn.Conv2d(channels, channels, 3, padding=1), 2)
        self.shortcut = xavier(nn.Conv2d(channels, channels, 1), 1)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.conv1(functional.interpolate(functional.relu(self.norm1(maps)), scale_factor=2))
        hidden = self.conv2(functional.relu(self.norm2(hidden)))
        # A convolution of 1x1 commutes with repeating pixels, and is cheaper before.
        return hidden + functional.interpolate(self.shortcut(maps), scale_factor=2)


class Generator(nn.Sequential):
    """Table 4a: a linear layer to the first map, and a block for each doubling.

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        side = image_shape[1] >> doublings
        super().__init__(
            xavier(nn.Linear(latent_dim, width * side * side), 1),
            nn.Unflatten(1, (width, side, side)),
            *(GeneratorBlock(width) for _ in range(doublings)),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            xavier(nn.Conv2d(width, image_shape[0], 3, padding=1), 1),
            nn.Tanh(),
        )


class DiscriminatorBlock(nn.Module):
    """ReLU and a convolution, twice; ``halve`` averages 2x2 pixels at its end (figure 8).

    Shapes: ``(N, channels, H, W)`` -> the same, or of half the sides.

    Args:
        image_channels: of the first block, which convolves images before any ReLU; 0: it is not the first.
    """

    def __init__(self, channels: int, halve: bool, image_channels: int = 0) -> None:
        super().__init__()
        inputs = image_channels or channels
        self.is_first, self.halve = image_channels > 0, halve
        self.conv1 = spectral_norm(xavier(nn.Conv2d(inputs, channels, 3, padding=1), 2))
        self.conv2 = spectral_norm(xavier(nn.Conv2d(channels, channels, 3, padding=1), 2))
        self.shortcut = spectral_norm(xavier(nn.Conv2d(inputs, channels, 1), 1)) if halve else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.conv1(maps if self.is_first else functional.relu(maps))
        hidden = self.conv2(functional.relu(hidden))
        if not self.halve:
            return hidden + maps
        return functional.avg_pool2d(hidden, 2) + self.shortcut(functional.avg_pool2d(maps, 2))


class Discriminator(nn.Module):
    """Table 4b: two blocks that halve and two that do not, ReLU, the sum over pixels, a linear layer.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> scores ``(N,)``.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            DiscriminatorBlock(width, halve=True, image_channels=image_shape[0]),
            DiscriminatorBlock(width, halve=True),
            DiscriminatorBlock(width, halve=False),
            DiscriminatorBlock(width, halve=False),
        )
        self.output = spectral_norm(xavier(nn.Linear(width, 1), 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.output(functional.relu(self.blocks(images)).sum((2, 3))).flatten(0)


def xavier(layer: Layer, squared_gain: float) -> Layer:
    """Glorot's uniform weights times the root of ``squared_gain``: 2 within blocks, else 1; biases of 0."""
    nn.init.xavier_uniform_(layer.weight, gain=squared_gain**0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class SNGAN(FromLatents, GenerativeModel):
    """Every weight matrix of the discriminator is divided by its largest singular value, so that its slope is bounded.

    The largest singular value is followed by one step of power iteration each time the network is used in training
    (algorithm 1).

    Args:
        data_shape: ``(C, H, W)``, square, the side 4, 5, 6 or 7 times a power of 2 (paper: 3x32x32), or ``(D,)`` of
            points.
        latent_dim: length of the latent vector z (paper: 128).
        generator_width: channels of the generator's blocks (paper: 256); of points, units of both hidden layers.
        discriminator_width: channels of the discriminator's blocks (paper: 128); the same of points.
        discriminator_steps: batches of the discriminator for each step of the generator (paper: 5).
        optimizer: called once for each network (paper: Adam, lr 2e-4, betas 0 and 0.9; falling linearly in
            the authors' code).

    Differs from the paper:
        - The generator trains on as many latents as there are images in a batch, where the authors' code takes 128 for
          64 images.
        - The discriminator's five steps come before the generator's, and real and generated images go through it
          together, so that a step has one of power iteration; in the authors' code the generator begins, and a step has
          two.
        - The last linear layer has a bias, and images are not dequantized by noise; the authors' code has no bias and
          adds uniform noise of 1/128.
    """

    batch_type = Images | Vectors
    saturates = False

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        generator_width: PositiveInt,
        discriminator_width: PositiveInt,
        discriminator_steps: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.discriminator_steps = discriminator_steps
        self.generator: nn.Module
        self.discriminator: nn.Module
        if len(data_shape) == 1:
            hidden = (generator_width, generator_width)
            self.generator = mlp(latent_dim, *hidden, *data_shape, activation=nn.ReLU)
            layers = mlp(*data_shape, discriminator_width, discriminator_width, 1, activation=nn.ReLU)
            bounded = (spectral_norm(layer) if isinstance(layer, nn.Linear) else layer for layer in layers)
            self.discriminator = nn.Sequential(*bounded, nn.Flatten(0))
        else:
            self.generator = Generator(latent_dim, generator_width, data_shape)
            self.discriminator = Discriminator(discriminator_width, data_shape)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        real = batch[0]
        with torch.no_grad():
            fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
        real_scores, fake_scores = self.discriminator(torch.cat([real, fake])).chunk(2)
        d_loss = hinge_discriminator_loss(real_scores, fake_scores)
        self.descend(discriminator_optimizer, d_loss, "discriminator")
        self.report(discriminator=d_loss, real_score=real_scores.mean(), fake_score=fake_scores.mean())

        if (self.global_step + 1) % self.discriminator_steps == 0:
            with self.constant(self.discriminator):
                fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
                g_loss = hinge_generator_loss(self.discriminator(fake))
                self.descend(generator_optimizer, g_loss, "generator")
            self.report(generator=g_loss)

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        score = self.discriminator(batch[0]).mean()
        self.log("val/real_score", score, batch_size=len(batch[0]), sync_dist=True)
