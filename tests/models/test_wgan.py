"""Facts of Arjovsky, Chintala & Bottou's algorithm."""

import pytest
import torch
from game import sgd, turns_of, without_trainer

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models.wgan import WGAN


def batch() -> LabelledImages:
    generator = torch.Generator().manual_seed(1)
    return LabelledImages(torch.rand(8, 1, 16, 16, generator=generator) * 2 - 1, torch.zeros(8, dtype=torch.int64))


@pytest.mark.parametrize(("step", "turns"), [(0, ["critic"]), (3, ["critic"]), (4, ["critic", "generator"])])
def test_the_generator_moves_with_every_fifth_batch(step: int, turns: list[str]) -> None:
    torch.manual_seed(0)
    model = without_trainer(WGAN((1, 16, 16), 6, 4, 1.0, 5, sgd), step)
    assert turns_of(model, batch()) == turns


def test_all_weights_of_the_critic_are_clipped_after_each_step() -> None:
    torch.manual_seed(0)
    model = without_trainer(WGAN((1, 16, 16), 6, 4, 0.01, 5, sgd))
    assert max(weight.abs().max() for weight in model.critic.parameters()) > 0.01
    model.training_step(batch(), 0)
    assert all(weight.abs().max() <= 0.01 for weight in model.critic.parameters())
    assert max(weight.abs().max() for weight in model.generator.parameters()) > 0.01


def test_the_critic_learns_the_side_of_the_data() -> None:
    torch.manual_seed(0)
    model = without_trainer(WGAN((2,), 4, 16, 0.1, 1000, lambda weights: torch.optim.RMSprop(weights, lr=1e-2)))
    for _ in range(50):
        model.training_step(Vectors(torch.full((64, 2), 3.0)), 0)
    assert model.said["wasserstein_distance"] > 0.1
    assert model.said["critic"] == -model.said["wasserstein_distance"]
