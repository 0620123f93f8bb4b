"""Facts of Chen et al.'s codes."""

import math

import pytest
import torch
from game import count, sgd, without_trainer
from torch import nn

from genlab.datasets.batches import LabelledImages
from genlab.models.infogan import InfoGAN


def tiny() -> InfoGAN:
    torch.manual_seed(0)
    return InfoGAN((1, 8, 8), 8, 3, 4, 2, 1.0, 0.1, 1e-3, sgd)


def batch() -> LabelledImages:
    return LabelledImages(torch.rand(8, 1, 8, 8) * 2 - 1, torch.zeros(8, dtype=torch.int64))


def test_the_layers_of_table_1() -> None:
    model = InfoGAN((1, 28, 28), 64, 62, 10, 2, 1.0, 0.1, 1e-3, sgd)
    assert model.latent_dim == 74
    linear = [layer for layer in model.generator if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(74, 1024), (1024, 128 * 49)]
    assert model.generator(torch.zeros(2, 74)).shape == (2, 1, 28, 28)
    assert count(model.discriminator.code) == 1024 * 128 + 128 + 2 * 128 + 128 * 14 + 14


@torch.no_grad()
def test_latents_are_uniform_noise_a_category_and_uniform_codes() -> None:
    latent = tiny().draw_latent(2000, torch.Generator().manual_seed(0))
    noise, category, continuous = latent.split([3, 4, 2], 1)
    assert noise.abs().max() <= 1
    assert abs(noise.std() - 1 / math.sqrt(3)) < 0.02
    assert torch.equal(category.sum(1), torch.ones(2000))
    assert category.sum(0).min() > 400
    assert continuous.abs().max() <= 1
    assert abs(continuous.std() - 1 / math.sqrt(3)) < 0.02


def test_the_loss_of_codes_is_their_weighted_negative_log_likelihood() -> None:
    model = tiny()
    code = torch.zeros(5, 4 + 2 * 2)
    category, continuous = torch.tensor([0, 1, 2, 3, 0]), torch.rand(5, 2)
    gaussian = (0.5 * (continuous**2 + math.log(2 * math.pi))).sum(1).mean()
    torch.testing.assert_close(model.code_loss(code, category, continuous), math.log(4) + 0.1 * gaussian)


def test_both_networks_descend_the_loss_of_codes_and_the_generator_at_its_own_rate() -> None:
    model = without_trainer(tiny())
    assert [optimizer.param_groups[0]["lr"] for optimizer in model.optimizers()] == [1e-3, 0.1]
    losses = {}
    model.descend = lambda optimizer, loss, name: losses.update({name: loss.item()})
    model.training_step(batch(), 0)
    said = {name: value.item() for name, value in model.said.items()}
    assert losses["generator"] == pytest.approx(said["generator"] + said["code"])
    assert losses["discriminator"] > said["discriminator"] + 0.5


def test_a_side_that_is_no_multiple_of_four_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a square whose side is a multiple of 4"):
        InfoGAN((1, 30, 30), 8, 3, 4, 2, 1.0, 0.1, 1e-3, sgd)


def test_weights_begin_small_so_that_codes_count_as_much_as_noise() -> None:
    torch.manual_seed(0)
    model = InfoGAN((1, 28, 28), 64, 62, 10, 2, 1.0, 0.1, 1e-3, sgd)
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm1d | nn.BatchNorm2d):
            gain = isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
            assert abs(layer.weight.mean() - int(gain)) < 0.01
            assert layer.bias is not None
            assert not layer.bias.any()
    assert abs(model.generator[0].weight.std() - 0.02) < 1e-3


def test_along_a_row_one_code_changes_and_nothing_else() -> None:
    model = tiny()
    latent = model.vary_codes(3, torch.Generator().manual_seed(0))
    assert latent.shape == (3, 3, 4, model.latent_dim)
    drawn = model.draw_latent(3, torch.Generator().manual_seed(0))
    for code, changed in enumerate([slice(3, 7), slice(7, 8), slice(8, 9)]):
        same = torch.ones(model.latent_dim, dtype=torch.bool)
        same[changed] = False
        assert torch.equal(latent[code][..., same], drawn[:, None, same].expand(-1, 4, -1))
    assert torch.equal(latent[0, 1, :, 3:7], torch.eye(4))
    torch.testing.assert_close(latent[2, 0, :, 8], torch.tensor([-2.0, -2 / 3, 2 / 3, 2.0]))  # figure 2
