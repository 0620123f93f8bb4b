"""Latents of any model: which prior they have, truncated draws, and ways between them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import short_config
from torch import Tensor

from genlab.config import config_dir
from genlab.errors import UsageError
from genlab.latents import latents_by, linear, priors_of, searched, spherical, truncated
from genlab.models.capabilities import HasPrior, Samples
from genlab.training import build_model

MODELS = sorted(path.stem for path in (config_dir() / "model").glob("*.yaml"))


class Latents:
    """A model that is nothing but its prior: each number of a latent drawn by ``draw``."""

    device = torch.device("cpu")
    latent_dim = 10

    def __init__(self, draw: Callable[..., Tensor]) -> None:
        self.draw = draw

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.stack([self.draw(self.latent_dim, generator=generator) for _ in range(num_samples)])

    def decode(self, latent: Tensor) -> Tensor:
        return latent

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        return self.decode(self.draw_latent(num_samples, generator))


def uniform(*shape: int, generator: torch.Generator | None) -> Tensor:
    return 2 * torch.rand(*shape, generator=generator) - 1


def positive(*shape: int, generator: torch.Generator | None) -> Tensor:
    return torch.rand(*shape, generator=generator)


def wide(*shape: int, generator: torch.Generator | None) -> Tensor:
    return 1.3 * torch.randn(*shape, generator=generator)


def one_code(*shape: int, generator: torch.Generator | None) -> Tensor:
    """Noise, with a code of 0 or 1 for its last number."""
    latent = torch.randn(*shape, generator=generator)
    latent[..., -1] = latent[..., -1] > 0
    return latent


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("draw", "priors"),
    [(torch.randn, (10, 0)), (uniform, (0, 10)), (positive, (0, 0)), (wide, (0, 0)), (one_code, (9, 0))],
)
def test_the_prior_of_each_number_is_told_from_draws(draw: Callable[..., Tensor], priors: tuple[int, int]) -> None:
    is_normal, is_uniform = priors_of(Latents(draw))
    assert (is_normal.sum(), is_uniform.sum()) == priors
    if draw is one_code:
        assert not is_normal[-1]


def test_truncated_normal_latents_have_the_distribution_of_the_middle() -> None:
    draws = truncated(Latents(torch.randn), 0.7)(2000, seeded()).flatten()
    assert draws.abs().max() <= 0.7
    # P(z <= 0.35 | |z| <= 0.7), and no heap at the ends as clamping would make.
    inside = torch.special.ndtr(torch.tensor([-0.7, 0.35, 0.7]))
    expected = (inside[1] - inside[0]) / (inside[2] - inside[0])
    assert (draws <= 0.35).float().mean().item() == pytest.approx(expected.item(), abs=0.01)
    assert (draws.abs() > 0.699).float().mean() < 0.005


def test_numbers_of_the_middle_stay_and_the_others_are_drawn_again() -> None:
    model = Latents(torch.randn)
    whole, middle = model.draw_latent(1, seeded()), truncated(model, 1.0)(1, seeded())
    inside = whole.abs() <= 1
    assert inside.any()
    assert not inside.all()
    assert torch.equal(whole[inside], middle[inside])
    assert (whole != middle)[~inside].all()


@pytest.mark.parametrize("draw", [torch.randn, uniform])
def test_truncated_draws_are_the_same_whatever_the_batch(draw: Callable[..., Tensor]) -> None:
    sample = truncated(Latents(draw), 0.4)
    generator = seeded(3)
    assert torch.equal(sample(7, seeded(3)), torch.cat([sample(count, generator) for count in (2, 1, 4)]))


def test_uniform_latents_are_scaled() -> None:
    model = Latents(uniform)
    assert torch.equal(truncated(model, 0.5)(5, seeded()), 0.5 * model.draw_latent(5, seeded()))
    with pytest.raises(UsageError, match=r"truncation=1\.5: the latents of Latents are uniform in .*; give at most 1"):
        truncated(model, 1.5)


def test_codes_stay_as_they_are() -> None:
    draws = truncated(Latents(one_code), 0.5)(200, seeded())
    assert draws[:, :-1].abs().max() <= 0.5
    assert set(draws[:, -1].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("draw", [positive, wide])
def test_latents_of_other_priors_are_not_truncated(draw: Callable[..., Tensor]) -> None:
    with pytest.raises(UsageError, match=r"truncation=0\.5: the latents of Latents are neither normal nor uniform"):
        truncated(Latents(draw), 0.5)


def test_given_latents_are_drawn_within_and_only_there() -> None:
    model = Latents(torch.randn)
    before = model.sample(3, None, seeded())
    with latents_by(model, lambda num_samples, generator: torch.full((num_samples, 10), 2.0)):
        assert torch.equal(model.sample(3), torch.full((3, 10), 2.0))
        assert priors_of(model)[0].all()  # still the model's own
        with latents_by(model, lambda num_samples, generator: torch.zeros(num_samples, 10)):
            assert not model.sample(3).any()
        assert torch.equal(model.sample(3), torch.full((3, 10), 2.0))
    assert torch.equal(model.sample(3, None, seeded()), before)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_with_a_prior_samples_by_the_latents_that_it_is_given(name: str) -> None:
    model: Any = build_model(short_config(name)).eval()
    if not isinstance(model, HasPrior) or not isinstance(model, Samples):
        pytest.skip("has no prior")
    is_normal, is_uniform = priors_of(model)
    assert (is_normal | is_uniform).any()
    latent = model.draw_latent(2, seeded(5))
    with torch.no_grad(), latents_by(model, lambda num_samples, generator: latent):
        by_latent = model.sample(2, None, seeded(6))
    with torch.no_grad():
        assert torch.equal(by_latent, model.sample(2, None, seeded(5)))


def test_a_great_circle_keeps_the_norm_and_turns_in_equal_angles() -> None:
    start, end = (torch.nn.functional.normalize(torch.randn(4, 20, generator=seeded(seed))) * 3 for seed in (0, 1))
    way = spherical(start, end, 6)
    torch.testing.assert_close(way[:, 0], start)
    torch.testing.assert_close(way[:, -1], end)
    torch.testing.assert_close(way.norm(dim=2), torch.full((4, 6), 3.0))
    turns = torch.nn.functional.cosine_similarity(way[:, 1:], way[:, :-1], dim=2).acos()
    torch.testing.assert_close(turns, turns[:, :1].expand(-1, 5), rtol=1e-3, atol=1e-4)
    assert (linear(start, end, 6)[:, 1:-1].norm(dim=2) < 2.95).all()  # a chord lies inside


@pytest.mark.parametrize("times", [2.0, -2.0])
def test_between_parallel_latents_a_great_circle_is_the_straight_way(times: float) -> None:
    start = torch.randn(3, 5, generator=seeded())
    torch.testing.assert_close(spherical(start, times * start, 5), linear(start, times * start, 5))


def test_a_straight_way_goes_in_equal_steps() -> None:
    way = linear(torch.zeros(1, 2), torch.tensor([[4.0, 8.0]]), 5)
    assert way[0].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]]


def test_a_search_goes_down_the_errors_of_each_latent_alone() -> None:
    start, goal = torch.zeros(3, 2), torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]])

    def search(rows: Tensor, steps: int) -> Tensor:
        return searched(rows, lambda latent: (latent - goal[: len(latent)]).square().sum(1), steps, 0.1)

    assert torch.equal(search(start, 0), start)
    torch.testing.assert_close(search(start, 1), 0.1 * goal.sign())  # Adam's first step has the size of its rate
    torch.testing.assert_close(search(start, 400), goal, atol=1e-2, rtol=0)
    torch.testing.assert_close(search(start[:1], 20), search(start, 20)[:1])
