"""How far images are from others in the features of a VGG."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, normalize

from genlab.networks.vgg import VGGFeatures

Content = Literal["mse", "vgg22", "vgg54"]
"""Of pixels, of the layer after the second convolution of the second block, of that after the fourth of the fifth."""

RESCALING = 1 / 12.75
"""Of features, which brings their squared differences to the size of those of pixels (Ledig et al., section 3.2)."""

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""That the perceptual distance compares: the last of each block that both networks have."""


def content_layer(network: VGGFeatures, content: Literal["vgg22", "vgg54"]) -> str:
    """The layer of a content loss; the embedded VGG16 ends with ``relu4_3``, which there stands in for VGG54."""
    if content == "vgg22":
        return "relu2_2"
    return "relu5_4" if "conv5_4" in network.convolutions else "relu4_3"


def content_loss(network: VGGFeatures, layer: str, images: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of features, scaled by 1/12.75 (Ledig et al., 2017, arXiv:1609.04802, equation 5).

    Shapes: ``(N, C, H, W)`` in [-1, 1], both -> scalar.

    Args:
        truth: gets no gradient.
    """
    with torch.no_grad():
        wanted = network(truth, [layer])[layer]
    return RESCALING**2 * mse_loss(network(images, [layer])[layer].float(), wanted.float())


def perceptual_distance(network: VGGFeatures, images: Tensor, others: Tensor) -> Tensor:
    """Squared distance of features that are brought to length 1 at each pixel, the mean over pixels and layers.

    It is the distance of Zhang et al., 2018, arXiv:1801.03924, equation 1, with equal weights in place of learned ones.

    Shapes: ``(N, C, H, W)`` in [-1, 1], both -> ``(N,)`` in [0, 2].
    """
    found, wanted = network(images, LAYERS), network(others, LAYERS)
    distances = [
        (normalize(found[layer].float()) - normalize(wanted[layer].float())).square().sum(1).mean((1, 2))
        for layer in LAYERS
    ]
    return torch.stack(distances).mean(0)
