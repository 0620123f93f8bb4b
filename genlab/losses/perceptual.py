"""How far images are from others in the features of a VGG."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from genlab.networks.vgg import VGGFeatures, best_features

Content = Literal["mse", "vgg22", "vgg54"]

RESCALING = 1 / 12.75
"""Of features: brings squared differences of VGG19's to the size of those of pixels (Ledig et al., section 3.2).

Those of the embedded network are larger: at relu2_2 still some 130 times those of pixels.
"""

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""That the perceptual distance compares: of each block that both networks have."""


class ContentLoss(nn.Module):
    """What super-resolution minimizes (Ledig et al., 2017, arXiv:1609.04802, equations 4 and 5).

    ``mse`` is the squared difference of pixels; ``vgg22`` that of the layer after the second convolution of the second
    block, ``vgg54`` of that after the fourth of the fifth, in the best network there is. The embedded one ends with
    ``relu4_3``, which stands in for VGG54.
    """

    def __init__(self, content: Content) -> None:
        super().__init__()
        self.network = None if content == "mse" else best_features()
        self.layer = ""
        if self.network is not None:
            last = "relu5_4" if "conv5_4" in self.network.convolutions else "relu4_3"
            self.layer = "relu2_2" if content == "vgg22" else last

    @property
    def name(self) -> str:
        return "pixels" if self.network is None else f"{self.layer} of {self.network.name}"

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """The mean squared difference, of features scaled by 1/12.75; ``truth`` gets no gradient.

        Shapes: ``(N, C, H, W)`` in [-1, 1], both -> scalar.
        """
        if self.network is None:
            return mse_loss(images.float(), truth.detach().float())
        with torch.no_grad():
            wanted = self.network(truth, [self.layer])[self.layer]
        found = self.network(images, [self.layer])[self.layer]
        return RESCALING**2 * mse_loss(found.float(), wanted.float())


def perceptual_distance(network: VGGFeatures, images: Tensor, others: Tensor) -> Tensor:
    """Squared distance of features that are brought to length 1 at each pixel, the mean over pixels and layers.

    It is the distance of Zhang et al., 2018, arXiv:1801.03924, equation 1, with equal weights in place of learned ones.

    Shapes: ``(N, C, H, W)`` in [-1, 1], both, sides of at least 8 -> ``(N,)`` in [0, 2].
    """
    found, wanted = network(images, LAYERS), network(others, LAYERS)
    distances = [
        (normalize(found[layer].float()) - normalize(wanted[layer].float())).square().sum(1).mean((1, 2))
        for layer in LAYERS
    ]
    return torch.stack(distances).mean(0)
