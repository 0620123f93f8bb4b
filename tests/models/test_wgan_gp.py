"""Facts of Gulrajani et al.'s algorithm."""

import pytest
import torch
from game import sgd, turns_of, without_trainer
from torch import nn

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models.wgan_gp import WGANGP


@pytest.mark.parametrize(
    ("step", "turns"), [(0, ["critic"]), (4, ["critic", "generator"]), (9, ["critic", "generator"])]
)
def test_the_generator_moves_with_every_fifth_batch(step: int, turns: list[str]) -> None:
    torch.manual_seed(0)
    model = without_trainer(WGANGP((1, 16, 16), 6, 4, 10.0, 5, sgd), step)
    batch = LabelledImages(torch.rand(8, 1, 16, 16) * 2 - 1, torch.zeros(8, dtype=torch.int64))
    assert turns_of(model, batch) == turns


def test_the_critic_scores_each_image_alone() -> None:
    model = WGANGP((1, 16, 16), 6, 4, 10.0, 5, sgd)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.critic.modules())
    images = torch.rand(5, 1, 16, 16)
    torch.testing.assert_close(model.critic(images)[2:3], model.critic(images[2:3]))


def test_the_critic_finds_the_distance_of_two_points() -> None:
    """Between Dirac measures the Wasserstein distance is the distance of the points (Arjovsky et al., example 1)."""
    torch.manual_seed(0)
    model = without_trainer(WGANGP((2,), 4, 64, 10.0, 1000, lambda weights: torch.optim.Adam(weights, lr=1e-3)))
    model.generator = nn.Sequential(nn.Linear(4, 2))
    for weight in model.generator.parameters():
        nn.init.zeros_(weight)
    for _ in range(400):
        model.training_step(Vectors(torch.tensor([[3.0, 4.0]]).expand(64, 2)), 0)
    # The penalty lets the slope exceed 1 by 1 / (2 · 10 · 1 / 5) of the gain at most: 5 (1 + 5 / 20).
    assert 5 <= model.said["wasserstein_distance"] < 6.5
    assert model.said["gradient_penalty"] < 0.1
