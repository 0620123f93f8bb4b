"""Domain Transfer Network: images become those of another domain that a fixed network sees the same in.

Taigman, Polyak & Wolf, "Unsupervised Cross-Domain Image Generation", ICLR 2017, arXiv:1611.02200.
"""

import math
import warnings
from itertools import pairwise

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, mse_loss

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledUnpairedImages
from genlab.errors import UsageError
from genlab.losses.adversarial import precise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import initialize, num_doublings

FROM_X, FROM_Y, REAL = range(3)
"""What the discriminator tells apart: made of the first domain, made of the second, and images of the second."""


class DTN(GenerativeModel):
    """A classifier of the first domain, f, and then a generator g that makes images of the second from its code.

    Args:
        image_shape: ``(C, H, W)`` of both domains, square, the side 4, 5, 6 or 7 times a power of 2 (paper: 32x32).
        num_classes: of the first domain (paper: 10 digits).
        width: channels of the classifier's largest map; they double as it halves, and the other networks have twice as
            many (paper: 64).
        code_dim: numbers in the code f(x) (paper: 128).
        classifier_epochs: that train the classifier, which is constant in all further ones (paper: until it is done).
        distortion: of the classifier's training images; with 1 they are turned by up to 15 degrees, stretched by a
            quarter, slanted by 0.3 and moved by 6 % of their side (paper: 0, with 531,131 digits).
        constancy_weight: alpha, of L_CONST: f sees in a translation what it sees in its source (paper: 15).
        identity_weight: beta, of L_TID: images of the second domain stay as they are (paper: 15).
        variation_weight: gamma, of L_TV: how rough an image is (paper: 0; 0.05 for faces, of a sum over pixels).
        optimizer: called once for each network (paper: Adam).

    Differs from the paper:
        - The classifier halves by strided convolutions, has batch norm, and its code ends in tanh; the paper pools.
        - The classifier's training images may be distorted, as there are 8,192 of them and not 531,131.
        - Images of both domains have the same channels; the paper's second domain is grey.
        - L_TV is the mean over pixels and channels, where equation 8 has the sum, so the paper's gamma for faces means
          far less here.
        - The generator sees images of both domains in one batch and normalizes by both, as its running averages do,
          which translate.
    """

    batch_type = LabelledUnpairedImages
    directions = ("x_to_y",)
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        width: PositiveInt,
        code_dim: PositiveInt,
        classifier_epochs: PositiveInt,
        distortion: NonNegativeFloat,
        constancy_weight: NonNegativeFloat,
        identity_weight: NonNegativeFloat,
        variation_weight: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.stride = image_shape[1]  # the code covers the whole image
        self.num_classes = num_classes
        self.classifier_epochs = classifier_epochs
        self.distortion = distortion
        self.constancy_weight = constancy_weight
        self.identity_weight = identity_weight
        self.variation_weight = variation_weight
        self.classifier = Classifier(width, code_dim, num_classes, image_shape)
        self.generator = Generator(width, code_dim, image_shape)
        self.discriminator = Discriminator(width, image_shape)
        self.optimizer = optimizer
        self.generator.apply(initialize)
        self.discriminator.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def check_data(self, dataset: Dataset) -> None:
        if dataset.num_classes != self.num_classes:
            raise UsageError(
                f"model.num_classes={self.num_classes}, but the first domain of '{dataset.name}' has "
                f"{dataset.num_classes} classes\nset model.num_classes={dataset.num_classes}"
            )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = (self.classifier, self.generator, self.discriminator)
        return [self.optimizer(network.parameters()) for network in networks]

    def on_fit_start(self) -> None:
        if (epochs := self.trainer.max_epochs) is not None and 0 <= epochs <= self.classifier_epochs:
            warnings.warn(
                f"model.classifier_epochs={self.classifier_epochs} of trainer.max_epochs={epochs}: no epoch is left to "
                "train the generator, without which nothing is translated",
                stacklevel=2,
            )

    def training_step(self, batch: LabelledUnpairedImages, batch_idx: int) -> None:
        x, y = (images.contiguous(memory_format=torch.channels_last) for images in (batch.first, batch.second))
        if self.current_epoch < self.classifier_epochs:
            self.classifier_step(x, batch.labels)
        else:
            self.transfer_step(x, y)

    def classifier_step(self, images: Tensor, labels: Tensor) -> None:
        classifier_optimizer, _, _ = self.optimizers()
        if self.distortion:
            images = distorted(images, self.distortion * (2 * self.draw(torch.rand, len(images), 6) - 1))
        logits = self.classifier(images)
        loss = cross_entropy(precise(logits), labels)
        self.descend(classifier_optimizer, loss, "classifier")
        self.report(classifier=loss, accuracy=(logits.argmax(1) == labels).float().mean())

    def transfer_step(self, x: Tensor, y: Tensor) -> None:
        """Equations 3 to 8."""
        _, generator_optimizer, discriminator_optimizer = self.optimizers()
        self.classifier.eval()
        with torch.no_grad():
            code = self.classifier.code(torch.cat([x, y]))
        fake_x, fake_y = self.generator(code).chunk(2)

        d_loss = (
            told_as(FROM_X, self.discriminator(fake_x.detach()))
            + told_as(FROM_Y, self.discriminator(fake_y.detach()))
            + told_as(REAL, self.discriminator(y))
        )
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.classifier, self.discriminator):
            deceit = told_as(REAL, self.discriminator(fake_x)) + told_as(REAL, self.discriminator(fake_y))
            constancy = mse_loss(precise(self.classifier.code(fake_x)), precise(code[: len(x)]))
            identity = mse_loss(precise(fake_y), y)
            variation = total_variation(fake_x) + total_variation(fake_y)
            g_loss = deceit + self.constancy_weight * constancy + self.identity_weight * identity
            self.descend(generator_optimizer, g_loss + self.variation_weight * variation, "generator")

        self.report(discriminator=d_loss, generator=deceit, constancy=constancy, identity=identity, variation=variation)

    def validation_step(self, batch: LabelledUnpairedImages, batch_idx: int) -> None:
        """``val/accuracy`` of the classifier on the first domain, and on the translations of its images."""
        translated = self.translate(batch.first)
        values = {
            f"val/{name}accuracy": (self.classifier(images).argmax(1) == batch.labels).float().mean()
            for name, images in (("", batch.first), ("translated_", translated))
        }
        self.log_dict(values, batch_size=len(batch.first), sync_dist=True)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """G(x) = g(f(x))."""
        return self.generator(self.classifier.code(images))


