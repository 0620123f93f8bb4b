"""The ring of Gaussians: where its modes are, how its points spread, and that they are the same in every run."""

from typing import Any

import pytest
import torch

from genlab.config import check, compose
from genlab.datasets.ring import Ring
from genlab.errors import UsageError

DEFAULTS: dict[str, Any] = {
    "name": "ring",
    "data_shape": (2,),
    "batch_size": 128,
    "num_items": 10_000,
    "num_validation": 1_000,
    "num_test": 1_000,
    "num_modes": 8,
    "radius": 2.0,
    "standard_deviation": 0.05,
    "seed": 0,
}


def ring(**changed: Any) -> Ring:
    dataset = Ring(**DEFAULTS | changed)
    dataset.setup()
    return dataset


def points(dataset: Ring, split: str) -> torch.Tensor:
    loaders = {
        "train": dataset.train_dataloader,
        "validation": dataset.val_dataloader,
        "test": dataset.test_dataloader,
    }
    return torch.cat([batch.vectors for batch in loaders[split]()])


def test_the_recipe_has_these_defaults() -> None:
    recipe = compose("train", ["dataset=ring", "model=gmm", "seed=0"]).config["dataset"]
    assert recipe == DEFAULTS | {"_target_": "genlab.datasets.ring.Ring", "data_shape": [2]}


def test_centres_lie_evenly_on_the_circle() -> None:
    centres = ring().centres
    assert centres.shape == (8, 2)
    torch.testing.assert_close(centres.norm(dim=1), torch.full((8,), 2.0))
    torch.testing.assert_close(
        centres[[0, 2, 4]], torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]]), atol=1e-6, rtol=0
    )
    gaps = (centres - centres.roll(-1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((8,), 4 * torch.tensor(torch.pi / 8).sin().item()))


def test_splits_have_their_sizes_and_share_no_point() -> None:
    dataset = ring()
    assert dataset.sizes() == {"train": 10_000, "validation": 1_000, "test": 1_000}
    everything = torch.cat([points(dataset, split) for split in ("train", "validation", "test")])
    assert everything.dtype == torch.float32
    assert len(everything.unique(dim=0)) == 12_000


def test_each_point_is_of_a_gaussian_and_each_gaussian_has_its_share() -> None:
    dataset = ring()
    train = points(dataset, "train")
    distance, mode = torch.cdist(train, dataset.centres).min(1)
    counts = mode.bincount(minlength=8)
    chi_squared = ((counts - 1250.0) ** 2 / 1250).sum().item()
    assert chi_squared < 24.3  # 99.9 % of a chi-squared variable with 7 degrees of freedom
    offsets = (train - dataset.centres[mode]) / 0.05
    assert offsets.mean(0).abs().max() < 0.04  # 4 standard errors
    assert offsets.std(0).tolist() == pytest.approx([1, 1], abs=0.03)
    # The distance of a plane's Gaussian from its mean is below r deviations with probability 1 - exp(-r^2 / 2).
    assert (distance < 0.05).double().mean().item() == pytest.approx(1 - torch.tensor(-0.5).exp().item(), abs=0.02)


def test_a_run_with_another_seed_has_the_same_points_in_another_order() -> None:
    one, other = points(ring(), "train"), points(ring(seed=1), "train")
    assert not torch.equal(one, other)
    assert torch.equal(one.unique(dim=0), other.unique(dim=0))


def test_the_size_of_a_split_does_not_change_another() -> None:
    few = ring(num_validation=10, num_test=0)
    assert few.sizes() == {"train": 10_000, "validation": 10}
    assert torch.equal(points(few, "train"), points(ring(), "train"))
    assert few.fingerprint() == ring().fingerprint()


@pytest.mark.parametrize(
    "changed", [{"num_items": 9_999}, {"radius": 1.0}, {"standard_deviation": 0.1}, {"num_modes": 7}]
)
def test_the_fingerprint_knows_the_training_points(changed: dict[str, Any]) -> None:
    assert ring(**changed).fingerprint() != ring().fingerprint()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dataset.data_shape=[3]", "dataset.data_shape"),
        ("dataset.radius=0", "dataset.radius=0: expected"),
        ("dataset.standard_deviation=-1", "dataset.standard_deviation=-1: expected"),
        ("dataset.num_modes=0", "dataset.num_modes=0: expected"),
    ],
)
def test_values_out_of_range_are_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        check(compose("train", ["model=gmm", "dataset=ring", word]))
