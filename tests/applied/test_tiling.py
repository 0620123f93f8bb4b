"""Tiles cover everything once, and their results are those of the whole image."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.applied.tiling import in_bands, tile_count, windows

CONVOLUTIONS = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 2, 5, padding=2)).double()
"""Sees 4 pixels to each side."""


@pytest.mark.parametrize(
    ("length", "tile", "stride", "scale"), [(100, 32, 1, 1), (104, 32, 4, 1), (1000, 64, 8, 2), (192, 32, 64, 1)]
)
def test_shares_sum_to_one_and_tiles_share_a_quarter(length: int, tile: int, stride: int, scale: int) -> None:
    begins, shares = windows(length, tile, stride, scale)
    side = shares.shape[1] // scale
    total = torch.zeros(length * scale)
    for begin, share in zip(begins, shares, strict=True):
        total[scale * begin : scale * (begin + side)] += share
    torch.testing.assert_close(total, torch.ones(length * scale))
    assert begins[0] == 0
    assert begins[-1] + side == length
    assert all(begin % stride == 0 for begin in begins)
    overlaps = [first + side - second for first, second in pairwise(begins)]
    assert min(overlaps) >= side // 4
    assert (shares[1, : scale * side // 16] == 0).all()  # what saw the tile's border
    assert shares.min() >= 0


def test_what_fits_in_a_tile_is_one() -> None:
    begins, shares = windows(32, 32, 4, 2)
    assert begins == [0]
    assert torch.equal(shares, torch.ones(1, 64))
    assert tile_count(32, 33 + 31, 32, 1) == 3


def test_convolutions_in_tiles_are_those_of_the_whole() -> None:
    """Their tiles share twice 8 pixels, of which the outer 4 to each side have no part."""
    image = torch.rand(1, 150, 230, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        whole = CONVOLUTIONS(image[None])[0].float()
        bands = list(in_bands(CONVOLUTIONS, image, 64, 1, 1))
    assert len(bands) == 3
    torch.testing.assert_close(torch.cat(bands, 1), whole, rtol=0, atol=1e-6)


def test_strides_and_scales_in_tiles_are_those_of_the_whole() -> None:
    def doubled(images: Tensor) -> Tensor:
        means = functional.avg_pool2d(images, 4)  # which depends on where the tile begins
        return functional.interpolate(means, scale_factor=8, mode="nearest")

    image = torch.rand(3, 88, 160, generator=torch.Generator().manual_seed(0))
    found = torch.cat(list(in_bands(doubled, image, 32, 4, 2)), 1)
    torch.testing.assert_close(found, doubled(image[None])[0])


def test_a_norm_of_the_whole_image_differs_but_has_no_seam() -> None:
    """Each tile is normalized by itself; between neighbours the difference passes over, as everywhere in the image."""
    columns = torch.linspace(-1, 1, 240).expand(1, 64, 240)
    image = columns + 0.1 * torch.rand(1, 64, 240, generator=torch.Generator().manual_seed(0))
    norm = nn.InstanceNorm2d(1)
    found = torch.cat(list(in_bands(norm, image, 64, 1, 1)), 1)
    whole = norm(image[None])[0]
    assert 0.1 < (found - whole).abs().mean() < 2
    steps = found.mean((0, 1)).diff().abs()  # of the means of columns
    assert steps.max() < 0.5  # unblended tiles would jump by more than 2
