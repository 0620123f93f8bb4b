"""An encoder and a decoder with a bottleneck between them, as context encoders and GP-GAN have them.

Pathak, Krähenbühl, Donahue, Darrell & Efros, "Context Encoders: Feature Learning by Inpainting", CVPR 2016,
arXiv:1604.07379, section 3.1 and the authors' code.
"""

from itertools import pairwise

from torch import nn

from genlab.networks.dcgan import num_doublings


def widths(width: int, image_shape: tuple[int, int, int]) -> list[int]:
    """Channels of each map from half the side down to a side of 4 to 7, the last four doubling.

    Of width 64: 64, 128, 256 and 512 for 64x64, with another 64 before them for 128x128.
    """
    count = num_doublings(image_shape)
    return [width * 2 ** max(0, level - max(0, count - 4)) for level in range(count)]


class EncoderDecoder(nn.Sequential):
    """Strided convolutions down to one vector, and strided transposed convolutions up from it.

    Every convolution but the first and the last is followed by batch norm; LeakyReLU in the encoder, ReLU in the
    decoder; no convolution has a bias. The vector takes the place of the paper's layer that is fully connected within
    each channel, as in the authors' code.

    Shapes: ``(N, *in_shape)`` in [-1, 1] -> ``(N, *out_shape)`` in (-1, 1).

    Args:
        in_shape, out_shape: ``(C, H, W)``, square, the sides 4, 5, 6 or 7 times a power of 2 and at least 8.
        width: channels of the largest maps (paper: 64).
        bottleneck: length of the vector (authors' code: 4000).

    Raises:
        ValueError: a side is none of these.
    """

    def __init__(
        self, in_shape: tuple[int, int, int], out_shape: tuple[int, int, int], width: int, bottleneck: int
    ) -> None:
        down, up = widths(width, in_shape), widths(width, out_shape)[::-1]
        layers: list[nn.Module] = [
            nn.Conv2d(in_shape[0], width, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for inputs, outputs in pairwise(down):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(down[-1], bottleneck, in_shape[1] >> len(down), bias=False)]
        layers += [nn.BatchNorm2d(bottleneck), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.ConvTranspose2d(bottleneck, up[0], out_shape[1] >> len(up), bias=False)]
        for inputs, outputs in pairwise((*up, out_shape[0])):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
        super().__init__(*layers, nn.Tanh())
