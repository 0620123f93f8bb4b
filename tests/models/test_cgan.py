"""Facts of Mirza & Osindero's networks and of latents that hold a class."""

import torch
from game import sgd, turns_of, without_trainer

from genlab.datasets.batches import LabelledImages
from genlab.models.cgan import CGAN


def tiny() -> CGAN:
    torch.manual_seed(0)
    return CGAN((1, 8, 8), 6, 3, 0.0, sgd)


def test_hidden_layers_are_the_papers() -> None:
    model = CGAN((1, 28, 28), 100, 10, 0.5, sgd)
    generator, discriminator = model.generator, model.discriminator
    assert (generator.of_noise.out_features, generator.of_class.out_features) == (200, 1000)
    assert generator.joint[2].in_features == generator.joint[2].out_features == 1200
    assert (discriminator.of_image.linear.out_features, discriminator.of_image.num_pieces) == (240 * 5, 5)
    assert (discriminator.of_class.linear.out_features, discriminator.of_class.num_pieces) == (50 * 5, 5)
    assert (discriminator.joint[1].linear.out_features, discriminator.joint[1].num_pieces) == (240 * 4, 4)


def test_each_network_moves_in_its_own_turn_only() -> None:
    batch = LabelledImages(torch.rand(8, 1, 8, 8) * 2 - 1, torch.arange(8) % 3)
    assert turns_of(without_trainer(tiny()), batch) == ["discriminator", "generator"]


@torch.no_grad()
def test_a_label_changes_the_class_and_not_the_noise() -> None:
    model = tiny().eval()
    seen: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    free = model.sample(5, None, torch.Generator().manual_seed(0))
    asked = model.sample(5, torch.tensor([2, 2, 0, 1, 1]), torch.Generator().manual_seed(0))
    assert torch.equal(seen[0][:, :6], seen[1][:, :6])
    assert torch.equal(seen[1][:, 6:].argmax(1), torch.tensor([2, 2, 0, 1, 1]))
    assert torch.equal(seen[0][:, 6:].sum(1), torch.ones(5))
    assert not torch.equal(free, asked)


@torch.no_grad()
def test_without_labels_classes_are_alike_often() -> None:
    latent = tiny().draw_latent(3000, torch.Generator().manual_seed(0))
    counts = latent[:, 6:].sum(0)
    assert counts.sum() == 3000
    assert (counts - 1000).abs().max() < 4 * (3000 * 2 / 9) ** 0.5
