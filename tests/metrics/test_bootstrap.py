"""The bootstrap: what is drawn, and that its interval is as wide as the standard error says."""

import math

import pytest
import torch

from genlab.metrics.bootstrap import NUM_RESAMPLES, drawn, drawn_counts, interval


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_first_resample_is_the_set_itself_and_all_are_as_large() -> None:
    counts = drawn_counts(50, generator())
    assert counts.shape == (1 + NUM_RESAMPLES, 50)
    assert torch.equal(counts[0], torch.ones(50).double())
    assert torch.equal(counts.sum(1), torch.full((1 + NUM_RESAMPLES,), 50.0).double())
    # The chance that a row is left out: (1 - 1/50)^50.
    assert (counts[1:] == 0).double().mean().item() == pytest.approx((1 - 1 / 50) ** 50, abs=0.02)
    assert torch.equal(counts, drawn_counts(50, generator()))
    assert not torch.equal(counts[1:], drawn_counts(50, generator(1))[1:])


def test_rows_are_drawn_whole_and_with_replacement() -> None:
    rows = torch.arange(100.0)[:, None] * torch.tensor([1.0, -1.0])
    found = drawn(rows, generator())
    assert found.shape == rows.shape
    assert torch.equal(found[:, 0], -found[:, 1])
    assert 50 < len(found[:, 0].unique()) < 80


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = torch.randn(400, generator=generator(), dtype=torch.float64)
    low, high = interval(drawn_counts(400, generator()) @ values / 400, -math.inf, math.inf)
    assert (low + high) / 2 == pytest.approx(values.mean().item())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std().item() / 20, rel=0.25)


def test_the_interval_is_about_the_value_and_cut_at_the_range() -> None:
    values = torch.tensor([0.9, 5.0, 5.2, 4.8]).double()
    assert interval(values, 0, 9) == pytest.approx([0.9 - 1.96 * 0.2, 0.9 + 1.96 * 0.2])
    assert interval(values, 0.8, 1) == [0.8, 1]
