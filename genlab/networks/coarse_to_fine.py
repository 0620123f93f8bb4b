"""The generator of pix2pixHD with its local enhancer.

Wang et al., 2018, arXiv:1711.11585, section 3.2.
"""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from genlab.networks.patchgan import instance_norm
from genlab.networks.residual import ReflectedConv2d, ResidualBlock, ResidualGenerator, Upsampling, doubled


class CoarseToFine(nn.Module):
    """The local enhancer G2 around the global generator G1, which sees the image at half the size.

    Shapes: ``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)`` in (-1, 1).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_blocks: int,
        num_downsamplings: int,
        enhancer_blocks: int,
        upsampling: Upsampling,
    ) -> None:
        super().__init__()
        narrow = max(1, width // 2)
        whole = ResidualGenerator(in_channels, out_channels, width, num_blocks, num_downsamplings, upsampling)
        self.coarse = nn.Sequential(*list(whole)[:-2])  # all but what makes an image of its maps
        self.down = nn.Sequential(
            ReflectedConv2d(in_channels, narrow, 7),
            instance_norm(narrow),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, width, 3, stride=2, padding=1),
            instance_norm(width),
            nn.ReLU(inplace=True),
        )
        self.up = nn.Sequential(
            *(ResidualBlock(width) for _ in range(enhancer_blocks)),
            *doubled(width, narrow, upsampling),
            instance_norm(narrow),
            nn.ReLU(inplace=True),
            ReflectedConv2d(narrow, out_channels, 7),
            nn.Tanh(),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.up(self.down(images) + self.coarse(halved(images)))


def halved(images: Tensor) -> Tensor:
    """``(N, C, H, W)`` -> ``(N, C, H / 2, W / 2)``, averages of 3x3 pixels."""
    return avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
