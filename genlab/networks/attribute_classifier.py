"""The network that judges which attributes an image shows."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

SIDE = 64


class AttributeClassifier(nn.Module):
    """Four strided convolutions with batch norm and a hidden layer of 64; dropout only while training.

    Images of another size are enlarged or reduced to 64x64, by bilinear interpolation.

    Shapes: ``(N, 3, H, W)`` in [-1, 1] -> logits ``(N, num_attributes)``, positive where an attribute is seen.
    """

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((3, 24, 40, 64, 80)):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.Flatten(), nn.Dropout(0.25), nn.Linear(80 * (SIDE // 16) ** 2, 64), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(64, num_attributes))

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (SIDE, SIDE):
            images = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        return self.layers(images)
