"""What texture synthesis by patches is made of: a network that reads features, and discriminators of patches of them.

Li & Wand, "Precomputed Real-Time Texture Synthesis with Markovian Generative Adversarial Networks", ECCV 2016,
arXiv:1604.04382.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import batch_norm, relu

from genlab.errors import UsageError
from genlab.networks.vgg import VGG16Features, VGG19Features, VGGFeatures

Features = Literal["vgg16", "vgg19"]
"""The network that comes with genlab, or torchvision's, which has to be in torch's cache."""

Layer = Annotated[str, Field(pattern=r"^relu[1-5]_[1-4]$")]
"""As ``relu3_1``: the first convolution of the third block, after ReLU."""

CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
"""Of the layers of each block of both networks."""


def stride_of(layer: str) -> int:
    """Pixels from one feature of a layer to the next."""
    return 2 ** (int(layer[4]) - 1)


class FeatureReader:
    """A VGG that is loaded when it is first needed, and follows the images from device to device.

    It is no module: a model that has it shows and saves its own weights alone.
    """

    def __init__(self, features: Features) -> None:
        self.name = features
        self.network: VGGFeatures | None = None

    def load(self) -> VGGFeatures:
        """
        Raises:
            DataError: VGG19 is not there.
        """
        if self.network is None:
            self.network = VGG16Features() if self.name == "vgg16" else VGG19Features()
        return self.network

    def check(self, layers: Sequence[str]) -> None:
        """
        Raises:
            UsageError: the network has not all of these layers.
            DataError: VGG19 is not there.
        """
        network = self.load()
        for layer in layers:
            try:
                network.depth(layer)
            except ValueError as error:
                raise UsageError(f"model.features={self.name}: {error}") from error

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """As of ``VGGFeatures``: the maps of each layer; the weights are as precise as they are stored or more."""
        return self.load().to(images.device, torch.promote_types(images.dtype, torch.float32))(images, layers)


def optimizing_discriminator(channels: int, width: int) -> nn.Sequential:
    """That of MDAN, of patches of 8x8 features: ``(N, channels, h, w)`` -> ``(N, 1, h - 7, w - 7)``."""
    return nn.Sequential(
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width, track_running_stats=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 1, 8),
    )


def feed_forward_discriminator(channels: int, width: int) -> nn.Sequential:
    """That of MGAN: ``(N, channels, h, w)`` -> ``(N, 1, h / 4, w / 4)``."""
    return nn.Sequential(
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.BatchNorm2d(width, track_running_stats=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.BatchNorm2d(2 * width, track_running_stats=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 1),
    )


class MarkovianDiscriminator(nn.ModuleDict):
    """A discriminator for each of some layers of features, which scores every patch of its layer's maps.

    Batch norm takes its averages from the real patches alone, for generated ones, too: normalized by their own, these
    could be of any brightness and contrast. The averages are constants: unlike in batch norm elsewhere, no gradient
    flows through them, so that the weights before them learn from generated patches as they do from real ones.

    Args:
        layers: as ``relu3_1``.
        width: channels of the first convolution of each.
        network: one of the two functions above.
    """

    def __init__(self, layers: Sequence[str], width: int, network: Callable[[int, int], nn.Sequential]) -> None:
        super().__init__({layer: network(CHANNELS[layer[4]], width) for layer in layers})

    def forward(self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """The scores of real and generated maps of each layer, large for real ones."""
        return [self._scores(layer, real[layer], fake[layer]) for layer in self]

    def _scores(self, layer: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        network = self[layer]
        assert isinstance(network, nn.Sequential)
        for module in network:
            if isinstance(module, nn.BatchNorm2d):
                # In mixed precision the maps are less precise than the weights, which the averages have to be like.
                variance, mean = torch.var_mean(real.detach().to(module.weight.dtype), (0, 2, 3), correction=0)
                real, fake = (
                    batch_norm(maps, mean, variance, module.weight, module.bias, eps=module.eps)
                    for maps in (real, fake)
                )
            else:
                real, fake = module(real), module(fake)
        return real, fake


def discriminator_loss(scores: list[tuple[Tensor, Tensor]]) -> Tensor:
    """``E max(0, 1 - D(x)) + E max(0, 1 + D(G))`` over all patches, the mean over the layers (section 3)."""
    terms = [relu(1 - real.float()).mean() + relu(1 + fake.float()).mean() for real, fake in scores]
    return torch.stack(terms).mean()


def generator_loss(scores: list[tuple[Tensor, Tensor]]) -> Tensor:
    """``E max(0, 1 - D(G))`` over all patches, the mean over the layers (equation 2): 0 once all are taken for real."""
    return torch.stack([relu(1 - fake.float()).mean() for _, fake in scores]).mean()
