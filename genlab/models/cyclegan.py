"""CycleGAN: translation between two sets of images without pairs.

Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017,
arXiv:1703.10593.
"""

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, distributed, nn
from torch.nn.functional import l1_loss
from torchmetrics.utilities.distributed import gather_all_tensors

from genlab.datasets.batches import UnpairedImages
from genlab.losses.adversarial import least_squares_discriminator_loss, least_squares_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import initialize
from genlab.networks.patchgan import PatchGAN
from genlab.networks.residual import ResidualGenerator, Upsampling


class ImagePool(nn.Module):
    """Translations of earlier steps, which the discriminator sees instead of half of the new ones.

    Section 4, after Shrivastava et al., 2017, arXiv:1612.07828; the rule is the authors' code's. A part of the model's
    state, so that a resumed run goes on with the same images.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *image_shape))
        self.register_buffer("held", torch.tensor(0))

    def exchange(self, images: Tensor, chances: Tensor) -> Tensor:
        """Until the pool is full, keeps and returns each image; then, every other time, returns one that it kept.

        The new one then takes the place of that; else it is returned and not kept.

        Shapes:
            images: ``(N, C, H, W)``, of all processes, which keep the same pool; returned in this shape.
            chances: ``(N, 2)``, uniform in [0, 1): of giving an old one, and which.
        """
        size, held = len(self.images), int(self.held)
        shown = images.detach().clone()
        for image, (coin, place) in zip(shown, chances.tolist(), strict=True):
            if held < size:
                self.images[held] = image
                held += 1
            elif size and coin < 0.5:
                kept = self.images[int(place * size)]
                old = kept.clone()
                kept.copy_(image)
                image.copy_(old)
        self.held.fill_(held)
        return shown


class CycleGAN(GenerativeModel):
    """Two generators that undo each other, each before a discriminator of the domain that it leads to.

    Args:
        image_shape: ``(C, H, W)`` of both domains, sides multiples of ``2 ** num_downsamplings``, two of them and 4
            pixels at least, as borders are reflected (paper: 3x256x256).
        width: channels of the first layers of all networks (paper: 64).
        num_blocks: residual blocks of each generator (paper: 9; 6 for 128x128 and less).
        num_downsamplings: how often a generator halves the side before them (paper: 2).
        upsampling: how it doubles the side after them (paper: transposed).
        num_layers: of a discriminator that halve the side; with 3 it sees patches of 70x70 (paper: 3).
        cycle_weight: lambda of equation 3 (paper: 10).
        identity_weight: of keeping what is in the domain already, as a part of ``cycle_weight`` (paper: 0.5 for
            paintings, section 5.2; authors' code: 0.5 for all).
        pool_size: earlier translations kept for each discriminator (paper: 50); 0 shows it the newest alone.
        optimizer: called once for both generators, once for both discriminators (paper: Adam, lr 2e-4, beta1 0.5).

    Differs from the paper:
        Nothing is known of. Several processes keep one pool of the images of all.
    """

    batch_type = UnpairedImages
    saturates = False
    directions = ("x_to_y", "y_to_x")
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        num_blocks: PositiveInt,
        num_downsamplings: NonNegativeInt,
        upsampling: Upsampling,
        num_layers: PositiveInt,
        cycle_weight: NonNegativeFloat,
        identity_weight: NonNegativeFloat,
        pool_size: NonNegativeInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        channels, height, side = image_shape
        self.stride = 2**num_downsamplings
        least = max(4, 2 * self.stride)
        if any(length % self.stride or length < least for length in (height, side)):
            raise ValueError(
                f"image_shape={list(image_shape)}: sides must be multiples of {self.stride} and at least {least}"
            )
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        generator = (channels, channels, width, num_blocks, num_downsamplings, upsampling)
        self.x_to_y = ResidualGenerator(*generator).apply(initialize)
        self.y_to_x = ResidualGenerator(*generator).apply(initialize)
        self.discriminator_x = PatchGAN(channels, width, num_layers, "instance").apply(initialize)
        self.discriminator_y = PatchGAN(channels, width, num_layers, "instance").apply(initialize)
        self.pool_x = ImagePool(pool_size, image_shape)
        self.pool_y = ImagePool(pool_size, image_shape)
        self.optimizer = optimizer

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        generators = nn.ModuleList([self.x_to_y, self.y_to_x])
        discriminators = nn.ModuleList([self.discriminator_x, self.discriminator_y])
        return [self.optimizer(generators.parameters()), self.optimizer(discriminators.parameters())]

    def training_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        x, y = batch
        with self.constant(self.discriminator_x, self.discriminator_y):
            fake_y, same_y = self.translated_and_kept(self.x_to_y, x, y)
            fake_x, same_x = self.translated_and_kept(self.y_to_x, y, x)
            cycle = l1_loss(self.y_to_x(fake_y).float(), x) + l1_loss(self.x_to_y(fake_x).float(), y)
            identity = l1_loss(same_x.float(), x) + l1_loss(same_y.float(), y)
            # Not halved (section 3.1 with section 4).
            g_loss_y = 2 * least_squares_generator_loss(self.discriminator_y(fake_y))
            g_loss_x = 2 * least_squares_generator_loss(self.discriminator_x(fake_x))
            g_loss = g_loss_x + g_loss_y + self.cycle_weight * (cycle + self.identity_weight * identity)
            self.descend(generator_optimizer, g_loss, "generator")

        shown_x, shown_y = self.pooled(self.pool_x, fake_x), self.pooled(self.pool_y, fake_y)
        d_loss_x = least_squares_discriminator_loss(self.discriminator_x(x), self.discriminator_x(shown_x))
        d_loss_y = least_squares_discriminator_loss(self.discriminator_y(y), self.discriminator_y(shown_y))
        self.descend(discriminator_optimizer, d_loss_x + d_loss_y, "discriminator")

        self.report(
            discriminator_x=d_loss_x,
            discriminator_y=d_loss_y,
            generator_x=g_loss_x,
            generator_y=g_loss_y,
            cycle=cycle,
            identity=identity,
        )

    def translated_and_kept(self, generator: nn.Module, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The source translated, and the target, which should stay as it is; in one pass, as no image sees another."""
        if not self.identity_weight:
            return generator(source), target
        translated, kept = generator(torch.cat([source, target])).chunk(2)
        return translated, kept

    def pooled(self, pool: ImagePool, images: Tensor) -> Tensor:
        """What the pool gives for this process's images."""
        chances = self.draw(torch.rand, len(images), 2)
        if not distributed.is_initialized():
            return pool.exchange(images, chances)
        shown = pool.exchange(of_all_processes(images.detach()), of_all_processes(chances))
        return shown[distributed.get_rank() :: distributed.get_world_size()]

    def validation_step(self, batch: UnpairedImages, batch_idx: int) -> None:
        x, y = batch
        cycle_x = l1_loss(self.y_to_x(self.x_to_y(x)).float(), x)
        cycle_y = l1_loss(self.x_to_y(self.y_to_x(y)).float(), y)
        cycles = {"val/cycle_x": cycle_x, "val/cycle_y": cycle_y}
        self.log_dict(cycles, batch_size=len(x), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        return (self.x_to_y if direction == "x_to_y" else self.y_to_x)(images)


def of_all_processes(rows: Tensor) -> Tensor:
    """The rows of a batch in the order in which they were dealt out to the processes."""
    parts = gather_all_tensors(rows)
    whole = rows.new_empty(sum(map(len, parts)), *rows.shape[1:])
    for place, part in enumerate(parts):
        whole[place :: len(parts)] = part
    return whole
