"""Facts of Mirza & Osindero's networks, of the projection discriminator and of latents that hold a class."""

import pytest
import torch
from game import sgd, turns_of, without_trainer
from torch import nn

from genlab.datasets.batches import LabelledImages
from genlab.models.cgan import CGAN, ProjectionDiscriminator


def tiny(width: int | None = 4) -> CGAN:
    torch.manual_seed(0)
    return CGAN((1, 8, 8), 6, 3, width, 0.0, sgd)


def batch() -> LabelledImages:
    return LabelledImages(torch.rand(8, 1, 8, 8) * 2 - 1, torch.arange(8) % 3)


def test_hidden_layers_are_the_papers() -> None:
    model = CGAN((1, 28, 28), 100, 10, None, 0.5, sgd)
    generator, discriminator = model.generator, model.discriminator
    assert (generator.of_noise.out_features, generator.of_class.out_features) == (200, 1000)
    assert generator.joint[2].in_features == generator.joint[2].out_features == 1200
    assert (discriminator.of_image.linear.out_features, discriminator.of_image.num_pieces) == (240 * 5, 5)
    assert (discriminator.of_class.linear.out_features, discriminator.of_class.num_pieces) == (50 * 5, 5)
    assert (discriminator.joint[1].linear.out_features, discriminator.joint[1].num_pieces) == (240 * 4, 4)


def test_dropout_is_refused_by_networks_that_have_none() -> None:
    with pytest.raises(ValueError, match=r"dropout=0.5 with width=4: only the paper's networks have it"):
        CGAN((1, 8, 8), 6, 3, 4, 0.5, sgd)


@pytest.mark.parametrize("width", [4, None])
def test_each_network_moves_in_its_own_turn_only(width: int | None) -> None:
    assert turns_of(without_trainer(tiny(width)), batch()) == ["discriminator", "generator"]


@pytest.mark.parametrize("width", [4, None])
def test_generated_images_are_asked_for_and_judged_by_the_labels_of_the_real_ones(width: int | None) -> None:
    model = without_trainer(tiny(width))
    asked: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda module, inputs, output: asked.append(inputs[0][:, 6:].argmax(1)))
    model.discriminator.register_forward_hook(lambda module, inputs, output: asked.append(inputs[1].argmax(1)))
    model.training_step(batch(), 0)
    assert len(asked) == 4
    assert all(torch.equal(labels, batch().labels) for labels in asked)


@torch.no_grad()
def test_the_logits_of_two_classes_differ_by_an_inner_product_with_the_features() -> None:
    torch.manual_seed(0)
    discriminator = ProjectionDiscriminator(3, (1, 8, 8), 4)
    images, classes = batch().images, torch.eye(3)
    of_class = [discriminator(images, row.expand(8, -1)) for row in classes]
    *layers, last, _ = discriminator.of_image
    features, vectors = nn.Sequential(*layers)(images).flatten(1), last.weight.flatten(1)[1:]
    torch.testing.assert_close(of_class[2] - of_class[0], features @ (vectors[2] - vectors[0]), rtol=1e-4, atol=1e-6)


def test_the_label_is_learned() -> None:
    torch.manual_seed(0)
    model = CGAN((1, 8, 8), 4, 2, 8, 0.0, lambda weights: torch.optim.Adam(weights, lr=2e-3, betas=(0.5, 0.999)))
    without_trainer(model)
    labels = torch.arange(32) % 2
    for _ in range(60):
        brightness = torch.where(labels.bool(), 0.5, -0.5).view(-1, 1, 1, 1)
        model.training_step(LabelledImages(brightness + 0.2 * torch.randn(32, 1, 8, 8), labels), 0)
    with torch.no_grad():
        means = model.eval().sample(32, labels, torch.Generator().manual_seed(0)).mean((1, 2, 3))
    assert means[labels == 1].min() > means[labels == 0].max()


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
