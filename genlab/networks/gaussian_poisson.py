"""The Gaussian-Poisson equation: an image of given differences between neighbours and given colours of areas.

Wu, Zheng, Zhang & Huang, "GP-GAN: Towards Realistic High-Resolution Image Blending", ACM Multimedia 2019,
arXiv:1703.07195, section 3.3. It is solved exactly, by the discrete cosine transform.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIGMA = 0.5
"""Of the 3x3 Gaussian whose colours are compared, in pixels, as in the authors' code."""


def dct(values: Tensor) -> Tensor:
    """DCT-II along the last axis, ``2 Σ_n x_n cos(π k (2n + 1) / 2N)``: of a sequence that is mirrored at its ends."""
    size = values.shape[-1]
    spectrum = torch.fft.rfft(torch.cat([values, values.flip(-1)], -1))[..., :size]
    return (spectrum * _phase(size, -1, values)).real


def inverse_dct(transformed: Tensor) -> Tensor:
    """What ``dct`` made this of."""
    size = transformed.shape[-1]
    spectrum = transformed * _phase(size, 1, transformed)
    # The mirrored sequence has nothing of the highest frequency.
    spectrum = torch.cat([spectrum, torch.zeros_like(spectrum[..., :1])], -1)
    return torch.fft.irfft(spectrum, 2 * size)[..., :size]


def _phase(size: int, sign: int, like: Tensor) -> Tensor:
    angles = sign * math.pi / (2 * size) * torch.arange(size, dtype=like.dtype, device=like.device)
    return torch.polar(torch.ones_like(angles), angles)


def dct_2d(images: Tensor) -> Tensor:
    """DCT-II of rows and columns, ``(..., H, W)``."""
    return dct(dct(images).mT).mT


def inverse_dct_2d(transformed: Tensor) -> Tensor:
    return inverse_dct(inverse_dct(transformed.mT).mT)


def differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """To the next pixel below, ``(..., H - 1, W)``, and to the right, ``(..., H, W - 1)``."""
    return images.diff(dim=-2), images.diff(dim=-1)


def adjoint(below: Tensor, right: Tensor) -> Tensor:
    """The transpose of ``differences``: minus their divergence, ``(..., H, W)``."""
    rows = torch.nn.functional.pad(below, (0, 0, 1, 1)).diff(dim=-2)
    columns = torch.nn.functional.pad(right, (1, 1)).diff(dim=-1)
    return -(rows + columns)


def pairs_within(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Of which of the ``differences`` a mask ``(..., H, W)`` bool chooses both pixels."""
    return mask[..., 1:, :] & mask[..., :-1, :], mask[..., 1:] & mask[..., :-1]


def guidance(source: Tensor, destination: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The differences of the source where both pixels are chosen by the mask, elsewhere those of the destination.

    So is the border crossed as in the destination, and a cut-out needs no pixels beyond its edge.

    Shapes:
        source, destination: ``(N, C, H, W)``.
        mask: ``(N, 1, H, W)`` bool.
    """
    found = zip(pairs_within(mask), differences(source), differences(destination), strict=True)
    below, right = (torch.where(*each) for each in found)
    return below, right


def solve(colours: Tensor, below: Tensor, right: Tensor, beta: float) -> Tensor:
    """The x that minimizes ``‖∇x - v‖² + β ‖g * (x - y)‖²`` (equations 5 and 6), in closed form.

    g is a 3x3 Gaussian, and images are mirrored at their ends, so that the cosine transform makes the normal equations
    ``(∇ᵀ∇ + β g * g *) x = ∇ᵀ v + β g * g * y`` one division for each frequency. If v are the differences of y, x is y:
    the paper compares ``g * x`` with y itself, whose details would be sharpened.

    Shapes:
        colours: y, ``(N, C, H, W)``.
        below, right: v, as of ``differences``.
        returns: ``(N, C, H, W)``.

    Args:
        beta: of the colours, above 0.
    """
    height, width = colours.shape[-2:]
    rows, columns = _cosines(height, colours)[:, None], _cosines(width, colours)
    laplacian = (2 - 2 * rows) + (2 - 2 * columns)
    side = math.exp(-1 / (2 * SIGMA**2))
    gaussian = (1 + 2 * side * rows) * (1 + 2 * side * columns) / (1 + 2 * side) ** 2
    weight = beta * gaussian.square()
    numerator = dct_2d(adjoint(below, right)) + weight * dct_2d(colours)
    return inverse_dct_2d(numerator / (laplacian + weight))


def _cosines(size: int, like: Tensor) -> Tensor:
    """cos(π k / size): of the eigenvalues of symmetric filters of three taps on a sequence that is mirrored."""
    return torch.cos(math.pi / size * torch.arange(size, dtype=like.dtype, device=like.device))


def num_doublings(size: tuple[int, int], least: int) -> int:
    """How often a longest side of ``least`` pixels is doubled to reach a larger one."""
    return max(0, math.ceil(math.log2(max(size) / least)))


def blend_upwards(colours: Tensor, source: Tensor, destination: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Solves the equation at the size of the colours, then at double the size with that solution's colours, and so on.

    Algorithm 1. The details of each size are those of the images brought to it.

    Shapes:
        colours: ``(N, C, h, w)`` in [-1, 1].
        source, destination: ``(N, C, H, W)`` in [-1, 1], any size.
        mask: ``(N, 1, H, W)`` bool.
        returns: ``(N, C, H, W)`` in [-1, 1].

    Args:
        beta: of ``solve``.
    """
    height, width = source.shape[-2:]
    for level in reversed(range(num_doublings((height, width), max(colours.shape[-2:])) + 1)):
        size = (max(1, height >> level), max(1, width >> level))
        chosen = interpolate(mask.to(source.dtype), size, mode="nearest") > 0.5
        below, right = guidance(resized(source, size), resized(destination, size), chosen)
        colours = solve(resized(colours, size), below, right, beta).clamp(-1, 1)
    return colours


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """``(N, C, H, W)`` in [-1, 1] -> ``(N, C, *size)``, by bicubic interpolation that averages where it reduces."""
    if tuple(images.shape[-2:]) == size:
        return images
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(-1, 1)
