"""What is the same in every model that enlarges images with the generator of SRGAN."""

import torch
from torch import Tensor

from genlab.losses.perceptual import Content, ContentLoss
from genlab.models.feature_loss import FeatureLoss
from genlab.networks.srresnet import Generator, Skip, enlarged, reduced


class FromLowResolution(FeatureLoss):
    """Enlarges images, is trained on photographs that it reduces itself, and tells which network its loss is of."""

    loss_name = "content loss"
    directions = ("x_to_y",)
    stride = 1
    baseline_name = "bicubic interpolation"
    scale: int
    generator: Generator
    content: ContentLoss

    def build(
        self,
        image_shape: tuple[int, int, int],
        scale: int,
        width: int,
        num_blocks: int,
        batch_norm: bool,
        skip: Skip,
        content: Content,
    ) -> None:
        """Makes the generator and the loss; to be called by the constructor.

        Raises:
            ValueError: the sides of the images are no multiples of ``scale``.
        """
        channels, height, side = image_shape
        if height % scale or side % scale:
            raise ValueError(f"image_shape={list(image_shape)}: sides must be multiples of scale={scale}")
        self.scale = scale
        self.generator = Generator(channels, scale, width, num_blocks, batch_norm, skip)
        self.content = ContentLoss(content)
        self.loss_network, self.loss_features = self.content.network, self.content.name

    @property
    def degradation(self) -> str:
        return f"bicubic, {self.scale} times smaller"

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1], ``scale`` times smaller; nothing is drawn."""
        return reduced(images, self.scale)

    def baseline(self, degraded: Tensor) -> Tensor:
        """Bicubic interpolation."""
        return enlarged(degraded, self.scale).clamp(-1, 1)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, scale · H, scale · W)``, in [-1, 1] both, of any size."""
        return self.generator(images).float().clamp(-1, 1)
