"""EfficientNet-Lite0: its size, its border, its input, and that it knows a photograph."""

from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from genlab.metrics import efficientnet
from genlab.metrics.efficientnet import EfficientNetLite0, SameConv2d, as_trained_on
from genlab.metrics.features import FeatureNetwork, embedded


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return embedded("imagenet")


def test_it_has_as_many_weights_as_the_folded_network(network: FeatureNetwork) -> None:
    assert sum(weight.numel() for weight in network.network.parameters()) == 4_631_000
    assert {weight.dtype for weight in network.network.parameters()} == {torch.float32}
    assert not network.network.training


def test_it_is_named_and_says_how_images_are_resized(network: FeatureNetwork) -> None:
    assert (network.name, network.resize) == ("efficientnet_lite0", "bilinear antialias to 224")
    assert network.classifier is not None
    assert network.classifier.out_features == 1000


@torch.no_grad()
def test_features_of_a_constant_image_are_finite_and_always_the_same(network: FeatureNetwork) -> None:
    images = torch.zeros(1, 3, 32, 32)
    found = network.features(images)
    assert found.shape == (1, 1280)
    assert 0 <= found.min() < found.max() <= 6
    assert torch.equal(found, network.features(images))
    again = embedded("imagenet")
    assert torch.equal(found, again.features(images))


def photograph(name: str) -> Tensor:
    path = Path(sklearn.datasets.__file__).parent / "images" / name
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 127.5 - 1


@pytest.mark.parametrize(
    ("name", "plausible"),
    # Bell cote, boathouse, palace; daisy, bee (on a flower), vase.
    [("china.jpg", {442, 449, 698}), ("flower.jpg", {985, 309, 883})],
)
@torch.no_grad()
def test_it_knows_a_photograph(network: FeatureNetwork, name: str, plausible: set[int]) -> None:
    log_probabilities = network.log_probabilities(network.features(photograph(name)))
    assert log_probabilities.exp().sum().item() == pytest.approx(1)
    best = log_probabilities[0].topk(2).indices.tolist()
    assert set(best) <= plausible


@torch.no_grad()
def test_images_at_a_time_and_equal_colours_change_nothing(
    network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = 2 * torch.rand(3, 1, 40, 30, generator=torch.Generator().manual_seed(0)) - 1
    together = network.features(images)
    torch.testing.assert_close(network.features(images.expand(-1, 3, -1, -1)), together)
    monkeypatch.setattr(efficientnet, "IMAGES", 1)
    torch.testing.assert_close(network.features(images), together, rtol=1e-4, atol=1e-4)


def test_the_input_is_a_pixel_less_127_over_128() -> None:
    for value, expected in ((-1.0, -127 / 128), (1.0, 1.0), (7.0, 1.0), (127 / 127.5 - 1, 0.0)):
        found = as_trained_on(torch.full((1, 1, 9, 5), value))
        torch.testing.assert_close(found, torch.full((1, 3, 224, 224), expected))


def test_whole_images_are_averaged_or_interpolated() -> None:
    large = torch.rand(1, 3, 448, 448) * 2 - 1
    means = torch.nn.functional.avg_pool2d(as_trained_on(large), 14)
    original = torch.nn.functional.avg_pool2d(((large + 1) * 127.5 - 127) / 128, 28)
    assert (means - original).abs().max() < 0.02


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"), [(224, 3, 2, 0, 1), (7, 5, 1, 2, 2), (9, 3, 2, 1, 1)]
)
def test_the_odd_pixel_of_the_border_is_at_the_end(
    size: int, kernel: int, stride: int, before: int, after: int
) -> None:
    convolution = SameConv2d(1, 1, kernel, stride)
    images = torch.rand(1, 1, size, size)
    plain = torch.nn.functional.conv2d(
        pad(images, (before, after, before, after)), convolution.weight, convolution.bias, stride
    )
    assert plain.shape[2:] == (-(-size // stride),) * 2
    torch.testing.assert_close(convolution(images), plain)


def test_sides_differ() -> None:
    convolution = SameConv2d(1, 1, 3, 2)
    assert convolution(torch.rand(1, 1, 10, 7)).shape == (1, 1, 5, 4)


def test_blocks_halve_the_side_five_times() -> None:
    network = EfficientNetLite0()
    hidden = network.blocks(network.stem(torch.rand(1, 3, 64, 64)))
    assert hidden.shape == (1, 320, 2, 2)
