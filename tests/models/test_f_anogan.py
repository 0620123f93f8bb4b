"""Facts of f-AnoGAN's residual networks, of its two phases, and of its score."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from alone import alone
from conftest import differences, short_config, trained
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from genlab.config import build, check, compose
from genlab.datasets.batches import LabelledImages
from genlab.errors import UsageError
from genlab.models.base import GenerativeModel
from genlab.models.f_anogan import Critic, DownBlock, Encoder, FAnoGAN, Generator, UpBlock, layer_norm, widths


def sgd(weights: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.01)


def tiny(critic_steps: int = 1, feature_weight: float = 1.0, refine_steps: int = 0) -> FAnoGAN:
    torch.manual_seed(0)
    return FAnoGAN((1, 8, 8), 6, 3, 10.0, critic_steps, feature_weight, 1, 0.0, refine_steps, 2, sgd, sgd)


def batch() -> LabelledImages:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return LabelledImages(images, torch.zeros(4, dtype=torch.int64))


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


Step = Callable[[FAnoGAN, int, int], set[str]]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """One training step at an epoch and a step; gives the networks that it moved."""

    def take(model: FAnoGAN, epoch: int, number: int) -> set[str]:
        monkeypatch.setattr(GenerativeModel, "current_epoch", epoch)
        monkeypatch.setattr(GenerativeModel, "global_step", number)
        alone(model)
        networks: dict[str, nn.Module] = dict(model.named_children())
        before = {name: state(network) for name, network in networks.items()}
        model.train()
        model.training_step(batch(), 0)
        return {
            name
            for name, network in networks.items()
            if any(not torch.equal(before[name][key], value) for key, value in network.state_dict().items())
        }

    return take


def test_the_papers_numbers_of_parameters() -> None:
    config = compose("train", ["+experiment=f_anogan_paper", "dataset.path=FOLDER"]).config["model"]
    with torch.device("meta"):
        model = build(config, "model")
    assert [count(network) for network in (model.generator, model.critic, model.encoder)] == [
        8_539_329,
        7_490_689,
        8_531_200,
    ]
    assert model.critic.features.num_features == 8192


def test_the_papers_optimizers_are_of_two_classes() -> None:
    config = compose("train", ["+experiment=f_anogan_paper", "dataset.path=FOLDER", "model.width=1"]).config["model"]
    generator, critic, encoder = build(config, "model").configure_optimizers()
    assert isinstance(generator, torch.optim.Adam)
    assert isinstance(critic, torch.optim.Adam)
    assert generator.param_groups[0]["lr"] == critic.param_groups[0]["lr"] == 1e-4
    assert generator.param_groups[0]["betas"] == (0, 0.9)
    assert isinstance(encoder, torch.optim.RMSprop)
    assert encoder.param_groups[0]["lr"] == 5e-5


def test_the_encoder_takes_any_optimizer() -> None:
    words = ["model=f_anogan", "optimizer@model.encoder_optimizer=sgd", "optimizer=adam"]
    composed = compose("train", words)
    check(composed)
    assert composed.config["model"]["encoder_optimizer"]["_target_"] == "torch.optim.SGD"
    assert composed.config["model"]["optimizer"]["_target_"] == "torch.optim.Adam"


@pytest.mark.parametrize(
    ("side", "expected"), [(64, [1, 2, 4, 8, 8]), (32, [1, 2, 4, 8]), (28, [1, 2, 4]), (128, [1, 2, 4, 8, 8, 8])]
)
def test_widths_double_up_to_eight_times_the_first(side: int, expected: list[int]) -> None:
    assert widths(1, (1, side, side)) == expected


@pytest.mark.parametrize("side", [8, 28, 40, 64])
def test_shapes_and_ranges(side: int) -> None:
    shape = (3, side, side)
    images = Generator(5, 2, shape)(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert Critic(2, shape)(images).shape == (3,)
    latent = Encoder(5, 2, shape)(images)
    assert latent.shape == (3, 5)
    assert latent.abs().max() < 1


def test_a_transposed_convolution_is_the_convolution_of_repeated_pixels() -> None:
    block, maps = UpBlock(6, 4).double(), torch.randn(2, 6, 8, 8, dtype=torch.float64)
    hidden = block.conv1(interpolate(relu(block.norm1(maps)), scale_factor=2))
    expected = block.conv2(relu(block.norm2(hidden))) + block.shortcut(interpolate(maps, scale_factor=2))
    torch.testing.assert_close(block(maps), expected)


def test_a_convolution_with_a_stride_is_the_average_of_one_without() -> None:
    block, maps = DownBlock(6, 4, layer_norm).double(), torch.randn(2, 6, 8, 8, dtype=torch.float64)
    hidden = block.conv2(relu(block.norm2(block.conv1(relu(block.norm1(maps))))))
    torch.testing.assert_close(block(maps), avg_pool2d(hidden + block.shortcut(maps), 2))


def test_a_score_of_the_critic_depends_on_its_own_image_alone() -> None:
    critic, images = Critic(2, (1, 16, 16)).train(), torch.randn(5, 1, 16, 16)
    torch.testing.assert_close(critic(images)[2:3], critic(images[2:3]))


def test_first_the_game_then_the_encoder_alone(step: Step) -> None:
    model = tiny()
    assert step(model, 0, 0) == step(model, 1, 9) == {"generator", "critic"}
    # Batch norm's running averages of the generator count too: they stand still.
    assert step(model, 2, 10) == step(model, 9, 99) == {"encoder"}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_generator_moves_after_every_so_many_steps_of_the_critic(step: Step) -> None:
    def weights_that_moved(number: int) -> bool:
        model = tiny(critic_steps=3)
        before = [weight.clone() for weight in model.generator.parameters()]
        step(model, 0, number)
        return any(not torch.equal(a, b) for a, b in zip(before, model.generator.parameters(), strict=True))

    assert [weights_that_moved(number) for number in range(6)] == [False, False, True] * 2


def test_the_encoder_learns_to_bring_back_what_the_generator_draws(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(feature_weight=0.0)
    model.encoder_optimizer = lambda weights: torch.optim.SGD(weights, lr=1.0)
    with torch.no_grad():
        drawn = model.eval().generator(4 * torch.randn(4, 6))
        before = model.anomaly_score(drawn).mean()
    monkeypatch.setattr(f"{__name__}.batch", lambda: LabelledImages(drawn, torch.zeros(4, dtype=torch.int64)))
    for number in range(40):
        step(model, 2, number)
    with torch.no_grad():
        after = model.eval().anomaly_score(drawn).mean()
    assert after < 0.7 * before


@pytest.mark.parametrize("stop", [2, 3, 5])
@pytest.mark.filterwarnings("ignore:after step .* the generator has collapsed")
def test_a_run_stopped_in_either_phase_goes_on_to_the_same_bits(tmp_path: Path, stop: int) -> None:
    words = ("model.gan_epochs=1", "model.critic_steps=2", "model.map_side=1", "dataset=optdigits")
    whole = trained(tmp_path / "whole", short_config("f_anogan", *words))
    trained(tmp_path / "stopped", short_config("f_anogan", *words, f"trainer.max_steps={stop}"))
    assert differences(whole, trained(tmp_path / "stopped", short_config("f_anogan", *words))) == []


def test_a_run_without_an_epoch_for_the_encoder_warns(tmp_path: Path) -> None:
    words = ("model.gan_epochs=2", "dataset=optdigits", "trainer.max_steps=1")
    with pytest.warns(UserWarning, match=r"model.gan_epochs=2 of trainer.max_epochs=2: no epoch is left"):
        trained(tmp_path / "run", short_config("f_anogan", *words))


@torch.no_grad()
def test_the_score_is_the_mean_squared_error_of_pixels_and_of_features() -> None:
    model = tiny(feature_weight=0.0).eval()
    images = torch.zeros(2, 1, 8, 8)
    restored = torch.stack([torch.full((1, 8, 8), 0.5), torch.zeros(1, 8, 8)])
    assert model.anomaly_score(images, restored).tolist() == [0.25, 0]
    model.feature_weight = 3.0
    features = (model.critic.features(restored) - model.critic.features(images)).square().mean(1)
    torch.testing.assert_close(model.anomaly_score(images, restored), torch.tensor([0.25, 0]) + 3 * features)
    assert features[0] > 0
    assert features[1] == 0


@torch.no_grad()
def test_score_and_map_depend_on_their_own_image_alone() -> None:
    model, images = tiny().eval(), batch().images
    torch.testing.assert_close(model.anomaly_score(images)[1:2], model.anomaly_score(images[1:2]))
    torch.testing.assert_close(model.anomaly_map(images)[1:2], model.anomaly_map(images[1:2]))
    assert model.anomaly_map(images).shape == (4, 1, 8, 8)


def test_an_even_side_of_the_map_is_refused() -> None:
    with pytest.raises(UsageError, match="map_side=4: expected an odd number of pixels, at most 64"):
        check(compose("train", ["model=f_anogan", "model.map_side=4"]))


@torch.no_grad()
def test_a_refined_latent_gives_an_image_nearer_to_the_given_one() -> None:
    plain, refined = tiny().eval(), tiny(refine_steps=20).eval()
    images = batch().images
    assert torch.equal(plain.encode(images), plain.encoder(images))
    before, after = ((model.restore(images) - images).square().flatten(1).mean(1) for model in (plain, refined))
    assert (after < before).all()
    torch.testing.assert_close(refined.encode(images[1:2]), refined.encode(images)[1:2])
    assert all(weight.grad is None for weight in refined.parameters())
