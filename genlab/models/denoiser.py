"""A residual convolutional denoiser: DnCNN, or DRUNet, which sees much further at the same cost.

Zhang, Zuo, Chen, Meng & Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", IEEE
Transactions on Image Processing 26(7), 2017, arXiv:1608.03981. DRUNet: Zhang, Li, Zuo, Zhang, Van Gool & Timofte,
"Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE Transactions on Pattern Analysis and Machine
Intelligence 44(10), 2022, arXiv:2008.13751.
"""

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss, relu

from genlab.datasets.batches import Images
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.randomness import row_by_row

LEVEL = 2 / 255
"""One grey level, of images in [-1, 1]."""


class DnCNN(nn.Sequential):
    """Convolutions of 3x3, batch norm in all but the first and the last (section III.A).

    556,097 weights of 17 layers of 64 channels for grey images; the layers with batch norm have no biases.

    Shapes: ``(N, channels, H, W)`` -> their noise, the same.

    Args:
        channels: of the images, 1 or 3.
    """

    def __init__(self, channels: int, width: int, depth: int, batch_norm: bool) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=not batch_norm)]
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Conv2d(width, channels, 3, padding=1))


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3 beside the identity, without norm.

    Shapes: ``(N, width, H, W)`` -> the same.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv2(relu(self.conv1(maps)))


class DRUNet(nn.Module):
    """Residual blocks at each scale on the way down and up again, where the maps from the way down are added.

    No layer has a bias, so an image twice as bright and as noisy has twice the noise.

    Shapes: ``(N, channels, H, W)``, sides multiples of ``2 ** (num_scales - 1)`` -> their noise, the same.

    Args:
        channels: of the images, 1 or 3.
        width: channels of the largest maps (paper: 64); they double from scale to scale.
        depth: blocks of each scale, each way (paper: 4).
        num_scales: paper: 4.
    """

    def __init__(self, channels: int, width: int, depth: int, num_scales: int) -> None:
        super().__init__()

        def blocks(width: int) -> list[ResidualBlock]:
            return [ResidualBlock(width) for _ in range(depth)]

        *widths, widest = [width * 2**scale for scale in range(num_scales)]
        self.first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(*blocks(width), nn.Conv2d(width, 2 * width, 2, stride=2, bias=False)) for width in widths
        )
        self.body = nn.Sequential(*blocks(widest))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(2 * width, width, 2, stride=2, bias=False), *blocks(width))
            for width in reversed(widths)
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        passed = [self.first(images)]
        for down in self.down:
            passed.append(down(passed[-1]))
        maps = self.body(passed[-1])
        for up in self.up:
            maps = up(maps + passed.pop())
        return self.last(maps + passed.pop())


def initialize(network: nn.Module) -> None:
    """As He et al., 2015, arXiv:1502.01852, whom the paper follows (section III.B).

    The last weights, and those that end a residual block, begin ten times smaller: without batch norm the network would
    predict far too much noise at first.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    *_, last = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    ends = [module.conv2 for module in network.modules() if isinstance(module, ResidualBlock)]
    with torch.no_grad():
        for convolution in [last, *ends]:
            convolution.weight.mul_(0.1)


class Denoiser(GenerativeModel):
    """Removes Gaussian noise, whatever there is of it, by predicting the noise.

    Args:
        image_shape: ``(C, H, W)``; other images may have other sides, multiples of the stride that
            ``num_scales`` makes (paper: 1x40x40).
        network: the paper's, or the authors' later one.
        width: channels of the largest maps (paper: 64).
        depth: layers of DnCNN (paper: 17, and 20 for a range of levels), or blocks of DRUNet in each scale, each way
            (its paper: 4).
        num_scales: of DRUNet, each with half the side of the one before (its paper: 4); 1 of DnCNN.
        batch_norm: of DnCNN (paper: True); False of DRUNet.
        noise_levels: standard deviations that are trained on, from and to, of grey levels from 0 to 255; drawn for each
            image (paper: 15, 25 or 50 alone, and 0 to 55).
        test_level: standard deviation that is removed in validation and evaluation (paper: 15, 25 and 50).
        optimizer: paper: SGD; authors' later code: Adam, lr 1e-3, of DRUNet 1e-4.

    Differs from the paper:
        - Weights do not decay (paper: by 1e-4), and the loss is the mean over pixels, not half of their sum.
        - The weights of the last layer, and those that end a block of DRUNet, begin ten times smaller.
        - DRUNet is not told the level of the noise, of which its paper gives it a map, and predicts the noise, not the
          image; its paper minimizes absolute errors, of noise from 0 to 50.
        - Scores are of the brightness and leave out a border, as those of super-resolution do.
    """

    batch_type = Images
    best_by = ("val/psnr", "max")
    directions = ("x_to_y",)
    scale = 1
    baseline_name = "the noisy image"

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        network: Literal["dncnn", "drunet"],
        width: PositiveInt,
        depth: PositiveInt,
        num_scales: PositiveInt,
        batch_norm: bool,
        noise_levels: tuple[NonNegativeFloat, NonNegativeFloat],
        test_level: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if noise_levels[0] > noise_levels[1]:
            raise ValueError(f"noise_levels={list(noise_levels)}: expected the lower one first")
        if network == "dncnn" and (depth < 2 or num_scales > 1):
            raise ValueError(f"depth={depth} num_scales={num_scales}: dncnn has 2 layers at least, and one scale")
        if network == "drunet" and batch_norm:
            raise ValueError("batch_norm=true: drunet has none")
        self.stride = 2 ** (num_scales - 1)
        channels, height, side = image_shape
        if height % self.stride or side % self.stride:
            raise ValueError(f"image_shape={list(image_shape)}: sides must be multiples of {self.stride}")
        self.noise_levels = noise_levels
        self.test_level = test_level
        self.network = (
            DnCNN(channels, width, depth, batch_norm)
            if network == "dncnn"
            else DRUNet(channels, width, depth, num_scales)
        )
        initialize(self.network)
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
        squared_error = mse_loss(self.without_noise(images + LEVEL * levels * noise), images)
        self.descend(self.optimizers(), squared_error, "squared_error")
        self.report(squared_error=squared_error)

    def without_noise(self, images: Tensor) -> Tensor:
        return images - self.network(images).float()

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
        """``(N, C, H, W)`` without noise, in [-1, 1]."""
        return self.without_noise(images).clamp(-1, 1)
