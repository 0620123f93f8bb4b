"""Levels of pixels: where they begin, what is their likelihood, and draws by the inverse distribution function."""

import math

import pytest
import torch

from genlab.losses.categorical import draw_levels, images_of, levels_log_likelihood, levels_of


@pytest.mark.parametrize("num_levels", [2, 3, 17, 256])
def test_levels_and_images_are_each_others_inverse(num_levels: int) -> None:
    levels = torch.arange(num_levels)
    images = images_of(levels, num_levels)
    assert images.aminmax() == (-1, 1)
    assert torch.equal(levels_of(images, num_levels), levels)


def test_two_levels_are_split_at_half_grey() -> None:
    sixteenths = torch.arange(17) / 8 - 1
    assert levels_of(sixteenths, 2).tolist() == [0] * 8 + [1] * 9


def test_likelihood_of_two_levels_is_that_of_coins() -> None:
    logits = torch.tensor([0.0, math.log(3)]).view(1, 1, 1, 2)
    value = levels_log_likelihood(logits, torch.tensor([1, 0]).view(1, 1, 1, 2), 2)
    torch.testing.assert_close(value, torch.tensor([math.log(1 / 2) + math.log(1 / 4)]))


def test_likelihood_takes_the_first_logits_for_the_first_colour() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0, 3.0, 2.0, 1.0]).log().view(1, 6, 1, 1)
    value = levels_log_likelihood(logits, torch.tensor([2, 0]).view(1, 2, 1, 1), 3)
    torch.testing.assert_close(value, torch.tensor([2 * math.log(1 / 2)]))


def test_likelihood_is_computed_in_float32_at_least() -> None:
    logits, levels = torch.zeros(1, 1, 28, 28, dtype=torch.bfloat16), torch.zeros(1, 1, 28, 28, dtype=torch.int64)
    value = levels_log_likelihood(logits, levels, 2)
    torch.testing.assert_close(value, torch.tensor([784 * math.log(1 / 2)]))


def test_draws_are_the_inverse_of_the_distribution_function() -> None:
    logits = torch.tensor([1.0, 2.0, 5.0]).log()
    uniform = torch.tensor([0.0, 0.124, 0.126, 0.374, 0.376, 0.999999])
    assert draw_levels(logits.expand(6, 3), uniform, 3).tolist() == [0, 0, 1, 1, 2, 2]
    odds = torch.full((4, 1), math.log(3))
    assert draw_levels(odds, torch.tensor([0.0, 0.74, 0.76, 0.9]), 2).tolist() == [1, 1, 0, 0]


def test_a_level_is_drawn_however_near_to_1_the_number_is() -> None:
    logits = torch.randn(100, 256, generator=torch.Generator().manual_seed(0))
    assert int(draw_levels(logits, torch.full((100,), 1 - 2**-24), 256).max()) <= 255
