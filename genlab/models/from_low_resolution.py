"""What is the same in every model that enlarges images with the generator of SRGAN."""

from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.errors import UsageError
from genlab.losses.perceptual import Content, ContentLoss
from genlab.networks.srresnet import Generator, Skip, enlarged, reduced
from genlab.networks.vgg import VGG16Features, vgg19_file


class FromLowResolution:
    """Enlarges images, is trained on photographs that it reduces itself, and tells which network its loss is of."""

    directions = ("x_to_y",)
    stride = 1
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

    @property
    def degradation(self) -> str:
        return f"bicubic, {self.scale} times smaller"

    def on_fit_start(self) -> None:
        if isinstance(self.content.network, VGG16Features):
            rank_zero_warn(
                f"the content loss is of {self.content.name}, which comes with genlab; the paper's is of VGG19, whose "
                f"weights are not in {vgg19_file()}"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["content"] = self.content.name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Called when a run goes on.

        Raises:
            UsageError: it has been trained on the features of another network than there is now.
        """
        if (before := checkpoint["content"]) != self.content.name:
            raise UsageError(
                f"this run was trained with a content loss of {before}, and here it is of {self.content.name}\n"
                "the weights of VGG19 are used where torch's cache has them: bring them there, or take them away"
            )

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1], ``scale`` times smaller; nothing is drawn."""
        return reduced(images, self.scale)

    def baseline(self, degraded: Tensor) -> Tensor:
        """Bicubic interpolation."""
        return enlarged(degraded, self.scale).clamp(-1, 1)

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, scale · H, scale · W)``, in [-1, 1] both, of any size."""
        return self.generator(images).float().clamp(-1, 1)
