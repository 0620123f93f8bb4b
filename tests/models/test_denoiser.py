"""Facts of Zhang et al.'s residual denoiser."""

from typing import Any, Literal

import pytest
import torch
from alone import alone
from torch import Tensor, nn

from genlab.config import check, compose
from genlab.datasets.batches import LabelledImages
from genlab.errors import UsageError
from genlab.losses.fidelity import signal_to_noise
from genlab.models.capabilities import Restores
from genlab.models.denoiser import Denoiser, DnCNN, DRUNet, initialize
from genlab.training import build_model

Network = Literal["dncnn", "drunet"]


def adam(weights: Any, lr: float = 3e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=lr)


def model(network: Network = "dncnn", batch_norm: bool = False, levels: tuple[float, float] = (0, 50)) -> Denoiser:
    torch.manual_seed(0)
    depth, num_scales = (4, 1) if network == "dncnn" else (1, 3)
    return Denoiser((1, 24, 24), network, 8, depth, num_scales, batch_norm, levels, 25, adam)


def discs(count: int) -> Tensor:
    places = torch.arange(24.0) - 11.5
    distance = (places[:, None] ** 2 + places**2).sqrt()
    return torch.stack([(distance < radius).float() - 0.5 for radius in torch.linspace(3, 11, count)])[:, None]


def test_the_well_known_number_of_parameters() -> None:
    with torch.device("meta"):
        network = build_model(compose("train", ["+experiment=denoiser_paper"]).config).network
    assert sum(weight.numel() for weight in network.parameters()) == 556_097
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 17
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 15


def test_the_network_is_what_is_taken_away() -> None:
    denoiser = model()
    last: Any = denoiser.network[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(0.25)
    images = torch.rand(2, 1, 24, 24) - 0.5
    torch.testing.assert_close(denoiser.translate(images), images - 0.25)


@torch.no_grad()
def test_drunet_scales_with_its_image_and_sees_far() -> None:
    torch.manual_seed(0)
    network = DRUNet(3, 4, 2, 3)
    images = torch.randn(2, 3, 32, 64)
    torch.testing.assert_close(network(2 * images), 2 * network(images), rtol=1e-4, atol=1e-5)
    moved = images.clone()
    moved[0, 0, 0, 0] += 1
    changed = (network(moved) - network(images)).abs().sum((0, 1)) > 0
    # Four convolutions of each scale and way: 16 pixels in the body, 8 and 8 around it, 4 and 4, and 2 outermost ones.
    seen = int(changed.any(0).nonzero().max())
    assert 42 <= seen < 42 + 4  # the body's pixels are 4x4 of the image's


def test_drunet_of_the_later_paper() -> None:
    with torch.device("meta"):
        network = DRUNet(4, 64, 4, 4)
    blocks = sum(8 * 2 * 9 * width**2 for width in (64, 128, 256)) + 4 * 2 * 9 * 512**2
    between = sum(2 * 4 * width * 2 * width for width in (64, 128, 256))
    assert sum(weight.numel() for weight in network.parameters()) == blocks + between + 2 * 9 * 4 * 64


def test_the_first_guess_of_the_noise_is_small() -> None:
    for network in (DnCNN(1, 32, 10, False), DRUNet(1, 16, 2, 4)):
        torch.manual_seed(0)
        initialize(network)
        with torch.no_grad():
            assert network(torch.randn(4, 1, 32, 32)).std() < 0.5


@pytest.mark.parametrize("depth", [2, 5])
def test_each_layer_sees_one_pixel_further(depth: int) -> None:
    torch.manual_seed(0)
    network = DnCNN(1, 16, depth, False)
    initialize(network)
    images = torch.randn(1, 1, 21, 21, requires_grad=True)
    network(images)[0, 0, 10, 10].backward()
    assert images.grad is not None
    seen = (images.grad != 0).nonzero()[:, 2:]
    assert (seen - 10).abs().max() == depth


def test_noise_has_the_level_in_grey_values_of_255() -> None:
    images = torch.zeros(50, 1, 24, 24)
    noise = model().degrade(images, torch.Generator().manual_seed(0)) * 127.5
    assert noise.std().item() == pytest.approx(25, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.5)


def test_noise_of_training_is_of_any_level_between_the_two() -> None:
    denoiser, _ = alone(model(levels=(10, 40)))
    seen: list[Tensor] = []
    denoiser.network.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    images = torch.zeros(300, 1, 24, 24)
    denoiser.training_step(LabelledImages(images, torch.zeros(300, dtype=torch.int64)), 0)
    levels = (seen[0] * 127.5).flatten(1).std(1)
    assert 9 < levels.min() < 12
    assert 38 < levels.max() < 42
    assert levels.mean().item() == pytest.approx(25, abs=2)


@torch.no_grad()
@pytest.mark.parametrize(("network", "batch_norm"), [("dncnn", True), ("dncnn", False), ("drunet", False)])
def test_it_takes_any_size_and_each_image_alone(network: Network, batch_norm: bool) -> None:
    denoiser = model(network, batch_norm).eval()
    assert isinstance(denoiser, Restores)
    sides = [side * denoiser.stride for side in (17, 30)]
    images = torch.rand(3, 1, *sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
    degraded = denoiser.degrade(images)
    assert torch.equal(degraded, denoiser.degrade(images, torch.Generator().manual_seed(0)))
    restored = denoiser.translate(degraded)
    assert restored.shape == images.shape
    assert restored.abs().max() <= 1
    torch.testing.assert_close(restored[1:2], denoiser.translate(degraded[1:2]))
    assert torch.equal(denoiser.baseline(degraded), degraded.clamp(-1, 1))


@pytest.mark.parametrize("network", ["dncnn", "drunet"])
def test_it_learns_to_remove_noise_of_levels_that_it_is_not_told(network: Network) -> None:
    denoiser, _ = alone(model(network))
    torch.manual_seed(1)
    for step in range(150):
        denoiser.training_step(LabelledImages(discs(8), torch.zeros(8, dtype=torch.int64)), step)
    with torch.no_grad():
        for level, gain in ((15, 2), (25, 4), (45, 4)):
            denoiser.test_level = level
            degraded = denoiser.degrade(discs(8))
            before, after = (
                signal_to_noise(images, discs(8), 0).mean() for images in (degraded, denoiser.translate(degraded))
            )
            assert after > before + gain, level


def test_levels_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match=r"noise_levels=\[50, 0\]: expected the lower one first"):
        model(levels=(50, 0))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["network=dncnn"], "depth=1 num_scales=3: dncnn has 2 layers at least, and one scale"),
        (["batch_norm=true"], "batch_norm=true: drunet has none"),
        (["num_scales=8"], r"image_shape=\[3, 64, 64\]: sides must be multiples of 128"),
    ],
)
def test_settings_that_a_network_does_not_have(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(compose("train", ["model=denoiser", *(f"model.{word}" for word in words)]))
