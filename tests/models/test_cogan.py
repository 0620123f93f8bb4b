"""Facts of Liu & Tuzel's tied networks."""

import pytest
import torch
from game import sgd, turns_of, without_trainer

from genlab.datasets.batches import UnpairedImages
from genlab.models.cogan import CoGAN


def tiny() -> CoGAN:
    torch.manual_seed(0)
    return CoGAN((1, 28, 28), 6, 4, sgd)


def batch() -> UnpairedImages:
    return UnpairedImages(torch.rand(6, 1, 28, 28) * 2 - 1, torch.rand(6, 1, 28, 28) * 2 - 1)


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(without_trainer(tiny()), batch()) == ["discriminator", "generator"]


def test_the_layers_of_the_paper() -> None:
    model = CoGAN((1, 28, 28), 100, 128, sgd)
    channels = [layer[0].out_channels for layer in model.generator.shared[1:]]
    assert channels == [1024, 512, 256, 128]
    assert model.discriminator.shared[3].out_features == 500
    assert [image.shape for image in model.generator(torch.zeros(2, 100))] == [(2, 1, 28, 28)] * 2


def test_first_layers_of_the_generators_and_last_of_the_discriminators_are_shared() -> None:
    model = tiny()
    model.discriminator(*batch())[0].sum().backward()
    assert all(weight.grad is not None for weight in model.discriminator.shared.parameters())
    # The other domain's own layer saw none of these images.
    assert all(not weight.grad.any() for weight in model.discriminator.second.parameters() if weight.grad is not None)
    model.generator(torch.rand(2, 6))[1].sum().backward()
    assert all(weight.grad is None for weight in model.generator.first.parameters())
    assert all(weight.grad is not None for weight in model.generator.shared.parameters())


@torch.no_grad()
def test_a_sample_is_a_pair_of_one_latent() -> None:
    model = tiny().eval()
    pairs = model.sample(3, None, torch.Generator().manual_seed(0))
    assert pairs.shape == (3, 1, 28, 56)
    first, second = model.generator(model.draw_latent(3, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(pairs[..., :28], first)
    torch.testing.assert_close(pairs[..., 28:], second)


def test_other_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="the paper's networks are for 28x28"):
        CoGAN((1, 32, 32), 6, 4, sgd)
