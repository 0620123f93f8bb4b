"""Facts of Radford, Metz & Chintala's networks and of their adversarial game."""

import math

import pytest
import torch
from alone import alone, sgd, weights
from conftest import short_config
from torch import nn

from genlab.config import build, check, compose
from genlab.datasets.batches import LabelledImages
from genlab.errors import UsageError
from genlab.models.dcgan import DCGAN
from genlab.networks.dcgan import Discriminator, Generator, num_doublings
from genlab.training import prepare


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def tiny() -> DCGAN:
    torch.manual_seed(0)
    return alone(DCGAN((1, 16, 16), 6, 4, "normal", sgd))[0]


def batch() -> LabelledImages:
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return LabelledImages(images, torch.zeros(8, dtype=torch.int64))


@pytest.mark.parametrize(
    ("channels", "parameters"), [(3, (3_576_704, 2_765_568)), (1, (3_574_656, 2_763_520))], ids=["RGB", "grey"]
)
def test_the_well_known_numbers_of_parameters(channels: int, parameters: tuple[int, int]) -> None:
    shape = (channels, 64, 64)
    assert (count(Generator(100, 64, shape)), count(Discriminator(64, shape))) == parameters


@pytest.mark.parametrize("side", [8, 16, 28, 32, 40, 48, 64, 128])
def test_shapes_and_ranges(side: int) -> None:
    shape = (3, side, side)
    images = Generator(5, 2, shape)(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert Discriminator(2, shape)(images).shape == (3,)


@pytest.mark.parametrize(("side", "doublings"), [(64, 4), (32, 3), (28, 2), (128, 5), (8, 1)])
def test_the_map_is_doubled_from_four_or_seven(side: int, doublings: int) -> None:
    assert num_doublings((1, side, side)) == doublings


@pytest.mark.parametrize("shape", [(1, 36, 36), (1, 9, 9), (1, 4, 4), (1, 30, 30), (1, 32, 64), (1, 64, 32)])
def test_other_sides_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(
        ValueError, match="expected a square whose side is 4, 5, 6 or 7 times a power of 2 and at least 8"
    ):
        num_doublings(shape)


def test_a_wrong_side_names_its_key() -> None:
    with pytest.raises(UsageError, match=r"image_shape=\[1, 30, 30\]: expected a square whose side is 4, 5, 6 or 7"):
        check(compose("train", ["model=dcgan", "dataset.data_shape=[1,30,30]"]))


def test_the_architecture_guidelines_of_section_3() -> None:
    generator, discriminator = Generator(100, 8, (3, 64, 64)), Discriminator(8, (3, 64, 64))
    assert not any(isinstance(layer, nn.MaxPool2d | nn.AvgPool2d | nn.Linear) for layer in (*generator, *discriminator))
    kinds = [type(layer) for layer in generator]
    assert kinds[-2:] == [nn.ConvTranspose2d, nn.Tanh]  # no batch norm at the generator's output
    assert kinds.count(nn.BatchNorm2d) == kinds.count(nn.ReLU) == 4
    kinds = [type(layer) for layer in discriminator]
    assert kinds[:2] == [nn.Conv2d, nn.LeakyReLU]  # none at the discriminator's input
    assert kinds.count(nn.BatchNorm2d) == 3
    assert all(layer.negative_slope == 0.2 for layer in discriminator if isinstance(layer, nn.LeakyReLU))
    convolutions = [
        layer for layer in (*generator, *discriminator) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert all(layer.bias is None for layer in convolutions)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = DCGAN((3, 64, 64), 100, 32, "normal", torch.optim.Adam)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 10_000:
            assert module.weight.mean().abs() < 1e-3
            assert 0.019 < module.weight.std() < 0.021
        if isinstance(module, nn.BatchNorm2d):
            assert 0.98 < module.weight.mean() < 1.02
            assert 0.01 < module.weight.std() < 0.03
            assert not module.bias.any()


def test_adam_is_the_papers() -> None:
    optimizer = build(short_config("dcgan")["optimizer"], "optimizer")
    optimizers = DCGAN((1, 8, 8), 2, 2, "normal", optimizer).configure_optimizers()
    assert all(group["lr"] == 2e-4 for optimizer in optimizers for group in optimizer.param_groups)
    assert all(group["betas"] == (0.5, 0.999) for optimizer in optimizers for group in optimizer.param_groups)


def losses_of_a_step(model: DCGAN, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    losses = {}
    descend = model.descend

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        losses[name] = loss.item()
        descend(optimizer, loss, name)

    monkeypatch.setattr(model, "descend", spy)
    model.training_step(batch(), 0)
    return losses


def test_a_discriminator_that_knows_nothing_gives_the_losses_of_a_coin(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    last = model.discriminator[-2]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    for optimizer in model.optimizers():
        optimizer.param_groups[0]["lr"] = 0
    losses = losses_of_a_step(model, monkeypatch)
    assert losses == {"discriminator": pytest.approx(2 * math.log(2)), "generator": pytest.approx(math.log(2))}


def test_each_network_moves_in_its_own_turn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    before = {"generator": weights(model.generator), "discriminator": weights(model.discriminator)}
    turns = []
    descend = model.descend

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        other = {"generator": "discriminator", "discriminator": "generator"}[name]
        kept = weights(getattr(model, other))
        for parameter in model.parameters():
            parameter.grad = None
        descend(optimizer, loss, name)
        turns.append(name)
        assert all(torch.equal(kept[key], value) for key, value in weights(getattr(model, other)).items())
        # Nothing is computed that the other network would have to throw away.
        assert all(parameter.grad is None for parameter in getattr(model, other).parameters())

    monkeypatch.setattr(model, "descend", spy)
    model.training_step(batch(), 0)
    assert turns == ["discriminator", "generator"]
    for name in turns:
        now = weights(getattr(model, name))
        assert all(not torch.equal(before[name][key], now[key]) for key in now)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_batch_norm_sees_real_and_generated_images_apart() -> None:
    model = tiny()
    sizes = []
    model.discriminator.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    model.training_step(batch(), 0)
    assert sizes == [8, 8, 8]


@torch.no_grad()
def test_a_sample_does_not_depend_on_those_beside_it() -> None:
    model = tiny().eval()
    latent = model.draw_latent(5, torch.Generator().manual_seed(0))
    alone = model.decode(latent[2:3])
    torch.testing.assert_close(model.decode(latent)[2:3], alone, rtol=0, atol=1e-6)
    assert not torch.allclose(model.train().decode(latent)[2:3], alone, rtol=0, atol=1e-3)


def test_the_discriminator_judges_in_evaluation_as_it_does_in_training() -> None:
    model, (images, _) = tiny(), batch()
    model.training_step(batch(), 0)
    assert torch.equal(model.train().discriminator(images), model.eval().discriminator(images))


def test_the_priors() -> None:
    normal, uniform = (
        DCGAN((1, 8, 8), 50, 2, prior, torch.optim.Adam).draw_latent(2000, torch.Generator().manual_seed(0))
        for prior in ("normal", "uniform")
    )
    assert normal.shape == uniform.shape == (2000, 50)
    assert normal.mean().abs() < 0.01
    assert (normal.std() - 1).abs() < 0.01
    assert -1 <= uniform.min() < -0.999
    assert 0.999 < uniform.max() < 1
    assert uniform.mean().abs() < 0.01
    assert (uniform.std() - 1 / math.sqrt(3)).abs() < 0.01


def test_the_papers_recipe_trains_with_the_papers_prior() -> None:
    drawn = []
    recipe = compose("train", ["+experiment=dcgan_paper", "model.width=2"]).config
    model, _ = alone(build(recipe["model"], "model"))
    model.generator.register_forward_hook(lambda module, inputs, output: drawn.append(inputs[0]))
    images = torch.zeros(64, 3, 64, 64)
    model.training_step(LabelledImages(images, torch.zeros(64, dtype=torch.int64)), 0)
    assert drawn[0].shape == (64, 100)
    assert drawn[0].abs().max() <= 1
    assert drawn[0].min() < -0.99


@pytest.mark.slow
def test_the_game_draws_samples_towards_the_data() -> None:
    """Distance of the mean image and of the contrast of each pixel, after 1 and 150 steps on 16x16 Fashion-MNIST."""
    words = ("dataset.data_shape=[1,16,16]", "model.width=8", "dataset.batch_size=64", "optimizer.lr=1e-3")
    model, dataset = prepare(short_config("dcgan", *words))
    assert isinstance(model, DCGAN)
    alone(model)
    batches = list(dataset.train_dataloader())
    real = torch.cat([images for images, _ in batches])

    @torch.no_grad()
    def distance() -> float:
        fake = model.eval().sample(256, None, torch.Generator().manual_seed(0))
        model.train()
        return ((fake.mean(0) - real.mean(0)).square().mean() + (fake.std(0) - real.std(0)).square().mean()).item()

    torch.manual_seed(0)
    model.train()
    model.training_step(batches[0], 0)
    before = distance()
    for step in range(1, 150):
        model.training_step(batches[step], step)
    assert distance() < 0.25 * before
