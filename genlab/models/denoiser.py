"""DnCNN: a residual convolutional denoiser.

Zhang, Zuo, Chen, Meng & Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", IEEE
Transactions on Image Processing 26(7), 2017, arXiv:1608.03981.
"""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from genlab.datasets.batches import Images
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.randomness import row_by_row

LEVEL = 2 / 255
"""One grey level, of images in [-1, 1]."""


class DnCNN(nn.Module):
    """Convolutions of 3x3 that predict the noise, batch norm in all but the first and the last (section III.A).

    556,097 weights of 17 layers of 64 channels for grey images; the layers with batch norm have no biases.

    Shapes: ``(N, channels, H, W)`` -> the images without noise, the same.

    Args:
        channels: of the images, 1 or 3.
    """

    def __init__(self, channels: int, width: int, depth: int, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=not batch_norm)]
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.ReLU(inplace=True)]
        last = nn.Conv2d(width, channels, 3, padding=1)
        self.noise = nn.Sequential(*layers, last).apply(initialize)
        with torch.no_grad():
            last.weight.mul_(0.1)  # else the network without batch norm predicts far too much noise at first

    def forward(self, images: Tensor) -> Tensor:
        return images - self.noise(images).float()


def initialize(module: nn.Module) -> None:
    """As He et al., 2015, arXiv:1502.01852, whom the paper follows (section III.B)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Denoiser(GenerativeModel):
    """Removes Gaussian noise, whatever there is of it, by predicting the noise.

    Args:
        image_shape: ``(C, H, W)``; convolutions alone take any other sides, too (paper: 1x40x40).
        width: channels of all layers (paper: 64).
        depth: layers (paper: 17, and 20 for a range of levels).
        batch_norm: paper: True.
        noise_levels: standard deviations that are trained on, from and to, of grey levels from 0 to 255; drawn for each
            image (paper: 15, 25 or 50 alone, and 0 to 55).
        test_level: standard deviation that is removed in validation and evaluation (paper: 15, 25 and 50).
        optimizer: paper: SGD; authors' later code: Adam, lr 1e-3.

    Differs from the paper:
        - Weights do not decay (paper: by 1e-4), and the loss is the mean over pixels, not half of their sum.
        - The weights of the last layer begin ten times smaller.
    """

    batch_type = Images
    best_by = ("val/psnr", "max")
    directions = ("x_to_y",)
    stride = 1
    scale = 1

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        depth: Annotated[int, Field(ge=2)],
        batch_norm: bool,
        noise_levels: tuple[NonNegativeFloat, NonNegativeFloat],
        test_level: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if noise_levels[0] > noise_levels[1]:
            raise ValueError(f"noise_levels={list(noise_levels)}: expected the lower one first")
        self.noise_levels = noise_levels
        self.test_level = test_level
        self.network = DnCNN(image_shape[0], width, depth, batch_norm)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    @property
    def degradation(self) -> str:
        return f"Gaussian noise of {self.test_level:g} of 255"

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.network.parameters())

    def training_step(self, batch: Images, batch_idx: int) -> None:
        images, (low, high) = batch.images, self.noise_levels
        levels = low + (high - low) * self.draw(torch.rand, len(images), 1, 1, 1)
        noise = self.draw(torch.randn, len(images), *images.shape[1:])
        squared_error = mse_loss(self.network(images + LEVEL * levels * noise), images)
        self.descend(self.optimizers(), squared_error, "squared_error")
        self.report(squared_error=squared_error)

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        psnr = signal_to_noise(self.translate(self.degrade(batch.images)), batch.images, BORDER)
        self.log("val/psnr", psnr.mean(), batch_size=len(psnr), sync_dist=True)

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images in [-1, 1] with noise of ``test_level``, which may leave that range.

        Without a generator the nth image of every batch has the same noise, so the scores of validation depend a little
        on the size of its batches; those of evaluation do not.
        """
        generator = generator or torch.Generator().manual_seed(0)
        noise = row_by_row(len(images), torch.randn, images.shape[1:], generator=generator)
        return images + LEVEL * self.test_level * noise.to(images)

    def baseline(self, degraded: Tensor) -> Tensor:
        """The noisy image itself, in [-1, 1]."""
        return degraded.clamp(-1, 1)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` without noise, in [-1, 1], of any size."""
        return self.network(images).clamp(-1, 1)
