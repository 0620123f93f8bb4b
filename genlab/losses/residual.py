"""Where images differ from what they should be."""

from torch import Tensor
from torch.nn.functional import avg_pool2d


def residual_map(images: Tensor, restored: Tensor, side: int, edge_weight: float) -> Tensor:
    """``m(|x - r|) / (1 + edge_weight · m(s))`` of images x and restored images r.

    m is the mean over the square of ``side`` pixels around each, and s the standard deviation of r over 3x3 pixels: at
    an edge, a shift by less than a pixel makes as large a difference as an anomaly does elsewhere. Channels are
    averaged. Outside of the image there are no pixels, so squares at its border are smaller.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> ``(N, 1, H, W)``.

    Args:
        side: odd; 1 is the pixel alone.
        edge_weight: 0 is the plain residual.
    """
    residual = mean_around((images - restored).abs().mean(1, keepdim=True), side)
    if edge_weight == 0:
        return residual
    variance = mean_around(restored.square(), 3) - mean_around(restored, 3).square()
    contrast = variance.clamp(min=0).sqrt().mean(1, keepdim=True)
    return residual / (1 + edge_weight * mean_around(contrast, side))


def mean_around(images: Tensor, side: int) -> Tensor:
    return avg_pool2d(images, side, stride=1, padding=side // 2, count_include_pad=False)


def check_side(side: int, image_shape: tuple[int, ...]) -> None:
    """Raises a ValueError unless a map of such images can be averaged over such squares."""
    if side % 2 == 0 or side > min(image_shape[1:]):
        raise ValueError(f"map_side={side}: expected an odd number of pixels, at most {min(image_shape[1:])}")
