"""Facts of Mao et al.'s game."""

import torch
from game import sgd, turns_of, without_trainer

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models.lsgan import LSGAN


def test_each_network_moves_in_its_own_turn_only() -> None:
    torch.manual_seed(0)
    model = without_trainer(LSGAN((1, 16, 16), 6, 4, sgd))
    batch = LabelledImages(torch.rand(8, 1, 16, 16) * 2 - 1, torch.zeros(8, dtype=torch.int64))
    assert turns_of(model, batch) == ["discriminator", "generator"]


def test_at_the_start_real_items_are_pulled_to_one_and_generated_ones_to_zero() -> None:
    torch.manual_seed(0)
    model = without_trainer(LSGAN((2,), 4, 16, lambda weights: torch.optim.Adam(weights, lr=1e-2)))
    model.optimizers()[0].param_groups[0]["lr"] = 0.0  # the generator stays where it is
    real = torch.full((64, 2), 3.0)
    for _ in range(300):
        model.training_step(Vectors(real), 0)
    assert abs(model.said["real_score"] - 1) < 0.05
    assert abs(model.said["fake_score"]) < 0.05
    assert model.said["generator"] > 0.4  # (0 - 1)² / 2 where the discriminator is right
