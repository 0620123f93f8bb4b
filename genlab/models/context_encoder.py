"""Context encoder: fills a hole in an image from what is around it.

Pathak, Krähenbühl, Donahue, Darrell & Efros, "Context Encoders: Feature Learning by Inpainting", CVPR 2016,
arXiv:1604.07379.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from genlab.datasets.batches import Images
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.losses.fidelity import hole_signal_to_noise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import Discriminator, initialize
from genlab.networks.encoder_decoder import EncoderDecoder
from genlab.randomness import row_by_row

FILL = (117, 104, 123)
"""Red, green and blue of 255 that holes are filled with (authors' code)."""

CELLS = 8
"""Cells on a side of the noise that random holes are made of (authors' code: of 16.7 pixels each)."""

SQUARE = 5
"""Pixels on a side of the squares that holes in grey files of 8 bits are made of."""


class ContextEncoder(GenerativeModel):
    """Predicts what a hole hides, near it in pixels and, against a discriminator, like real images.

    Args:
        image_shape: ``(C, H, W)``, square, the side 4, 5, 6 or 7 times a power of 2 and at least 16 (paper: 3x128x128).
        width: channels of the largest maps of both networks (authors' code: 64).
        bottleneck: length of the vector between encoder and decoder (authors' code: 4000).
        region: ``center``, a square of half the side; ``random``, shapes of a share of the image, wherever.
        share: of the image that a random region covers (authors' code: 0.25).
        overlap: pixels of the region that stay visible along its border (center), or visible pixels around it that are
            predicted, too (random); authors' code: 4 (center).
        overlap_weight: of the squared error there (paper: 10).
        adversarial_weight: lambda of equation 3; the squared error has one minus that (paper: 0.001).
        skip: what the prediction is added to, nothing or what the pixels around the hole make of it without learning,
            each the more the nearer it is (paper: none).
        generator_lr: learning rate of the generator, 10 times that of the discriminator (paper, section 5.1).
        optimizer: paper: Adam; authors' code: lr 2e-4 of the discriminator, beta1 0.5.

    Differs from the paper:
        - The layer that is fully connected within each channel (section 3.1) is one vector for all, as in the authors'
          code, and so is the overlap of 4 pixels (paper: 7).
        - Pixels that are visible and further from a random region than the overlap have no part in the squared error;
          in the authors' code all have, those of a region no more than the others.
        - Each image has a random region of its own, of the exact share, where the authors' code has one for each batch.
    """

    batch_type = Images
    best_by = ("val/hole_psnr", "max")
    directions = ("x_to_y",)
    stride = 1
    scale = 1
    baseline_name = "the smooth filling"
    fill: Tensor

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        bottleneck: PositiveInt,
        region: Literal["center", "random"],
        share: Annotated[float, Field(gt=0, lt=1)],
        overlap: NonNegativeInt,
        overlap_weight: NonNegativeFloat,
        adversarial_weight: Annotated[float, Field(ge=0, le=1)],
        skip: Literal["none", "smooth"],
        generator_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        channels, _, side = image_shape
        if region == "center" and (side % 4 or 4 * overlap >= side):
            raise ValueError(
                f"image_shape={list(image_shape)} with overlap={overlap}: region=center needs a side that is a "
                "multiple of 4 and more than 4 times the overlap"
            )
        self.side = side
        self.region = region
        self.share = share
        self.overlap = overlap
        self.overlap_weight = overlap_weight
        self.adversarial_weight = adversarial_weight
        self.skip = skip
        self.generator_lr = generator_lr
        predicted = (channels, side // 2, side // 2) if region == "center" else image_shape
        self.generator = EncoderDecoder(image_shape, predicted, width, bottleneck).apply(initialize)
        self.discriminator = Discriminator(width, predicted).apply(initialize)
        self.optimizer = optimizer
        colour = torch.tensor(FILL) / 127.5 - 1
        colour = colour if channels == 3 else colour.mean(0, keepdim=True)
        self.register_buffer("fill", colour.view(1, -1, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    @property
    def degradation(self) -> str:
        return f"a hole in the {self.region}" if self.region == "center" else f"a random hole of {self.share:g}"

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters(), lr=self.generator_lr),
            self.optimizer(self.discriminator.parameters()),
        ]

    def training_step(self, batch: Images, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        images = batch.images
        holes = self.holes(images, self.draw(torch.rand, len(images), CELLS, CELLS))
        fake, real = self.predicted(images, holes), self.crop(images)
        band = self.crop(widened(holes, self.overlap) & ~holes).float()
        weights = self.crop(holes) + self.overlap_weight * band

        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            squared_error = (weights * (fake.float() - real).square()).mean()
            loss = (1 - self.adversarial_weight) * squared_error + self.adversarial_weight * g_loss
            self.descend(generator_optimizer, loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            squared_error=squared_error,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        degraded = self.degrade(batch.images)
        psnr = hole_signal_to_noise(self.translate(degraded), batch.images, self.hole(degraded))
        self.log("val/hole_psnr", psnr.mean(), batch_size=len(psnr), sync_dist=True)

    def holes(self, images: Tensor, uniform: Tensor) -> Tensor:
        """What is hidden of images, ``(N, 1, H, W)`` bool.

        Args:
            images: ``(N, C, H, W)`` of any size.
            uniform: ``(N, CELLS, CELLS)`` in [0, 1), of random regions: they cover what is lowest in its enlargement.
        """
        height, width = images.shape[2:]
        if self.region == "random":
            noise = interpolate(uniform[:, None].to(images.device), (height, width), mode="bicubic")
            return noise < noise.flatten(1).quantile(self.share, 1).view(-1, 1, 1, 1)
        hidden = self.side // 2 - 2 * self.overlap
        rows, columns = round(height * hidden / self.side), round(width * hidden / self.side)
        top, left = (height - rows) // 2, (width - columns) // 2
        holes = torch.zeros(len(images), 1, height, width, dtype=torch.bool, device=images.device)
        holes[:, :, top : top + rows, left : left + columns] = True
        return holes

    def hole(self, degraded: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the hole, ``(N, 1, H, W)`` bool: the centre, or all pixels of the colour of holes.

        The grey of holes lies between two levels of 8 bits, so nothing else has it; where it is nowhere, as in files,
        holes are squares of the next level, which single pixels often have.
        """
        if self.region == "center":
            return self.holes(degraded, degraded.new_zeros(len(degraded), CELLS, CELLS))
        distance = (degraded - self.fill).abs().amax(1, keepdim=True)
        near = distance < 1 / 255  # by half a grey level
        if degraded.shape[1] == 3:
            return near
        exact, margin = distance < 0.1 / 127.5, SQUARE // 2
        squares = widened(~widened(~near, margin), margin)
        return torch.where(exact.any(3, keepdim=True).any(2, keepdim=True), exact, squares)

    def crop(self, images: Tensor) -> Tensor:
        """The part of ``(N, C, side, side)`` that is predicted: the centre, or all."""
        edge = self.side // 4 if self.region == "center" else 0
        return images[:, :, edge : self.side - edge, edge : self.side - edge]

    def predicted(self, images: Tensor, holes: Tensor) -> Tensor:
        """What the generator makes of images ``(N, C, side, side)`` with holes ``(N, 1, side, side)``, as ``crop``."""
        made = self.generator(torch.where(holes, self.fill, images))
        if self.skip == "none":
            return made
        return made.float() + self.crop(self.smoothed(images, holes))

    def smoothed(self, images: Tensor, holes: Tensor) -> Tensor:
        """Images whose holes are filled, without learning, from visible pixels as near as the overlap is wide."""
        ring = widened(holes, max(1, self.overlap)) & ~holes
        return torch.where(holes, smooth(images, ring), images)

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images in [-1, 1] with a hole of one colour, ``(N, C, H, W)``.

        Without a generator the nth image of every batch has the same random hole, so the scores of validation depend a
        little on the size of its batches; those of evaluation do not.
        """
        generator = generator or torch.Generator().manual_seed(0)
        uniform = row_by_row(len(images), torch.rand, CELLS, CELLS, generator=generator)
        return torch.where(self.holes(images, uniform), self.fill, images)

    def baseline(self, degraded: Tensor) -> Tensor:
        """The smooth filling, which with ``skip: smooth`` the prediction is added to."""
        return self.smoothed(degraded, self.hole(degraded))

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """Fills the holes of images ``(N, C, H, W)``, of any size; nothing is drawn."""
        return self.complete(images, ~self.hole(images))

    def complete(self, images: Tensor, known: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Fills what is not known; the rest stays as it is, to the bit.

        A model of central regions looks at the square around what is unknown in which that is in the centre; one of
        random regions at the whole image.

        Shapes:
            images: ``(N, C, H, W)`` in [-1, 1], of any size.
            known: ``(N, 1, H, W)`` bool.
        """
        pairs = zip(images.split(1), known.split(1), strict=True)
        return torch.cat([image if mask.all() else self.filled(image, ~mask) for image, mask in pairs])

    def filled(self, image: Tensor, hole: Tensor) -> Tensor:
        """One image ``(1, C, H, W)`` with a hole ``(1, 1, H, W)``."""
        height, width = image.shape[2:]
        top, left, rows, columns = (0, 0, height, width) if self.region == "random" else self.window(hole)
        # Where the square reaches beyond the image, it repeats its border.
        border = [max(0, -left), max(0, left + columns - width), max(0, -top), max(0, top + rows - height)]
        first, start = top + border[2], left + border[0]
        inner = (..., slice(first, first + rows), slice(start, start + columns))
        blank = pad(torch.where(hole, self.fill, image), border, mode="replicate")[inner]
        hidden = pad(hole.float(), border, mode="replicate")[inner]
        size = (self.side, self.side)
        if self.region == "center":
            holes = self.holes(blank.new_zeros(1, 1, *size), blank.new_zeros(1, CELLS, CELLS))
        else:
            holes = interpolate(hidden, size, mode="bilinear", antialias=True) > 0
        made = self.predicted(resized(blank, size), holes).float()
        edge = (self.side - made.shape[2]) // 2
        made = resized(pad(made, [edge] * 4), (rows, columns)).clamp(-1, 1)
        made = pad(made, [left, width - left - columns, top, height - top - rows])
        return torch.where(hole, made, image)

    def window(self, hole: Tensor) -> tuple[int, int, int, int]:
        """Top, left, height and width of the square with this hole in its centre."""
        rows, columns = (hole[0, 0].any(axis).nonzero().flatten() for axis in (1, 0))
        extent = max(int(places[-1] - places[0]) + 1 for places in (rows, columns))
        side = math.ceil(extent * self.side / (self.side // 2 - 2 * self.overlap))
        top, left = ((int(places[0] + places[-1]) + 1 - side) // 2 for places in (rows, columns))
        return top, left, side, side


def widened(masks: Tensor, margin: int) -> Tensor:
    """``(N, 1, H, W)`` bool, and all pixels that are at most ``margin`` rows and columns away."""
    return max_pool2d(masks.float(), 2 * margin + 1, stride=1, padding=margin) > 0


def smooth(images: Tensor, ring: Tensor) -> Tensor:
    """The mean of the pixels of a ring, each weighted by its distance to the power -3, ``(N, C, H, W)``.

    Both sums are convolutions, computed by Fourier transforms of twice the size, in which nothing wraps around.

    Shapes:
        images: ``(N, C, H, W)``.
        ring: ``(N, 1, H, W)`` bool.
    """
    height, width = images.shape[2:]
    size = (2 * height, 2 * width)
    squares = [torch.arange(side, device=images.device).sub(side // 2).abs().sub(side // 2).square() for side in size]
    kernel = (squares[0][:, None] + squares[1]).clamp(min=1) ** -1.5
    seen = torch.cat([images * ring, ring.to(images)], 1)
    sums = torch.fft.irfft2(torch.fft.rfft2(seen, s=size) * torch.fft.rfft2(kernel), s=size)[:, :, :height, :width]
    return sums[:, :-1] / sums[:, -1:].clamp(min=1e-6)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    same = tuple(images.shape[2:]) == size
    return images if same else interpolate(images, size, mode="bilinear", antialias=True)
