"""Adversarial losses: values in closed form, optimal discriminators, and gradients."""

import math

import pytest
import torch
from torch import Tensor

from genlab.losses.adversarial import (
    cross_entropy,
    discriminator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    nonsaturating_generator_loss,
    r1_penalty,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)

REAL, FAKE = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([-3.0, 0.0, 1.5])


@pytest.mark.parametrize(("label", "probability"), [(1, [0.9, 0.5, 0.2]), (0, [0.1, 0.5, 0.8])])
def test_cross_entropy_is_the_log_of_the_probability_given_to_the_truth(label: int, probability: list[float]) -> None:
    logits = torch.tensor([0.9, 0.5, 0.2]).logit()
    torch.testing.assert_close(cross_entropy(logits, label), -torch.tensor(probability).log().mean())


def test_cross_entropy_of_a_sure_discriminator_keeps_its_gradient() -> None:
    # A sigmoid would have saturated to a loss of infinity and no gradient.
    far = torch.tensor([200.0], requires_grad=True)
    cross_entropy(far, 0).backward()
    assert far.grad == 1


def test_cross_entropy_has_the_precision_of_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert cross_entropy(torch.zeros(3, dtype=torch.bfloat16), 1).dtype == torch.float32


def test_a_discriminator_that_knows_nothing_costs_two_log_two() -> None:
    nothing = torch.zeros(4)
    torch.testing.assert_close(discriminator_loss(nothing, nothing), torch.tensor(2 * math.log(2)))
    torch.testing.assert_close(nonsaturating_generator_loss(nothing), torch.tensor(math.log(2)))
    torch.testing.assert_close(minimax_generator_loss(nothing), torch.tensor(-math.log(2)))


def test_the_best_discriminator_is_the_share_of_real_items() -> None:
    """Goodfellow et al., proposition 1: D = p / (p + q), here for three real and one generated item at one place."""
    logit = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([logit], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        # Two places of equal weight in expectation: 3/4 of the real and 1/4 of the generated items lie at this one.
        (0.75 * cross_entropy(logit[None], 1) + 0.25 * cross_entropy(logit[None], 0)).backward()
        optimizer.step()
    assert logit.sigmoid().item() == pytest.approx(0.75, abs=1e-3)


def test_both_generator_losses_have_one_fixed_point_but_other_slopes() -> None:
    """Goodfellow et al., section 3: minimax saturates where the discriminator is sure that an item is generated."""
    slopes = []
    for loss in (nonsaturating_generator_loss, minimax_generator_loss):
        logits = torch.tensor([-8.0], requires_grad=True)
        loss(logits).backward()
        assert logits.grad is not None
        slopes.append(logits.grad.item())
    assert slopes[0] == pytest.approx(-1, abs=1e-3)
    assert -1e-3 < slopes[1] < 0


def test_least_squares_have_the_papers_halves() -> None:
    expected = 0.5 * ((REAL - 1) ** 2).mean() + 0.5 * (FAKE**2).mean()
    torch.testing.assert_close(least_squares_discriminator_loss(REAL, FAKE), expected)
    torch.testing.assert_close(least_squares_generator_loss(FAKE), 0.5 * ((FAKE - 1) ** 2).mean())


def test_the_hinge_stops_at_the_margin() -> None:
    expected = torch.tensor((0 + 2 + 0.5) / 3 + (0 + 1 + 2.5) / 3)
    torch.testing.assert_close(hinge_discriminator_loss(REAL, FAKE), expected)
    assert hinge_discriminator_loss(torch.full((3,), 1.0), torch.full((3,), -1.0)) == 0
    torch.testing.assert_close(hinge_generator_loss(FAKE), -FAKE.mean())


def test_the_wasserstein_losses_are_differences_of_means() -> None:
    torch.testing.assert_close(wasserstein_critic_loss(REAL, FAKE), FAKE.mean() - REAL.mean())
    torch.testing.assert_close(wasserstein_generator_loss(FAKE), -FAKE.mean())


@pytest.mark.parametrize("shape", [(5, 7), (5, 3, 4, 2)])
@pytest.mark.parametrize("axes", [0, 3])
def test_the_gradient_penalty_of_a_linear_critic_is_that_of_its_norm(shape: tuple[int, ...], axes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape[1:], generator=generator, dtype=torch.float64)
    real, fake = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    mix = torch.rand(len(real), *[1] * axes, generator=generator, dtype=torch.float64)

    def critic(items: Tensor) -> Tensor:
        return (items * weight).flatten(1).sum(1)

    torch.testing.assert_close(gradient_penalty(critic, real, fake, mix), (weight.norm() - 1) ** 2)
    torch.testing.assert_close(r1_penalty(critic, real), weight.norm() ** 2)


def test_the_gradient_penalty_is_taken_between_the_items() -> None:
    real, fake = torch.full((2, 1), 3.0), torch.full((2, 1), 1.0)
    seen: list[Tensor] = []

    def critic(items: Tensor) -> Tensor:
        seen.append(items.detach())
        return items.square().sum(1) / 2

    penalty = gradient_penalty(critic, real, fake, torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(seen[0], torch.tensor([[3.0], [1.5]]))
    torch.testing.assert_close(penalty, torch.tensor(((3 - 1) ** 2 + (1.5 - 1) ** 2) / 2))
    # Under autocast a generator gives bf16, and the data are float32.
    torch.testing.assert_close(gradient_penalty(critic, real, fake.bfloat16(), torch.tensor([1.0, 0.25])), penalty)


def test_penalties_have_a_gradient_for_the_critics_weights_and_none_for_the_items() -> None:
    weight = torch.tensor([2.0, 0.0], requires_grad=True)
    real = torch.randn(4, 2, requires_grad=True)
    fake = torch.randn(4, 2, requires_grad=True)

    def critic(items: Tensor) -> Tensor:
        return items @ weight

    gradient_penalty(critic, real, fake, torch.rand(4)).backward()
    torch.testing.assert_close(weight.grad, torch.tensor([2.0, 0.0]))  # 2 (|w| - 1) w / |w|
    weight.grad = None
    r1_penalty(critic, real).backward()
    torch.testing.assert_close(weight.grad, torch.tensor([4.0, 0.0]))
    assert real.grad is None
    assert fake.grad is None
