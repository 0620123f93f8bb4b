"""Facts of Kim et al.'s networks, losses and turns."""

import math
from typing import Any

import pytest
import torch
from game import count, sgd, weights, without_trainer

from genlab.datasets.batches import UnpairedImages
from genlab.models.capabilities import Translates
from genlab.models.discogan import DiscoGAN, Generator, feature_distance, features, squared_error
from genlab.networks.dcgan import Discriminator


def small(step: int = 0, bottleneck_dim: int = 0, **changed: Any) -> Any:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"first_share": 0.01, "first_steps": 10, "share": 0.5, "discriminator_every": 3}
    made = DiscoGAN((3, 16, 16), 4, bottleneck_dim, 0.9, 0.1, optimizer=sgd, **(settings | changed))
    return without_trainer(made, step)


def batch() -> UnpairedImages:
    return UnpairedImages(torch.rand(6, 3, 16, 16) * 2 - 1, torch.rand(6, 3, 16, 16) * 2 - 1)


def loss_of(model: Any, data: UnpairedImages) -> tuple[str, float]:
    seen: list[tuple[str, float]] = []
    model.descend = lambda optimizer, loss, name: seen.append((name, loss.item()))
    model.training_step(data, 0)
    (only,) = seen
    return only


def test_parameters_of_the_authors_networks() -> None:
    shape = (3, 64, 64)
    with torch.device("meta"):
        assert count(Generator(64, 0, shape)) == 5_513_856
        assert count(Generator(64, 100, shape)) == 7_153_480
        assert count(Discriminator(64, shape)) == 2_765_568


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("bottleneck_dim", [0, 7])
def test_shapes(side: int, bottleneck_dim: int) -> None:
    generator = Generator(4, bottleneck_dim, (3, side, side))
    images = torch.rand(2, 3, side, side)
    assert generator(images).shape == images.shape
    smallest: list[int] = []
    for layer in generator:
        images = layer(images)
        smallest.append(images.shape[-1])
    assert min(smallest) == (1 if bottleneck_dim else 4)
    assert len(features(Discriminator(4, (3, side, side)), images)[:-1]) == side.bit_length() - 4


@pytest.mark.parametrize("step", range(6))
def test_every_third_step_is_the_discriminators_and_each_moves_alone(step: int) -> None:
    model = small(step)
    networks = {name: getattr(model, name) for name, _ in model.named_children()}
    before = {name: weights(network) for name, network in networks.items()}
    model.training_step(batch(), 0)
    moved = {
        name
        for name, network in networks.items()
        if any(not torch.equal(before[name][key], now) for key, now in weights(network).items())
    }
    discriminators = {"discriminator_x", "discriminator_y"}
    assert moved == (discriminators if step % 3 == 0 else {"x_to_y", "y_to_x"})
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_share_of_the_reconstruction_grows_once() -> None:
    data = batch()
    losses = {share: loss_of(small(1, share=share, first_steps=0), data)[1] for share in (0.0, 0.01, 0.5, 1.0)}
    assert losses[0.5] == pytest.approx((losses[0.0] + losses[1.0]) / 2, rel=1e-4)
    assert loss_of(small(8), data)[1] == pytest.approx(losses[0.01], rel=1e-4)
    assert loss_of(small(10), data)[1] == pytest.approx(losses[0.5], rel=1e-4)


def test_terms_of_an_undecided_game() -> None:
    data = batch()
    model = small(1, share=0.0, first_steps=0)
    for discriminator in (model.discriminator_x, model.discriminator_y):
        torch.nn.init.zeros_(discriminator[-2].weight)
    name, loss = loss_of(model, data)
    distances = model.said["features_x"] + model.said["features_y"]
    assert name == "generator"
    assert loss == pytest.approx(0.1 * 2 * math.log(2) + 0.9 * distances.item(), rel=1e-5)
    model = small(0)
    for discriminator in (model.discriminator_x, model.discriminator_y):
        torch.nn.init.zeros_(discriminator[-2].weight)
    # Each is the mean of the two halves of cross entropy.
    assert loss_of(model, data) == ("discriminator", pytest.approx(2 * math.log(2), rel=1e-5))


def test_features_are_compared_by_their_means_over_the_batch() -> None:
    one = torch.randn(5, 3, 2, 2)
    assert feature_distance([one], [one[torch.randperm(5)]]).item() == pytest.approx(0, abs=1e-10)
    assert feature_distance([one, one], [one + 2, one]).item() == pytest.approx(4, rel=1e-5)


def test_pixels_count_as_in_0_to_1() -> None:
    assert squared_error(torch.ones(1, 1, 2, 2), -torch.ones(1, 1, 2, 2)).item() == 1


@torch.no_grad()
@pytest.mark.parametrize("bottleneck_dim", [0, 7])
def test_translations_of_other_sizes_in_both_directions_each_for_itself(bottleneck_dim: int) -> None:
    model = small(bottleneck_dim=bottleneck_dim).eval()
    assert isinstance(model, Translates)
    assert model.stride == (16 if bottleneck_dim else 4)
    images = torch.rand(3, 3, 16 + model.stride, 16) * 2 - 1
    for direction in model.directions:
        made = model.translate(images, direction)
        assert made.shape == images.shape
        torch.testing.assert_close(model.translate(images[1:2], direction), made[1:2])
    assert not torch.equal(model.translate(images, "x_to_y"), model.translate(images, "y_to_x"))
