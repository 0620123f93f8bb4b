"""Facts of mixtures of discretized logistic distributions."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genlab.losses.categorical import images_of
from genlab.losses.mixture import discretized_logistic_mixture, num_parameters, sample_logistic_mixture


def all_pixels(num_levels: int, num_colours: int) -> Tensor:
    """Every pixel there is, ``(num_levels ** num_colours, num_colours, 1, 1)``."""
    levels = torch.tensor(list(itertools.product(range(num_levels), repeat=num_colours)))
    return (levels.double() * (2 / (num_levels - 1)) - 1)[..., None, None]


def probabilities(parameters: Tensor, num_levels: int, num_colours: int) -> Tensor:
    """Of each of ``all_pixels``, from the parameters ``(P,)`` of a pixel."""
    pixels = all_pixels(num_levels, num_colours)
    of_each = parameters.double().expand(len(pixels), -1)[..., None, None]
    return (-discretized_logistic_mixture(pixels, of_each, num_levels)).exp()


@pytest.mark.parametrize(("num_levels", "num_colours"), [(2, 1), (17, 1), (256, 1), (2, 3), (5, 3), (17, 3)])
@pytest.mark.parametrize("spread", [0.3, 4.0, 30.0])
def test_all_levels_together_have_probability_1(num_levels: int, num_colours: int, spread: float) -> None:
    torch.manual_seed(0)
    parameters = spread * torch.randn(num_parameters(3, num_colours))
    assert probabilities(parameters, num_levels, num_colours).sum().item() == pytest.approx(1, abs=1e-9)


def test_one_component_is_the_difference_of_the_distribution_function_and_has_open_ends() -> None:
    mean, log_scale = 0.2, -1.0
    found = probabilities(torch.tensor([0.7, mean, log_scale]), 5, 1)
    edges = (torch.tensor([-math.inf, -0.75, -0.25, 0.25, 0.75, math.inf], dtype=torch.float64) - mean) / math.exp(-1)
    torch.testing.assert_close(found, edges.sigmoid().diff(), rtol=1e-6, atol=0)


def test_logits_weigh_the_components() -> None:
    first, second = torch.tensor([-0.5, -2.0]), torch.tensor([0.5, -1.0])
    of_first, of_second = (probabilities(torch.cat([torch.zeros(1), one]), 7, 1) for one in (first, second))
    weights = torch.tensor([1.0, 3.0])
    both = torch.cat([weights.log(), torch.stack([first, second], dim=1).flatten()])
    torch.testing.assert_close(probabilities(both, 7, 1), 0.25 * of_first + 0.75 * of_second, rtol=1e-6, atol=0)


def test_colours_depend_on_those_before_them_by_their_coefficients() -> None:
    """A component alone: green is moved by the first coefficient, blue by the second and the third."""
    red, green, blue = ([0.1, -1.0, 0.4], [-0.2, -1.5, -0.6], [0.3, -0.5, 0.8])  # mean, log scale, coefficient
    parameters = torch.tensor([0.0, *red, *green, *blue], dtype=torch.float64)
    first, second, third = (math.tanh(colour[2]) for colour in (red, green, blue))
    expected = []
    for r, g, b in all_pixels(4, 3)[..., 0, 0].tolist():
        means = (red[0], green[0] + first * r, blue[0] + second * r + third * g)
        alone = [
            discretized_logistic_mixture(
                torch.tensor(value).view(1, 1, 1, 1), torch.tensor([0, mean, colour[1]]).double().view(1, 3, 1, 1), 4
            )
            for value, mean, colour in zip((r, g, b), means, (red, green, blue), strict=True)
        ]
        expected.append(-torch.cat(alone).sum())
    torch.testing.assert_close(probabilities(parameters, 4, 3), torch.stack(expected).exp(), rtol=1e-6, atol=0)


def test_components_of_a_pixel_are_one_for_all_colours() -> None:
    """Two sharp components, all dark and all bright: no pixel is of both, as it would be if each colour chose."""
    dark, bright = [-1.0, 1.0], [-6.0, -6.0]
    found = probabilities(torch.tensor([0.0, 0.0, *3 * (dark + bright + [0.0, 0.0])]), 2, 3)
    torch.testing.assert_close(found[[0, -1]], torch.full((2,), 0.5, dtype=torch.float64), rtol=1e-6, atol=0)
    assert found[1:-1].max() < 1e-9


def test_scales_fall_no_lower_than_e_to_the_minus_7() -> None:
    found = [probabilities(torch.tensor([0.0, 0.1, log_scale]), 256, 1) for log_scale in (-7.0, -8.0, -100.0)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_loss_is_the_sum_over_pixels_in_float32_at_least() -> None:
    torch.manual_seed(0)
    images, parameters = images_of(torch.randint(256, (2, 3, 4, 5)), 256), torch.randn(2, 40, 4, 5)
    loss = discretized_logistic_mixture(images, parameters)
    assert loss.shape == (2,)
    assert (loss > 0).all()
    places = itertools.product(range(4), range(5))
    cut = [tuple(tensor[..., row, column, None, None] for tensor in (images, parameters)) for row, column in places]
    torch.testing.assert_close(loss, torch.stack([discretized_logistic_mixture(*pixel) for pixel in cut]).sum(0))
    assert discretized_logistic_mixture(images, parameters.bfloat16()).dtype == torch.float32
    assert discretized_logistic_mixture(images.double(), parameters.double()).dtype == torch.float64


def test_gradients_are_right_and_finite_where_levels_are_next_to_impossible() -> None:
    torch.manual_seed(0)
    images = images_of(torch.tensor([[0, 128, 255], [255, 0, 1]]), 256).double()[..., None, None]
    parameters = torch.randn(2, 20, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: discretized_logistic_mixture(images, p), parameters)
    far = torch.tensor([0.0, 1.0, -7.0]).view(1, 3, 1, 1).requires_grad_()  # a scale of 0.001 at the other end
    loss = discretized_logistic_mixture(torch.full((1, 1, 1, 1), -0.5), far)
    loss.sum().backward()
    assert loss.item() == pytest.approx(1.5 * math.exp(7), rel=0.01)
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("num_colours", [1, 3])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_have_the_probabilities_of_the_likelihood(num_colours: int, temperature: float) -> None:
    """Each of 3 levels a colour, over 200,000 draws; a temperature divides logits and multiplies scales."""
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(num_parameters(4, num_colours), generator=generator)
    uniforms = torch.rand(200_000, 1 + num_colours, generator=generator)
    draws = sample_logistic_mixture(parameters.expand(len(uniforms), -1), uniforms, 3, temperature)
    places = ((draws + 1) @ torch.tensor([3.0**power for power in reversed(range(num_colours))])).long()
    found = torch.bincount(places, minlength=3**num_colours).double() / len(draws)
    cooled = parameters.clone()
    cooled[:4] /= temperature
    scales = cooled[4:].view(num_colours, -1, 4)
    scales[:, 1] += math.log(temperature)
    expected = probabilities(cooled, 3, num_colours)
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / len(draws)).sqrt() + 1e-9).all()


def test_draws_are_levels_even_at_the_ends_of_the_uniform_numbers() -> None:
    parameters = torch.randn(6, 20, generator=torch.Generator().manual_seed(0))
    uniforms = torch.tensor([[0.0] * 4, [1 - 2**-24] * 4, [0.5] * 4] * 2)
    draws = sample_logistic_mixture(parameters, uniforms, 5)
    assert draws.shape == (6, 3)
    assert set(draws.flatten().tolist()) <= {-1.0, -0.5, 0.0, 0.5, 1.0}
    assert (draws[0] == -1).all()


def test_two_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="2 colours; the mixture couples 3, or has 1"):
        num_parameters(10, 2)
