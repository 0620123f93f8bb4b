"""Maps of differences, in closed form."""

import pytest
import torch

from genlab.losses.residual import check_side, residual_map


def test_a_pixel_alone_is_the_mean_over_channels() -> None:
    images = torch.zeros(1, 2, 3, 3)
    images[0, 0, 1, 2] = -0.5
    expected = torch.zeros(1, 1, 3, 3)
    expected[0, 0, 1, 2] = 0.25
    assert torch.equal(residual_map(images, torch.zeros(1, 2, 3, 3), 1, 0.0), expected)


def test_a_square_is_averaged_and_is_smaller_at_the_edge() -> None:
    images = torch.zeros(1, 1, 5, 5)
    images[0, 0, 1, 1] = 1.0
    found = residual_map(images, torch.zeros(1, 1, 5, 5), 3, 0.0)[0, 0]
    assert found[0, 0].item() == pytest.approx(1 / 4)
    assert found[0, 1].item() == pytest.approx(1 / 6)
    assert found[2, 2].item() == pytest.approx(1 / 9)
    assert not found[3:].any()
    assert not found[:, 3:].any()


def test_a_difference_counts_less_at_an_edge_of_the_restored_image() -> None:
    restored = torch.zeros(1, 1, 8, 8)
    restored[..., 4:] = 1.0
    found = residual_map(restored + 0.5, restored, 1, 30.0)[0, 0]
    assert found[:, 0].tolist() == found[:, 7].tolist() == [0.5] * 8
    # Of 3x3 pixels at the edge a third is 1: their standard deviation is the root of 1/3 - 1/9.
    torch.testing.assert_close(found[:, 4], torch.full((8,), 0.5 / (1 + 30 * (2 / 9) ** 0.5)))
    assert torch.equal(residual_map(restored + 0.5, restored, 1, 0.0), torch.full((1, 1, 8, 8), 0.5))


@pytest.mark.parametrize("side", [2, 9])
def test_other_sides_are_refused(side: int) -> None:
    check_side(7, (1, 8, 8))
    with pytest.raises(ValueError, match=f"map_side={side}: expected an odd number of pixels, at most 8"):
        check_side(side, (1, 8, 8))
