"""Facts of Jin et al.'s networks and losses."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from game import count, sgd, turns_of, without_trainer

from genlab.datasets.batches import ImagesWithAttributes
from genlab.models import anime_gan
from genlab.models.anime_gan import AnimeGAN, Discriminator, Generator, of_attributes

NAMES = ["glasses", "smile", "hat"]


def small(adversarial_weight: float = 3.0) -> Any:
    torch.manual_seed(0)
    optimizer = partial(sgd, lr=0.01)
    return without_trainer(AnimeGAN((3, 16, 16), NAMES, 6, 8, 2, 1, 4, 1, adversarial_weight, 0.5, 0.5, optimizer))


def batch(size: int = 8) -> ImagesWithAttributes:
    return ImagesWithAttributes(torch.rand(size, 3, 16, 16) * 2 - 1, (torch.rand(size, 3) < 0.5).float())


def test_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        assert count(Generator(128 + 34, 64, 16, 3, (3, 128, 128))) == 4_352_643
        assert count(Discriminator(32, 2, (3, 128, 128), 1 + 34)) == 23_895_427


@pytest.mark.parametrize(("side", "num_upsamplings"), [(8, 1), (16, 0), (32, 2), (64, 3)])
def test_shapes(side: int, num_upsamplings: int) -> None:
    images = Generator(5, 4, 1, num_upsamplings, (3, side, side))(torch.randn(2, 5))
    assert images.shape == (2, 3, side, side)
    assert Discriminator(4, 1, (3, side, side), 4)(images).shape == (2, 4)


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(small(), batch()) == ["discriminator", "generator"]


def test_the_discriminator_sees_each_image_alone() -> None:
    discriminator = small().discriminator
    images = batch().images
    torch.testing.assert_close(discriminator(images)[2:3], discriminator(images[2:3]))


def test_an_undecided_discriminator_pays_one_bit_for_each_attribute() -> None:
    assert of_attributes(torch.zeros(5, 1 + 3), torch.ones(5, 3)).item() == pytest.approx(3 * math.log(2))


def test_the_adversarial_term_alone_is_weighted() -> None:
    losses: dict[str, float] = {}

    def of(weight: float) -> dict[str, float]:
        model, data = small(weight), batch()
        torch.nn.init.zeros_(model.discriminator[-1].weight)
        torch.nn.init.zeros_(model.discriminator[-1].bias)
        model.descend = lambda optimizer, loss, name: losses.__setitem__(name, loss.item())
        model.training_step(data, 0)
        return losses.copy()

    # Logits of 0: two halves of the adversarial loss, three attributes, and a slope of 0 that should be 1.
    for weight in (1.0, 3.0):
        found = of(weight)
        assert found["discriminator"] == pytest.approx(weight * 2 * math.log(2) + 3 * math.log(2) + 0.5)
        assert found["generator"] == pytest.approx(weight * math.log(2) + 3 * math.log(2))


def test_attributes_are_learnt_from_real_images_and_asked_of_generated_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    original = anime_gan.of_attributes
    monkeypatch.setattr(anime_gan, "of_attributes", lambda out, asked: (seen.append(asked), original(out, asked))[1])
    model, data = small(), batch()
    codes: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda module, inputs, output: codes.append(inputs[0][:, 6:]))
    model.training_step(data, 0)
    real, asked = seen
    assert torch.equal(real, data.attributes)
    assert torch.equal(codes[0], 2 * asked - 1)
    assert sorted(map(tuple, asked.tolist())) == sorted(map(tuple, real.tolist()))
    assert not torch.equal(asked, real)


@pytest.mark.parametrize(
    ("shape", "num_upsamplings", "text"),
    [
        ((3, 24, 24), 1, "expected a square whose side is 8, 16, 32, 64 or so on"),
        ((3, 32, 16), 1, "expected a square"),
        ((3, 32, 32), 4, "num_upsamplings=4: images of 32x32 allow at most 3"),
    ],
)
def test_a_shape_that_is_not_reached_is_refused(shape: tuple[int, int, int], num_upsamplings: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        AnimeGAN(shape, NAMES, 6, 8, 1, num_upsamplings, 4, 1, 3.0, 0.5, 0.5, sgd)
