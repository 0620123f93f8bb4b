"""Likelihoods, divergences and bounds, against torch.distributions, enumeration and closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from genlab.losses.variational import (
    bernoulli_log_likelihood,
    binary,
    discretized_logistic_log_likelihood,
    draws_for,
    gaussian_kl,
    gaussian_log_likelihood,
    importance_weighted_bound,
    joint_bernoulli_log_likelihood,
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(num_levels: int) -> Tensor:
    return torch.linspace(-1, 1, num_levels, dtype=torch.float64)


def test_gaussian_kl_is_that_of_two_distributions() -> None:
    mean, log_variance = numbers(3, 7, 5), numbers(3, 7, 5, seed=1)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(()), torch.ones(()))).sum(-1)
    result = gaussian_kl(mean, log_variance)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_gaussian_kl_is_0_for_the_prior_alone() -> None:
    assert gaussian_kl(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0
    assert (gaussian_kl(numbers(1000, 4), numbers(1000, 4, seed=1)) > 0).all()


def test_gaussian_log_likelihood_is_the_density() -> None:
    mean, log_variance, targets = (numbers(4, 6, seed=seed) for seed in range(3))
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(targets)
    torch.testing.assert_close(gaussian_log_likelihood(mean, log_variance, targets), expected, rtol=1e-12, atol=1e-12)


def test_bernoulli_log_likelihood_is_the_probability_at_any_odds() -> None:
    logits, targets = 3 * numbers(4, 6), torch.bernoulli(torch.full((4, 6), 0.5)).double()
    expected = Bernoulli(logits=logits).log_prob(targets)
    torch.testing.assert_close(bernoulli_log_likelihood(logits, targets), expected, rtol=1e-12, atol=1e-12)
    extreme = bernoulli_log_likelihood(torch.tensor([1000.0, -1000.0, 1000.0]), torch.tensor([1.0, 0.0, 0.0]))
    assert extreme.tolist() == [0, 0, -1000]
    with pytest.raises(ValueError, match="size"):
        bernoulli_log_likelihood(logits, targets[:2])


@pytest.mark.parametrize("size", [1, 7, 64, 101, 784])
def test_the_joint_likelihood_is_the_sum_and_so_is_its_gradient(size: int) -> None:
    logits = (30 * numbers(3, 5, size)).requires_grad_()
    targets = numbers(3, 1, size, seed=1).sigmoid()
    slow = bernoulli_log_likelihood(logits, targets.expand_as(logits)).sum(-1)
    fast = joint_bernoulli_log_likelihood(logits, targets)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    weights = numbers(3, 5, seed=2)
    gradients = [torch.autograd.grad((bound * weights).sum(), logits)[0] for bound in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_the_joint_likelihood_in_float32_is_finite_at_even_odds_and_at_extreme_ones() -> None:
    targets = (torch.arange(784) % 2).float()
    even = joint_bernoulli_log_likelihood(torch.zeros(784), targets)
    assert even.item() == pytest.approx(-784 * math.log(2), rel=1e-6)
    assert joint_bernoulli_log_likelihood(2000 * targets - 1000, targets).item() == 0
    assert joint_bernoulli_log_likelihood(1000 - 2000 * targets, targets).item() == -784_000


@pytest.mark.parametrize("num_levels", [2, 17, 256])
@pytest.mark.parametrize("log_scale", [-6.0, -2.0, 0.0, 3.0])
def test_the_levels_of_a_discretized_logistic_have_probability_1_together(num_levels: int, log_scale: float) -> None:
    mean = torch.tensor([[-1.3], [-0.4], [0.0], [0.71]], dtype=torch.float64)
    scale = torch.tensor(log_scale, dtype=torch.float64)
    log_probability = discretized_logistic_log_likelihood(mean, scale, levels(num_levels), num_levels)
    torch.testing.assert_close(log_probability.logsumexp(1), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-11)


def test_a_level_has_the_integral_of_the_logistic_density_over_its_bin() -> None:
    mean, scale = 0.3, 0.2
    edges = torch.linspace(-1 - 1 / 4, 1 + 1 / 4, 6, dtype=torch.float64)  # of 5 levels
    below = torch.sigmoid((edges - mean) / scale)
    below[0], below[-1] = 0, 1  # the outermost bins have no end
    result = discretized_logistic_log_likelihood(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64).log(), levels(5), 5
    )
    torch.testing.assert_close(result.exp(), below.diff())


def test_a_discretized_logistic_is_finite_with_its_gradient_far_from_the_mean() -> None:
    mean = torch.zeros(256, requires_grad=True)
    log_scale = torch.tensor(-7.0, requires_grad=True)
    result = discretized_logistic_log_likelihood(mean, log_scale, levels(256).float(), 256)
    result.sum().backward()
    assert result.min() < -500
    assert mean.grad is not None
    assert log_scale.grad is not None
    assert result.isfinite().all()
    assert mean.grad.isfinite().all()
    assert log_scale.grad.isfinite()


def test_importance_weighted_bound_is_the_log_of_the_mean_weight_over_the_last_axis() -> None:
    log_weights = numbers(5, 3, 40)
    expected = log_weights.exp().mean(-1).log()
    torch.testing.assert_close(importance_weighted_bound(log_weights), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(importance_weighted_bound(log_weights - 1e4), expected - 1e4, rtol=0, atol=1e-9)
    assert torch.equal(importance_weighted_bound(log_weights[..., :1]), log_weights[..., 0])


def test_the_gradient_of_the_bound_is_the_normalized_weights() -> None:
    """Burda et al., 2016, equation 14."""
    log_weights = numbers(5, 40).requires_grad_()
    importance_weighted_bound(log_weights).sum().backward()
    torch.testing.assert_close(log_weights.grad, log_weights.detach().softmax(-1))


def test_binary_images_have_the_grey_value_as_their_mean() -> None:
    grey = torch.tensor([-1.0, -0.5, 0.0, 0.8, 1.0])
    drawn = binary(grey.expand(100_000, 5), torch.rand(100_000, 5, generator=torch.Generator().manual_seed(0)))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), (grey + 1) / 2, rtol=0, atol=0.01)
    assert binary(torch.tensor([torch.nan]), torch.tensor([0.5])).isnan()
    assert drawn[:, 0].sum() == 0
    assert drawn[:, 4].sum() == 100_000


def test_the_draws_for_an_image_depend_on_nothing_but_the_seed_and_its_place() -> None:
    images = torch.zeros(6, 1, 2, 3)
    uniform, noise = draws_for(images, 4, 5, torch.Generator().manual_seed(0))
    assert uniform.shape == images.shape
    assert noise.shape == (6, 4, 5)
    generator = torch.Generator().manual_seed(0)
    parts = [draws_for(part, 4, 5, generator) for part in images.split(4)]
    assert torch.equal(uniform, torch.cat([part[0] for part in parts]))
    assert torch.equal(noise, torch.cat([part[1] for part in parts]))
    more_draws = draws_for(images, 9, 7, torch.Generator().manual_seed(0))
    assert torch.equal(uniform, more_draws[0])
