"""Facts of Miyato et al.'s normalization and networks."""

import pytest
import torch
from game import count, sgd, turns_of, without_trainer
from torch import nn

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models.sngan import SNGAN, Discriminator, Generator


def test_the_parameters_of_the_common_baseline_for_32x32() -> None:
    assert count(Generator(128, 256, (3, 32, 32))) == 4_276_739
    assert count(Discriminator(128, (3, 32, 32))) == 1_053_825


@pytest.mark.parametrize("side", [28, 32, 64])
def test_shapes_and_ranges(side: int) -> None:
    images = Generator(5, 4, (3, side, side))(torch.randn(3, 5))
    assert images.shape == (3, 3, side, side)
    assert images.abs().max() <= 1
    assert Discriminator(4, (3, side, side))(images).shape == (3,)


def test_every_layer_of_the_discriminator_has_a_largest_singular_value_of_one() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(8, (1, 16, 16))
    for _ in range(50):  # a step of power iteration each
        discriminator(torch.randn(2, 1, 16, 16))
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    assert len(layers) == 11
    for layer in layers:
        # Of the weight as a matrix with a row for each output (section 2.1).
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert largest.item() == pytest.approx(1, abs=0.01)


def test_the_discriminators_slope_is_bounded_in_the_plane() -> None:
    torch.manual_seed(0)
    model = SNGAN((2,), 4, 32, 32, 1, sgd)
    points = torch.randn(500, 2, requires_grad=True)
    for _ in range(20):
        scores = model.discriminator(points)
    (slopes,) = torch.autograd.grad(scores.sum(), points)
    assert slopes.norm(dim=1).max() <= 1.01


@pytest.mark.parametrize(("step", "turns"), [(0, ["discriminator"]), (4, ["discriminator", "generator"])])
def test_the_generator_moves_with_every_fifth_batch(step: int, turns: list[str]) -> None:
    torch.manual_seed(0)
    model = without_trainer(SNGAN((1, 16, 16), 6, 4, 4, 5, sgd), step)
    batch = LabelledImages(torch.rand(8, 1, 16, 16) * 2 - 1, torch.zeros(8, dtype=torch.int64))
    names: list[str] = []
    descend = model.descend
    model.descend = lambda optimizer, loss, name: (names.append(name), descend(optimizer, loss, name))
    model.training_step(batch, 0)
    assert names == turns


def test_a_generators_step_leaves_the_weights_of_the_discriminator() -> None:
    torch.manual_seed(0)
    model = without_trainer(SNGAN((2,), 4, 16, 16, 1, sgd))
    assert turns_of(model, Vectors(torch.randn(32, 2))) == ["discriminator", "generator"]
