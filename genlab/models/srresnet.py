"""SRResNet: super-resolution by a deep residual network.

Ledig, Theis, Huszár, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang & Shi, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", CVPR 2017, arXiv:1609.04802.
"""

from typing import Literal

import torch
from pydantic import PositiveInt

from genlab.datasets.batches import Images
from genlab.losses.fidelity import BORDER, signal_to_noise
from genlab.losses.perceptual import Content
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_low_resolution import FromLowResolution
from genlab.networks.srresnet import Skip


class SRResNet(FromLowResolution, GenerativeModel):
    """A residual network that enlarges images, as near as possible to the originals.

    Args:
        image_shape: ``(C, H, W)`` of the originals, sides multiples of ``scale`` (paper: crops of 3x96x96).
        scale: 2 or 4 (paper: 4).
        width: channels of all maps (paper: 64).
        num_blocks: residual blocks (paper: 16).
        batch_norm: paper: True.
        skip: what the network's output is added to, nothing or the bicubic enlargement (paper: none).
        content: what is to be near, pixels or features of VGG19 (paper: mse, vgg22); the embedded VGG16 stands in where
            torch's cache has no VGG19, and its relu4_3 for VGG54.
        optimizer: paper: Adam, lr 1e-4, beta1 0.9.

    Differs from the paper:
        - Small images are given in [-1, 1], as all images are here, not in [0, 1].
        - They are reduced by the bicubic filter of torch, which at the borders differs a little from MATLAB's.
        - They are not rounded to 8 bits, as those of files are.
    """

    batch_type = Images
    best_by = ("val/psnr", "max")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        scale: Literal[2, 4],
        width: PositiveInt,
        num_blocks: PositiveInt,
        batch_norm: bool,
        skip: Skip,
        content: Content,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.build(image_shape, scale, width, num_blocks, batch_norm, skip, content)
        self.optimizer = optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.generator.parameters())

    def training_step(self, batch: Images, batch_idx: int) -> None:
        content = self.content(self.generator(self.degrade(batch.images)), batch.images)
        self.descend(self.optimizers(), content, "content")
        self.report(content=content)

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        psnr = signal_to_noise(self.translate(self.degrade(batch.images)), batch.images, BORDER)
        self.log("val/psnr", psnr.mean(), batch_size=len(psnr), sync_dist=True)
