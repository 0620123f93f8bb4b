"""Facts of Goodfellow et al.'s networks and of their game."""

import math
from typing import Any

import pytest
import torch
from conftest import short_config
from game import count, sgd, turns_of, without_trainer
from torch import nn

from genlab.config import build
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models.gan import GAN
from genlab.networks.maxout import Maxout


def tiny(objective: Any = "nonsaturating", initial_range: float = 0.05) -> GAN:
    torch.manual_seed(0)
    return GAN((1, 8, 8), 6, 16, 8, 3, 0.0, 0.0, objective, initial_range, sgd)


def batch() -> LabelledImages:
    return LabelledImages(torch.rand(8, 1, 8, 8) * 2 - 1, torch.zeros(8, dtype=torch.int64))


def test_the_parameters_of_the_authors_networks_for_mnist() -> None:
    model = GAN((1, 28, 28), 100, 1200, 240, 5, 0.2, 0.5, "nonsaturating", 0.05, sgd)
    assert count(model.generator) == 2_503_984
    assert count(model.discriminator) == 1_231_441


def test_initial_weights_are_the_authors() -> None:
    model = tiny()
    weights = [layer.weight for layer in model.generator if isinstance(layer, nn.Linear)]
    assert all(0.045 < weight.abs().max() <= 0.05 for weight in weights)
    judge = [layer.weight for layer in model.discriminator.modules() if isinstance(layer, nn.Linear)]
    assert all(0.003 < weight.abs().max() <= 0.005 for weight in judge)


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    unit = Maxout(1, 1, 2)
    unit.linear.weight.data = torch.tensor([[1.0], [-1.0]])
    unit.linear.bias.data.zero_()
    torch.testing.assert_close(unit(torch.tensor([[-3.0], [2.0]])), torch.tensor([[3.0], [2.0]]))  # |x|


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(without_trainer(tiny(initial_range=0.5)), batch()) == ["discriminator", "generator"]


@pytest.mark.parametrize(("objective", "loss"), [("nonsaturating", math.log(2)), ("minimax", -math.log(2))])
def test_the_generators_loss_against_a_coin(objective: str, loss: float) -> None:
    model = without_trainer(tiny(objective))
    nn.init.zeros_(model.discriminator[-2].weight)
    for optimizer in model.optimizers():
        optimizer.param_groups[0]["lr"] = 0
    model.training_step(batch(), 0)
    assert model.said["discriminator"].item() == pytest.approx(2 * math.log(2))
    assert model.said["generator"].item() == pytest.approx(loss)


def test_images_are_sigmoids_of_their_logits_and_points_are_not_bounded() -> None:
    model = tiny()
    latent = model.draw_latent(4, torch.Generator().manual_seed(0))
    assert latent.abs().max() <= 1
    logits = model.generator[:-2](latent)
    torch.testing.assert_close((model.decode(latent) + 1) / 2, logits.sigmoid().view(4, 1, 8, 8))
    points = GAN((2,), 6, 16, 8, 3, 0.0, 0.0, "minimax", 5.0, sgd)
    assert points.sample(100).abs().max() > 1
    without_trainer(points).training_step(Vectors(torch.randn(8, 2)), 0)


def test_the_discriminator_sees_black_as_zero() -> None:
    model = tiny()
    first = next(layer for layer in model.discriminator if isinstance(layer, Maxout))
    expected = first.linear.bias.unflatten(0, (-1, 3)).amax(1)
    torch.testing.assert_close(model.discriminator[:4](torch.full((1, 1, 8, 8), -1.0))[0], expected)


def test_the_optimizer_is_the_authors() -> None:
    optimizer = build(short_config("gan")["optimizer"], "optimizer")
    group = optimizer([nn.Parameter(torch.zeros(1))]).param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.1, 0.5)
