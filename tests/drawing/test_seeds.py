"""Samples by generator, seed and label: what depends on what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genlab.config import build, compose
from genlab.drawing.seeds import label_numbers, sampled, sampled_by_seed, seed_numbers
from genlab.errors import UsageError
from genlab.latents import latents_by, truncated
from genlab.randomness import RowGenerator, own_seeds, row_by_row


class Conditional:
    """A model that shows its latent and its label: ``(N, 2)``."""

    device = torch.device("cpu")
    latent_dim = 1
    num_classes = 10

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        return row_by_row(num_samples, torch.randn, 1, generator=generator)

    def decode(self, latent: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([latent, condition[:, None]], dim=1)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        labels = torch.zeros(num_samples) if condition is None else condition
        assert len(labels) == num_samples
        return self.decode(self.draw_latent(num_samples, generator), labels)


def row_of(seed: int) -> torch.Generator:
    return RowGenerator(own_seeds(1, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_a_row_of_classes_shares_one_latent(batch_size: int) -> None:
    model = Conditional()
    found = sampled(model, range(7), [4, 0, 9], batch_size, 1)
    latent = sampled(model, range(3), None, batch_size, 1)[:, 0]
    assert found[:, 1].tolist() == [4, 0, 9, 4, 0, 9, 4]
    assert torch.equal(found[:, 0], latent.repeat_interleave(3)[:7])
    assert len(latent.unique()) == 3


@pytest.mark.parametrize("conditions", [None, [4, 0, 9]])
def test_each_sample_of_a_seed_can_be_drawn_without_the_others(conditions: list[int] | None) -> None:
    model = Conditional()
    whole = sampled(model, range(10), conditions, 4, 1)
    assert torch.equal(sampled(model, range(4, 9), conditions, 2, 1), whole[4:9])
    assert not torch.equal(sampled(model, range(10), conditions, 4, 2), whole)


def test_the_latents_of_rows_are_truncated_too() -> None:
    model = Conditional()
    with latents_by(model, truncated(model, 0.5)):
        found = sampled(model, range(60), [1, 2], 7, 1)
    assert found[:, 0].abs().max() <= 0.5
    assert len(found[:, 0].unique()) == 30
    assert sampled(model, range(60), [1, 2], 7, 1)[:, 0].abs().max() > 1


def test_of_one_class_each_sample_has_its_own_latent() -> None:
    found = sampled(Conditional(), range(6), [3], 4, 1)
    assert len(found[:, 0].unique()) == 6
    assert (found[:, 1] == 3).all()


def test_the_sample_of_a_seed_is_its_first_whatever_the_other_seeds() -> None:
    model = Conditional()
    found = sampled_by_seed(model, range(5, 9), None)
    for row, seed in zip(found, range(5, 9), strict=True):
        assert torch.equal(row, sampled(model, range(4), None, 4, seed)[0])
        assert torch.equal(row, model.sample(1, None, row_of(seed))[0])
    assert torch.equal(sampled_by_seed(model, [8, 5], None), found[[3, 0]])


def test_a_seed_has_a_row_of_all_labels_and_one_latent() -> None:
    found = sampled_by_seed(Conditional(), [2, 7], [1, 8]).view(2, 2, 2)
    assert found[..., 1].tolist() == [[1, 8], [1, 8]]
    assert torch.equal(found[:, 0, 0], found[:, 1, 0])
    assert found[0, 0, 0] != found[1, 0, 0]


def test_seeds_are_a_range_a_list_or_one() -> None:
    assert list(seed_numbers("3-6")) == [3, 4, 5, 6]
    assert list(seed_numbers("4-4")) == [4]
    assert seed_numbers([9, 2]) == [9, 2]
    assert seed_numbers(5) == [5]


@pytest.mark.parametrize("seeds", ["9-3", "0-9223372036854775808"])
def test_a_range_without_seeds_is_refused(seeds: str) -> None:
    with pytest.raises(UsageError, match=f"seeds={seeds}: expected the least seed, then the largest"):
        seed_numbers(seeds)


def test_classes_may_be_named() -> None:
    fashion: Any = build(compose("train", ["model=acgan", "dataset=fashion_mnist"]).config["dataset"], "dataset")
    assert label_numbers([3, 0], fashion) == [3, 0]
    assert label_numbers(["bag", 3, "coat"], fashion) == [8, 3, 4]
    with pytest.raises(UsageError, match=r"labels=\[bga\]: no class 'bga'; did you mean 'bag'\?\nclasses: 0 T-shirt"):
        label_numbers(["bga"], fashion)


def test_numbers_have_no_names(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(20, 2)))
    words = ["model=gmm", "dataset=vector_file", f"dataset.path={tmp_path / 'rows.npy'}"]
    words += ["dataset.data_shape=[2]", "dataset.batch_size=2", "dataset.num_validation=2"]
    table: Any = build(compose("train", words).config["dataset"], "dataset")
    with pytest.raises(UsageError, match=r"no class 'x'\nclasses: none has a name"):
        label_numbers(["x"], table)
