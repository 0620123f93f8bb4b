"""Deep convolutional GAN.

Radford, Metz & Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016, arXiv:1511.06434.
"""

from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.batches import LabelledImages
from genlab.models.base import GenerativeModel, OptimizerFactory, row_by_row


def num_doublings(image_shape: tuple[int, int, int]) -> int:
    """How often the generator doubles its first map, of side 4 to 7, to reach the image (figure 1: 4 times from 4).

    Raises:
        ValueError: the image is not square, or of a side that is not reached.
    """
    _, height, side = image_shape
    doublings = 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    if height != image_shape[2] or not 4 <= side <= 7 or doublings == 0:
        raise ValueError(
            f"image_shape={list(image_shape)}: expected a square whose side is 4, 5, 6 or 7 times a power of 2 and at "
            "least 8, as 28, 32, 48 or 64"
        )
    return doublings


class Generator(nn.Sequential):
    """Doubles the side and halves the channels with each strided transposed convolution (section 3, figure 1).

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, int, int]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent_dim, 1, 1)),
            nn.ConvTranspose2d(latent_dim, channels[0], image_shape[1] >> doublings, bias=False),
        ]
        for wide, narrow in zip(channels, [*channels[1:], image_shape[0]], strict=True):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)]
        super().__init__(*layers, nn.Tanh())


class Discriminator(nn.Sequential):
    """The generator in reverse: strided convolutions instead of pooling, LeakyReLU, batch norm but at the input.

    Batch norm keeps no running averages: they would be of real and generated images together, and no batch is like
    that. It normalizes by the batch in evaluation, too, so scores of held-out images compare with those of training.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)``, positive for real images.
    """

    def __init__(self, width: int, image_shape: tuple[int, int, int]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in range(doublings)]
        layers: list[nn.Module] = [
            nn.Conv2d(image_shape[0], width, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(wide, track_running_stats=False), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 1, image_shape[1] >> doublings, bias=False), nn.Flatten(0))


class DCGAN(GenerativeModel):
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

    batch_type = LabelledImages

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

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        images = batch.images.contiguous(memory_format=torch.channels_last)
        fake = self.generator(self.draw(self.prior, len(images), self.latent_dim))

        # Two passes, so that batch norm sees real and generated images apart.
        real_logits, fake_logits = self.discriminator(images), self.discriminator(fake.detach())
        discriminator_loss = cross_entropy(real_logits, 1) + cross_entropy(fake_logits, 0)
        self.descend(discriminator_optimizer, discriminator_loss, "discriminator")

        with self.constant(self.discriminator):
            # Goodfellow et al., 2014, section 3: maximize log D(G(z)) instead of minimizing log(1 - D(G(z))).
            generator_loss = cross_entropy(self.discriminator(fake), 1)
            self.descend(generator_optimizer, generator_loss, "generator")

        self.report(
            discriminator=discriminator_loss,
            generator=generator_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """``val/real_score`` far below ``train/real_score``: the discriminator knows its images by heart."""
        score = self.discriminator(batch.images).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch.images), sync_dist=True)

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)`` from the prior."""
        return row_by_row(num_samples, lambda: self.prior(self.latent_dim, generator=generator)).to(self.device)

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, latent_dim)`` -> images ``(N, C, H, W)`` in (-1, 1)."""
        return self.generator(latent)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Images of latents from the prior, ``(num_samples, C, H, W)`` in (-1, 1).

        Batch norm uses its running statistics once the model is in evaluation mode, so that an image does not depend on
        those beside it.
        """
        return self.decode(self.draw_latent(num_samples, generator))


def cross_entropy(logits: Tensor, label: int) -> Tensor:
    """-log D for the label 1 (real) or -log(1 - D) for 0, with D = sigmoid(logits): the mean over the batch, in nats.

    Under autocast it is computed in float32.
    """
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def uniform(*shape: int, **how: Any) -> Tensor:
    """Uniform in [-1, 1); arguments as of ``torch.rand``."""
    return torch.rand(*shape, **how).mul_(2).sub_(1)


def initialize(module: nn.Module) -> None:
    """Weights from N(0, 0.02) (section 4) and, as in the authors' code, gains of batch norm from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
