"""Facts of Zhang et al.'s residual denoiser."""

from typing import Any

import pytest
import torch
from alone import alone
from torch import Tensor, nn

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.losses.fidelity import signal_to_noise
from genlab.models.capabilities import Restores
from genlab.models.denoiser import Denoiser, DnCNN
from genlab.training import build_model


def adam(weights: Any, lr: float = 3e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=lr)


def model(batch_norm: bool = False, levels: tuple[float, float] = (0, 50)) -> Denoiser:
    torch.manual_seed(0)
    return Denoiser((1, 24, 24), 8, 4, batch_norm, levels, 25, adam)


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
    network = DnCNN(3, 4, 3, False)
    last: Any = network.noise[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(0.25)
    images = torch.rand(2, 3, 9, 7)
    torch.testing.assert_close(network(images), images - 0.25)


@pytest.mark.parametrize("depth", [2, 5])
def test_each_layer_sees_one_pixel_further(depth: int) -> None:
    torch.manual_seed(0)
    network = DnCNN(1, 16, depth, False)
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
@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_takes_any_size_and_each_image_alone(batch_norm: bool) -> None:
    denoiser = model(batch_norm).eval()
    assert isinstance(denoiser, Restores)
    images = torch.rand(3, 1, 17, 30, generator=torch.Generator().manual_seed(0)) * 2 - 1
    degraded = denoiser.degrade(images)
    assert torch.equal(degraded, denoiser.degrade(images, torch.Generator().manual_seed(0)))
    restored = denoiser.translate(degraded)
    assert restored.shape == images.shape
    assert restored.abs().max() <= 1
    torch.testing.assert_close(restored[1:2], denoiser.translate(degraded[1:2]))
    assert torch.equal(denoiser.baseline(degraded), degraded.clamp(-1, 1))


def test_it_learns_to_remove_noise_of_levels_that_it_is_not_told() -> None:
    denoiser, _ = alone(model())
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
