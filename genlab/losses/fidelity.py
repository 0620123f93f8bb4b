"""How near images come to the truth, as papers on restoration measure it: on brightness, without the border."""

from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

BORDER = 4
"""Pixels that papers on super-resolution leave out at each side."""

LUMA = (65.481, 128.553, 24.966)
"""Weights of red, green and blue in [0, 1] in Y of 16 to 235: ITU-R BT.601, as MATLAB's ``rgb2ycbcr`` has it."""

WINDOW = 11
"""Pixels on a side of the Gaussian window of SSIM."""


def brightness(images: Tensor, border: int) -> Tensor:
    """Y of YCbCr over 255, or the grey values themselves, without a border of so many pixels.

    Shapes: ``(N, 1 or 3, H, W)``, brought into [-1, 1] -> ``(N, 1, H - 2 border, W - 2 border)`` in [0, 1].
    """
    values = (images.float().clamp(-1, 1) + 1) / 2
    if values.shape[1] == 3:
        values = (16 + (values * values.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)) / 255
    return values[:, :, border : values.shape[2] - border, border : values.shape[3] - border]


def signal_to_noise(images: Tensor, truth: Tensor, border: int) -> Tensor:
    """Peak signal to noise ratio of the brightness of each image, ``(N,)`` dB; infinite where nothing differs.

    Shapes:
        images, truth: ``(N, 1 or 3, H, W)`` in [-1, 1].
    """
    error = brightness(images, border) - brightness(truth, border)
    return -10 * error.double().square().mean((1, 2, 3)).log10()


def structural_similarity(images: Tensor, truth: Tensor) -> Tensor:
    """SSIM of each image: Wang, Bovik, Sheikh & Simoncelli, 2004, doi:10.1109/TIP.2003.819861; ``(N,)``, 1 if equal.

    The mean over all windows of 11x11 pixels, weighted by a Gaussian of 1.5 pixels, that lie within the image.

    Shapes: ``(N, C, H, W)`` in [0, 1], both, sides of at least 11.
    """
    _, windows = structural_similarity_index_measure(
        images, truth, data_range=1.0, reduction="none", return_full_image=True
    )
    edge = WINDOW // 2
    return windows[:, :, edge:-edge, edge:-edge].mean((1, 2, 3))


def hole_signal_to_noise(images: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """Peak signal to noise ratio of the colours within the hole of each image, ``(N,)`` dB.

    Shapes:
        images, truth: ``(N, C, H, W)`` in [-1, 1].
        hole: ``(N, 1, H, W)`` bool.
    """
    squares = ((images.float().clamp(-1, 1) - truth.float()) / 2).double().square().mean(1, keepdim=True)
    return -10 * ((squares * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3))).log10()