def distorted(images: Tensor, amounts: Tensor) -> Tensor:
    """``(N, C, H, W)`` turned, stretched and slanted, and moved both ways, by ``(N, 6)``; borders are reflected."""
    turn, wide, high, slant, right, down = (amounts * amounts.new_tensor([math.pi / 12, 0.25, 0.25, 0.3, 0.12, 0.12])).T
    wide, high = 1 + wide, 1 + high
    across = torch.stack([turn.cos() * wide, slant - turn.sin() * wide, right], dim=1)
    along = torch.stack([turn.sin() * high, turn.cos() * high, down], dim=1)
    places = affine_grid(torch.stack([across, along], dim=1), list(images.shape), align_corners=False)
    return grid_sample(images, places.to(images), padding_mode="reflection", align_corners=False)


def told_as(kind: int, logits: Tensor) -> Tensor:
    """``-E log D_kind(x)`` in nats (equations 3 and 4); the logits are ``(N, 3)``."""
    return cross_entropy(precise(logits), torch.full((len(logits),), kind, device=logits.device))


def total_variation(images: Tensor) -> Tensor:
    """Length of the gradient, the mean over pixels (equation 8 with B = 1): ``(N, C, H, W)`` -> scalar."""
    down = images[:, :, 1:, :-1] - images[:, :, :-1, :-1]
    right = images[:, :, :-1, 1:] - images[:, :, :-1, :-1]
    # The root of 0 has no slope.
    return (precise(down).square() + precise(right).square() + 1e-12).sqrt().mean()


class Classifier(nn.Module):
    """f and the classes that are read off its code.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N, num_classes)``.
    """

    def __init__(self, width: int, code_dim: int, num_classes: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        doublings = num_doublings(image_shape)
        channels = [image_shape[0], *(width * 2**level for level in range(doublings))]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 3, 2, 1), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(channels[-1], code_dim, image_shape[1] >> doublings), nn.BatchNorm2d(code_dim), nn.Tanh()]
        self.code = nn.Sequential(*layers)
        self.classes = nn.Linear(code_dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classes(self.code(images).flatten(1))


class Generator(nn.Sequential):
    """g: transposed convolutions with batch norm and ReLU.

    Shapes: ``(N, code_dim, h, w)`` in (-1, 1) -> ``(N, C, h·H, w·W)`` in (-1, 1).
    """

    def __init__(self, width: int, code_dim: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [2 * width * 2**level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(code_dim, channels[0], image_shape[1] >> doublings)]
        for wide, narrow in zip(channels, [*channels[1:], image_shape[0]], strict=True):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1)]
        super().__init__(*layers, nn.Tanh())


class Discriminator(nn.Sequential):
    """Strided convolutions; batch norm keeps no running averages, as in DCGAN.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N, 3)``.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [image_shape[0], *(2 * width * 2**level for level in range(doublings))]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 3, 2, 1), nn.BatchNorm2d(wide, track_running_stats=False)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 3, image_shape[1] >> doublings), nn.Flatten())
