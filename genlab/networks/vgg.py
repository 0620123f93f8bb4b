"""The convolutions of VGG16 and VGG19, whose features tell images apart much as people do.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, arXiv:1409.1556,
table 1, columns D and E.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG19_Weights

from genlab.datasets.embedded import asset
from genlab.errors import DataError

FILE = "vgg16_conv.safetensors"

BGR_MEAN = (104.00699, 116.66877, 122.67892)
"""Of grey levels 0 to 255, in the order of the embedded weights."""

RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of colours in [0, 1], as torchvision's networks are trained."""


class VGGFeatures(nn.Module):
    """Convolutions of 3x3, each followed by ReLU; 2x2 pixels become their maximum after each block.

    The weights are constants: they get no gradient and are in no checkpoint, and gradients flow through to the images.

    Args:
        name: as scores name it.
        convolutions: ``conv1_1`` to the last: their weights ``(O, I, 3, 3)`` and biases ``(O,)``, in order.
        mean, std: of red, green and blue in [0, 1], which the images are normalized by.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, convolutions: Mapping[str, tuple[Tensor, Tensor]], mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.name = name
        self.convolutions = tuple(convolutions)
        for convolution, (weight, bias) in convolutions.items():
            weight = weight.float().contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"{convolution}_weight", weight, persistent=False)
            self.register_buffer(f"{convolution}_bias", bias.float(), persistent=False)
        # Images in [-1, 1] are (x + 1) / 2 in [0, 1].
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", (2 * torch.tensor(mean) - 1).view(shape), persistent=False)
        self.register_buffer("std", (2 * torch.tensor(std)).view(shape), persistent=False)

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The maps of some layers; nothing is computed beyond the last of them.

        Shapes: ``(N, 1 or 3, H, W)`` in [-1, 1] -> each ``(N, channels, H / 2^b, W / 2^b)`` after b blocks.

        Args:
            layers: ``conv2_1`` is the first convolution of the second block, ``relu2_1`` the same after ReLU.

        Raises:
            ValueError: the network has no such layer, or the images are smaller than one pixel of it.
        """
        depths = [self.depth(layer) for layer in layers]
        halvings = max(int(layer[4]) for layer in layers) - 1
        if min(images.shape[2:]) < 2**halvings:
            raise ValueError(
                f"images of {images.shape[2]}x{images.shape[3]} are too small for {', '.join(layers)} of {self.name}: "
                f"expected sides of at least {2**halvings}"
            )
        maps = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        maps = maps.contiguous(memory_format=torch.channels_last)
        found, block = {}, "1"
        for convolution in self.convolutions[: max(depths) + 1]:
            if convolution[4] != block:
                maps, block = functional.max_pool2d(maps, 2), convolution[4]
            weight, bias = self.get_buffer(f"{convolution}_weight"), self.get_buffer(f"{convolution}_bias")
            found[convolution] = functional.conv2d(maps, weight, bias, padding=1)
            maps = found[convolution.replace("conv", "relu")] = functional.relu(found[convolution])
        return {layer: found[layer] for layer in layers}

    def depth(self, layer: str) -> int:
        """The number of the convolution of a layer, from 0."""
        convolution = layer.replace("relu", "conv")
        if convolution not in self.convolutions:
            raise ValueError(
                f"{self.name} has no layer {layer}: expected {self.convolutions[0]} to {self.convolutions[-1]}, or "
                "relu1_1 and so on for the same after ReLU"
            )
        return self.convolutions.index(convolution)


class VGG16Features(VGGFeatures):
    """The network that comes with genlab, ``conv1_1`` to ``conv4_3``.

    Its weights are those of VGG16 after they were trained further to find edges (Xie & Tu, "Holistically-Nested Edge
    Detection", ICCV 2015, arXiv:1504.06375); distances by it do not compare with those by the classifier.
    """

    def __init__(self) -> None:
        state = safetensors.torch.load(asset(FILE))
        convolutions = {}
        for name in sorted(key.removesuffix(".weight") for key in state if key.endswith(".weight")):
            convolutions[name] = (state[f"{name}.weight"], state[f"{name}.bias"])
        weight, bias = convolutions["conv1_1"]
        convolutions["conv1_1"] = (weight.flip(1), bias)  # red first
        mean = [level / 255 for level in reversed(BGR_MEAN)]
        super().__init__("vgg16_hed", convolutions, mean, [1 / 255] * 3)


class VGG19Features(VGGFeatures):
    """torchvision's classifier of ImageNet, ``conv1_1`` to ``conv5_4``, from its file in torch's cache.

    Raises:
        DataError: the file is not there or holds something else.
    """

    def __init__(self) -> None:
        path = vgg19_file()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except FileNotFoundError as error:
            raise DataError(
                f"there is no {path}, the weights of VGG19\n"
                "get them by python -c 'import torchvision; torchvision.models.vgg19(weights=\"DEFAULT\")'"
            ) from error
        convolutions = {}
        # The numbers of torchvision's layers: convolutions, ReLUs and maxima, one after another.
        number = 0
        try:
            for block, count in enumerate((2, 2, 4, 4, 4), 1):
                for place in range(1, count + 1):
                    weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
                    convolutions[f"conv{block}_{place}"] = (weight.clone(), bias.clone())
                    number += 2
                number += 1
        except KeyError as error:
            raise DataError(f"{path} holds no VGG19: it has no {error.args[0]}\nremove it") from error
        super().__init__("vgg19", convolutions, RGB_MEAN, RGB_STD)


def vgg19_file() -> Path:
    """Where torchvision keeps the weights of VGG19 once they are downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[2]


def best_features() -> VGGFeatures:
    """VGG19 if torch's cache has it, else the network that comes with genlab; nothing is downloaded."""
    return VGG19Features() if vgg19_file().is_file() else VGG16Features()
