"""Facts of Yoo et al.'s networks and losses."""

import math
from typing import Any

import pytest
import torch
from game import count, sgd, turns_of, without_trainer
from torch import Tensor

from genlab.datasets.batches import PairedImages
from genlab.models.capabilities import Translates
from genlab.models.pixel_dtgan import Converter, Discriminator, PixelDTGAN, of_others


def small() -> Any:
    torch.manual_seed(0)
    return without_trainer(PixelDTGAN((3, 16, 16), 4, 6, lambda weights: sgd(weights, 0.01)))


def batch(size: int = 6) -> PairedImages:
    return PairedImages(torch.rand(size, 3, 16, 16) * 2 - 1, torch.rand(size, 3, 16, 16) * 2 - 1)


def test_parameters_of_the_paper() -> None:
    shape = (3, 64, 64)
    with torch.device("meta"):
        assert count(Converter(128, 64, shape)) == 36_530_304
        assert count(Discriminator(3, 128, shape)) == 17_232_768
        assert count(Discriminator(6, 128, shape)) == 17_242_368


@pytest.mark.parametrize("side", [16, 28, 64])
def test_shapes(side: int) -> None:
    images = torch.rand(2, 3, side, side)
    converter = Converter(4, 5, (3, side, side))
    maps = images
    sides = [(maps := layer(maps)).shape[1:] for layer in converter]
    assert (5, 1, 1) in sides
    assert maps.shape == images.shape
    assert Discriminator(3, 4, (3, side, side))(images).shape == (2,)


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(small(), batch()) == ["real_discriminator", "domain_discriminator", "converter"]


def test_each_discriminator_averages_three_terms_and_the_converter_two() -> None:
    model, data = small(), batch()
    seen: dict[str, list[Tensor]] = {"real": [], "domain": []}
    losses: dict[str, float] = {}
    model.descend = lambda optimizer, loss, name: losses.__setitem__(name, loss.item())
    for name, network in (("real", model.real_discriminator), ("domain", model.domain_discriminator)):
        network.register_forward_hook(lambda module, inputs, output, name=name: seen[name].append(inputs[0]))
        torch.nn.init.zeros_(network[-2].weight)
    model.training_step(data, 0)
    assert all(loss == pytest.approx(math.log(2), rel=1e-5) for loss in losses.values())
    target, fake, other, _ = seen["real"]
    assert torch.equal(target, data.target)
    assert torch.equal(other, data.target.roll(-1, 0))
    own, converted, of_another, _ = seen["domain"]
    assert torch.equal(own, torch.cat([data.source, data.target], 1))
    assert torch.equal(converted, torch.cat([data.source, fake], 1))
    assert torch.equal(of_another, torch.cat([data.source, other], 1))


def test_garments_that_do_not_belong_are_other_garments() -> None:
    images = torch.randn(3, 2, 4, 4)
    kinds = torch.tensor([0, 0, 1, 0, 2, 2, 0])
    targets = images[kinds]
    targets[3] = targets[3].flip(2)  # the same garment, mirrored
    items, others = of_others(targets)
    assert items.tolist() == list(range(7))
    assert others.tolist() == [2, 2, 3, 4, 6, 6, 2]
    assert (kinds[items] != kinds[others]).all()


def test_a_batch_of_one_garment_has_none_that_does_not_belong() -> None:
    targets = torch.randn(1, 3, 16, 16).expand(4, -1, -1, -1)
    items, others = of_others(targets)
    assert len(items) == len(others) == 0
    model = small()
    model.training_step(PairedImages(batch(4).source, targets.contiguous()), 0)
    assert all(torch.isfinite(value) for value in model.said.values())


@torch.no_grad()
def test_a_translation_depends_on_its_own_source_alone() -> None:
    model = small().eval()
    assert isinstance(model, Translates)
    images = torch.rand(3, 3, 32, 16) * 2 - 1
    made = model.translate(images)
    assert made.shape == images.shape
    torch.testing.assert_close(model.translate(images[1:2]), made[1:2])
