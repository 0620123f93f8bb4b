"""A pix2pix that mends photographs which it has spoilt itself.

Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017,
arXiv:1611.07004.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import conv2d, l1_loss, pad

from genlab.datasets.batches import Images
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import initialize
from genlab.networks.patchgan import PatchGAN
from genlab.networks.unet import UNet, Uniform, noise_of, of_each

NUM_CHANCES = 5
"""Random numbers that say how much an image is spoilt: darkness, fading, blur, noise and blocks."""

QUANTIZATION = (
    *((16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56)),
    *((14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92)),
    *((49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99)),
)
"""Steps of the frequencies of a block of 8x8 pixels in JPEG files of quality 50: ITU-T T.81, table K.1."""


def faded(values: Tensor, darkness: Tensor, fading: Tensor) -> Tensor:
    """Values in [0, 1] raised to the power ``1 + darkness``, then drawn to the middle by the share ``fading``."""
    return 0.5 + (1 - fading) * (values ** (1 + darkness) - 0.5)


def unfaded(values: Tensor, darkness: float, fading: float) -> Tensor:
    """The inverse of ``faded``; what it cannot have made becomes 0 or 1."""
    return ((values - 0.5) / (1 - fading) + 0.5).clamp(0, 1) ** (1 / (1 + darkness))


def blurred(values: Tensor, deviations: Tensor) -> Tensor:
    """Each image ``(C, H, W)`` under a Gaussian of its own standard deviation ``(N,)`` in pixels, cut at 4 pixels."""
    places = torch.arange(-4, 5, device=values.device)
    weights = (-0.5 * (places / deviations.clamp(min=1e-3)[:, None]) ** 2).softmax(1)
    count, channels, height, width = values.shape
    kernels = weights.repeat_interleave(channels, 0)
    maps = pad(values, [4] * 4, mode="replicate").view(1, count * channels, height + 8, width + 8)
    maps = conv2d(maps, kernels[:, None, :, None], groups=count * channels)
    return conv2d(maps, kernels[:, None, None, :], groups=count * channels).view(values.shape)


def blocked(values: Tensor, coarseness: Tensor) -> Tensor:
    """Blocks of 8x8 pixels with their frequencies rounded, as JPEG does, each colour alone.

    Shapes: ``(N, C, H, W)`` in [0, 1] -> the same, which it may leave a little.

    Args:
        coarseness: of each image, ``(N,)``: 1 is quality 50, 0 rounds to one grey level.
    """
    height, width = values.shape[2:]
    padded = pad(values, [0, -width % 8, 0, -height % 8], mode="replicate") * 255 - 128
    frequency = torch.arange(8).to(values)
    cosines = (torch.pi / 8 * frequency[:, None] * (frequency + 0.5)).cos() / 2
    cosines[0] /= 2**0.5
    steps = (coarseness.view(-1, 1, 1) * values.new_tensor(QUANTIZATION)).clamp(min=1)[:, None, None, :, None, :]
    blocks = padded.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))
    levels = (torch.einsum("ui,vj,ncaibj->ncaubv", cosines, cosines, blocks) / steps).round()
    back = torch.einsum("ui,vj,ncaubv->ncaibj", cosines, cosines, levels * steps)
    return (back.flatten(4, 5).flatten(2, 3)[:, :, :height, :width] + 128) / 255


class Enhancer(GenerativeModel):
    """A U-Net that comes near the unspoilt photograph, and a discriminator that asks of each patch to look real.

    Every photograph is darkened, faded, blurred, made noisy and cut into blocks, each by a share of the most there is,
    which chance chooses.

    Args:
        image_shape: ``(C, H, W)``; sides multiples of ``2 ** depth``.
        width: channels of the first layers of both networks (pix2pix: 64).
        depth: layers down of the U-Net (pix2pix: 8).
        num_layers: of the discriminator that halve the side (pix2pix: 3).
        norm: by the statistics of each image, or none (pix2pix: of batches of one, which is the same).
        l1_weight: of the absolute error beside the adversarial loss (pix2pix: 100).
        skip: what the U-Net's output is added to, nothing or the spoilt photograph, whose details then need not pass
            through maps of half the side (pix2pix: none).
        max_darkness: values in [0, 1] are raised to at most the power of one plus this.
        max_fading: share by which contrast falls at most.
        max_blur: largest standard deviation of the Gaussian, in pixels.
        max_noise: largest standard deviation of the noise, of grey levels from 0 to 255.
        max_blocks: coarsest rounding of frequencies, 1 as in a JPEG file of quality 50.
        optimizer: called once for each network (pix2pix: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        - Sources are made from the targets; the paper's pairs come from elsewhere.
        - The spoilt photograph may be added to the U-Net's output: ``skip: input``.
        - Nothing is normalized with ``norm: none``: an image's own statistics forget how dark it is.
        - The U-Net has dropout from a depth of 5 on alone, so that with one of 4 nothing is random.
    """

    batch_type = Images
    best_by = ("val/psnr", "max")
    directions = ("x_to_y",)
    scale = 1
    baseline_name = "one correction of light and contrast for all"

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        depth: Annotated[int, Field(ge=2)],
        num_layers: PositiveInt,
        norm: Literal["instance", "none"],
        l1_weight: NonNegativeFloat,
        skip: Literal["none", "input"],
        max_darkness: NonNegativeFloat,
        max_fading: Annotated[float, Field(ge=0, lt=1)],
        max_blur: Annotated[float, Field(ge=0, le=2)],
        max_noise: NonNegativeFloat,
        max_blocks: NonNegativeFloat,
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
        self.most = (max_darkness, max_fading, max_blur, max_noise, max_blocks)
        self.l1_weight = l1_weight
        self.skip = skip
        self.generator = UNet(channels, channels, width, depth, norm).apply(initialize)
        self.discriminator = PatchGAN(2 * channels, width, num_layers, norm).apply(initialize)
        self.optimizer = optimizer

    @property
    def degradation(self) -> str:
        names = ("darkness", "fading", "blur", "noise", "blocks")
        return ", ".join(f"{name} to {most:g}" for name, most in zip(names, self.most, strict=True) if most)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: Images, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        target = batch.images
        chances, noise = self.draw(torch.rand, len(target), NUM_CHANCES), self.draw(torch.randn, *target.shape)
        source = self.spoilt(target, chances, noise)
        fake = self.mended(source, lambda num_rows, *shape: self.draw(torch.rand, num_rows, *shape))

        real_logits = self.discriminator(torch.cat([source, target], 1))
        fake_logits = self.discriminator(torch.cat([source, fake.detach()], 1))
        # Halved, which slows the discriminator down (section 3.3).
        d_loss = discriminator_loss(real_logits, fake_logits) / 2
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(torch.cat([source, fake], 1)))
            l1 = l1_loss(fake, target)
            self.descend(generator_optimizer, g_loss + self.l1_weight * l1, "generator")

        self.report(discriminator=d_loss, generator=g_loss, l1=l1)

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        psnr = signal_to_noise(self.translate(self.degrade(batch.images)), batch.images, BORDER)
        self.log("val/psnr", psnr.mean(), batch_size=len(psnr), sync_dist=True)

    def mended(self, images: Tensor, uniform: Uniform) -> Tensor:
        """What the generator makes of images ``(N, C, H, W)`` in [-1, 1]; with the skip it may leave that range."""
        made = self.generator(images, uniform).float()
        return made + images if self.skip == "input" else made

    def spoilt(self, images: Tensor, chances: Tensor, noise: Tensor) -> Tensor:
        """Images in [-1, 1] after all that spoils them.

        Shapes:
            images: ``(N, C, H, W)``.
            chances: ``(N, NUM_CHANCES)`` in [0, 1): how much of the most of each.
            noise: ``(N, C, H, W)``, normal.
        """
        darkness, fading, blur, level, coarseness = (chances * chances.new_tensor(self.most)).unbind(1)
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 would round to fewer levels than 256
            values = faded((images + 1) / 2, darkness.view(-1, 1, 1, 1), fading.view(-1, 1, 1, 1))
            values = (blurred(values, blur) + level.view(-1, 1, 1, 1) / 255 * noise).clamp(0, 1)
            return blocked(values, coarseness).clamp(0, 1) * 2 - 1

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Spoils images ``(N, C, H, W)`` in [-1, 1], each by other numbers.

        Without a generator the nth image of every batch gets the same numbers, so the scores of validation depend a
        little on the size of its batches; those of evaluation do not.
        """
        generators = noise_of(len(images), generator or torch.Generator().manual_seed(0))
        chances = torch.stack([torch.rand(NUM_CHANCES, generator=each) for each in generators])
        noise = torch.stack([torch.randn(images.shape[1:], generator=each) for each in generators])
        return self.spoilt(images, chances.to(images), noise.to(images))

    def baseline(self, degraded: Tensor) -> Tensor:
        """The spoilt image after one correction for all: of the mean darkness and fading."""
        darkness, fading, *_ = self.most
        return unfaded((degraded + 1) / 2, darkness / 2, fading / 2) * 2 - 1

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1], mended; sides are multiples of ``stride``."""
        return self.mended(images, of_each(noise_of(len(images), generator))).clamp(-1, 1)
