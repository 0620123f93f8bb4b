"""PixelDTGAN: a photograph of a person becomes one of the garment that is worn.

Yoo, Kim, Park, Paek & Kweon, "Pixel-Level Domain Transfer", ECCV 2016, arXiv:1603.07442.
"""

from itertools import pairwise

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.datasets.batches import PairedImages
from genlab.losses.adversarial import cross_entropy, nonsaturating_generator_loss, precise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import initialize, num_doublings


class PixelDTGAN(GenerativeModel):
    """A converter before two discriminators: one asks whether an image is real, one whether it belongs to its source.

    Args:
        image_shape: ``(C, H, W)`` of sources and targets, square, the side 4, 5, 6 or 7 times a power of 2 (paper:
            3x64x64).
        width: channels of the largest map of each network; they double as it halves (paper: 128).
        code_dim: numbers that the converter passes an image through (paper: 64).
        optimizer: called once for each network (paper: gradient descent with momentum 0.5, lr 2e-4).

    Differs from the paper:
        - The optimizer is Adam, as in DCGAN and in public code of this paper.
        - The garment that does not belong to a person is another one of the batch, not of the whole set.
        - Results are normalized by running averages, so that none depends on those beside it.
    """

    batch_type = PairedImages
    directions = ("x_to_y",)
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        code_dim: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.stride = image_shape[1]  # the code covers the whole image
        self.converter = Converter(width, code_dim, image_shape).apply(initialize)
        self.real_discriminator = Discriminator(image_shape[0], width, image_shape).apply(initialize)
        self.domain_discriminator = Discriminator(2 * image_shape[0], width, image_shape).apply(initialize)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = (self.converter, self.real_discriminator, self.domain_discriminator)
        return [self.optimizer(network.parameters()) for network in networks]

    def training_step(self, batch: PairedImages, batch_idx: int) -> None:
        converter_optimizer, real_optimizer, domain_optimizer = self.optimizers()
        source, target = (images.contiguous(memory_format=torch.channels_last) for images in batch)
        fake = self.converter(source)
        wearers, others = of_others(target)

        # Equation 4: the target and one of another source are real alike.
        real_logits, fake_logits = self.real_discriminator(target), self.real_discriminator(fake.detach())
        terms = [cross_entropy(real_logits, 1), cross_entropy(fake_logits, 0)]
        if len(wearers):
            terms.append(cross_entropy(self.real_discriminator(target[others]), 1))
        real_loss = torch.stack(terms).mean()
        self.descend(real_optimizer, real_loss, "real_discriminator")

        # Equation 5: a target of another source belongs as little to this one as a converted image does.
        terms = [
            cross_entropy(self.belonging(source, target), 1),
            cross_entropy(self.belonging(source, fake.detach()), 0),
        ]
        if len(wearers):
            terms.append(cross_entropy(self.belonging(source[wearers], target[others]), 0))
        domain_loss = torch.stack(terms).mean()
        self.descend(domain_optimizer, domain_loss, "domain_discriminator")

        # Equation 6.
        with self.constant(self.real_discriminator, self.domain_discriminator):
            looks_real = nonsaturating_generator_loss(self.real_discriminator(fake))
            belongs = nonsaturating_generator_loss(self.belonging(source, fake))
            self.descend(converter_optimizer, (looks_real + belongs) / 2, "converter")

        self.report(
            real_discriminator=real_loss,
            domain_discriminator=domain_loss,
            looks_real=looks_real,
            belongs=belongs,
            l1=l1_loss(precise(fake.detach()), target),
        )

    def belonging(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits ``(N,)`` of the target being that of the source."""
        return self.domain_discriminator(torch.cat([source, target], 1))

    def validation_step(self, batch: PairedImages, batch_idx: int) -> None:
        l1 = l1_loss(precise(self.translate(batch.source)), batch.target)
        self.log("val/l1", l1, batch_size=len(batch.source), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        return self.converter(images)


def of_others(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of items, and for each that of the next in the batch with another target, mirrored or not.

    Several sources may have one target. An item is left out if the whole batch has its target.

    Shapes: ``(N, C, H, W)`` -> ``(M,)`` and ``(M,)`` int64, M ≤ N.
    """
    unmirrored = targets + targets.flip(3)  # the same for an image and its mirror image
    _, kinds = torch.unique(unmirrored.flatten(1), dim=0, return_inverse=True)
    count = len(kinds)
    places = torch.arange(count, device=kinds.device)
    steps = (places[None, :] - places[:, None]) % count
    others = torch.where(kinds[:, None] != kinds[None, :], steps, count).argmin(1)
    items = (kinds != kinds[others]).nonzero()[:, 0]
    return items, others[items]


class Converter(nn.Sequential):
    """Halves an image down to a code and doubles it again, no map beside another, as no place stays the same.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> the same in (-1, 1).
    """

    def __init__(self, width: int, code_dim: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        side = image_shape[1] >> doublings
        channels = [width * 2**level for level in range(doublings)]
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 5, 2, 2, bias=False)]
        for narrow in channels[:-1]:
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(narrow, 2 * narrow, 5, 2, 2, bias=False)]
            layers += [nn.BatchNorm2d(2 * narrow)]
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(channels[-1], code_dim, side, bias=False)]
        layers += [nn.BatchNorm2d(code_dim), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.ConvTranspose2d(code_dim, channels[-1], side, bias=False)]
        for wide, narrow in pairwise([*reversed(channels), image_shape[0]]):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 5, 2, 2, output_padding=1, bias=False)]
        super().__init__(*layers, nn.Tanh())


class Discriminator(nn.Sequential):
    """DCGAN's with the kernels of its authors, 5x5; batch norm keeps no running averages.

    Shapes: ``(N, in_channels, H, W)`` in [-1, 1] -> logits ``(N,)``.
    """

    def __init__(self, in_channels: int, width: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in range(doublings)]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 5, 2, 2, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 5, 2, 2, bias=False), nn.BatchNorm2d(wide, track_running_stats=False)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 1, image_shape[1] >> doublings, bias=False), nn.Flatten(0))
