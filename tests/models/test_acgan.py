"""Facts of Odena, Olah & Shlens's two losses."""

import math

import torch
from game import sgd, turns_of, without_trainer
from torch import nn

from genlab.datasets.batches import LabelledImages
from genlab.models.acgan import ACGAN


def tiny() -> ACGAN:
    torch.manual_seed(0)
    return ACGAN((1, 16, 16), 6, 3, 4, sgd)


def batch() -> LabelledImages:
    return LabelledImages(torch.rand(9, 1, 16, 16) * 2 - 1, torch.arange(9) % 3)


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(without_trainer(tiny()), batch()) == ["discriminator", "generator"]


def test_a_discriminator_that_knows_nothing_gives_the_losses_of_a_coin_and_a_die() -> None:
    model = without_trainer(tiny())
    nn.init.zeros_(model.discriminator[-2].weight)
    losses = {}
    model.descend = lambda optimizer, loss, name: losses.update({name: loss.item()})
    model.training_step(batch(), 0)
    assert math.isclose(losses["discriminator"], 2 * math.log(2) + 2 * math.log(3), rel_tol=1e-6)
    assert math.isclose(losses["generator"], math.log(2) + math.log(3), rel_tol=1e-6)


def test_the_discriminator_gives_a_source_and_a_class() -> None:
    assert tiny().discriminator(batch().images).shape == (9, 1 + 3)


def test_the_class_is_learned_from_real_images() -> None:
    torch.manual_seed(0)
    model = ACGAN((1, 8, 8), 4, 2, 8, lambda weights: torch.optim.Adam(weights, lr=2e-3))
    without_trainer(model)
    labels = torch.arange(32) % 2
    images = torch.where(labels.bool(), 1.0, -1.0).view(-1, 1, 1, 1).expand(-1, 1, 8, 8) * torch.rand(32, 1, 8, 8)
    for _ in range(40):
        model.training_step(LabelledImages(images, labels), 0)
    assert model.said["real_accuracy"] > 0.95
