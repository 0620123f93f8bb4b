"""The convolutions of VGG: their sizes, their layers, their input, and where their weights come from."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from genlab.errors import DataError
from genlab.networks.vgg import VGG16Features, VGG19Features, VGGFeatures, best_features, vgg19_file


@pytest.fixture(scope="module")
def network() -> VGG16Features:
    return VGG16Features()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def small(name: str = "small") -> VGGFeatures:
    """Blocks of two convolutions of two channels, random."""
    generator = torch.Generator().manual_seed(0)
    names = [f"conv{block}_{place}" for block in (1, 2, 3) for place in (1, 2)]
    channels = [3, 2, 2, 2, 2, 2, 2]
    layers = {
        layer: (torch.randn(outputs, inputs, 3, 3, generator=generator), torch.randn(outputs, generator=generator))
        for layer, (inputs, outputs) in zip(names, pairwise(channels), strict=True)
    }
    return VGGFeatures(name, layers, [0.5, 0.4, 0.3], [0.2, 0.1, 0.25])


def photograph() -> Tensor:
    path = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 127.5 - 1


def test_the_embedded_one_has_ten_convolutions_and_the_weights_of_the_table(network: VGG16Features) -> None:
    assert len(network.convolutions) == 10
    # Columns D of table 1 up to conv4_3.
    assert sum(buffer.numel() for name, buffer in network.named_buffers() if "conv" in name) == 7_635_264
    assert network.get_buffer("conv4_3_weight").shape == (512, 512, 3, 3)
    assert network.name == "vgg16_hed"


def test_weights_are_constants_that_no_checkpoint_holds(network: VGG16Features) -> None:
    assert not list(network.parameters())
    assert not network.state_dict()
    images = torch.zeros(1, 3, 8, 8, requires_grad=True)
    network(images, ["relu1_1"])["relu1_1"].sum().backward()
    assert images.grad is not None
    assert images.grad.any()


def test_maps_are_halved_before_each_block_and_named_before_and_after_relu(network: VGG16Features) -> None:
    found = network(photograph()[:, :, :48, :40], ["conv1_1", "relu1_1", "relu2_2", "conv3_3", "relu4_3"])
    shapes = {name: tuple(maps.shape[1:]) for name, maps in found.items()}
    assert shapes == {
        "conv1_1": (64, 48, 40),
        "relu1_1": (64, 48, 40),
        "relu2_2": (128, 24, 20),
        "conv3_3": (256, 12, 10),
        "relu4_3": (512, 6, 5),
    }
    assert torch.equal(found["relu1_1"], found["conv1_1"].relu())
    assert found["conv3_3"].min() < 0


def test_the_input_is_normalized_in_the_order_red_green_blue() -> None:
    network = small()
    images = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1
    values = torchvision.transforms.functional.normalize((images + 1) / 2, [0.5, 0.4, 0.3], [0.2, 0.1, 0.25])
    weight, bias = network.get_buffer("conv1_1_weight"), network.get_buffer("conv1_1_bias")
    expected = nn.functional.conv2d(values, weight, bias, padding=1)
    torch.testing.assert_close(network(images, ["conv1_1"])["conv1_1"], expected)


def test_the_embedded_one_is_given_blue_green_red_less_its_mean(network: VGG16Features) -> None:
    grey_of_the_mean = torch.tensor([122.67892, 116.66877, 104.00699]).view(1, 3, 1, 1) / 127.5 - 1
    found = network(grey_of_the_mean.expand(-1, -1, 4, 4), ["conv1_1"])["conv1_1"]
    bias = network.get_buffer("conv1_1_bias").view(1, -1, 1, 1)
    torch.testing.assert_close(found, bias.expand_as(found), atol=1e-3, rtol=0)


def test_the_embedded_one_sees_a_photograph(network: VGG16Features) -> None:
    """The features of an image are nearer to those of the same image shifted by a pixel than to those of its noise."""
    image = photograph()[:, :, 100:196, 100:196]
    shifted = photograph()[:, :, 101:197, 101:197]
    noise = image.flatten(2)[:, :, torch.randperm(96 * 96, generator=torch.Generator().manual_seed(0))].view_as(image)
    maps = [network(each, ["relu4_3"])["relu4_3"].flatten() for each in (image, shifted, noise)]
    near, far = (torch.cosine_similarity(maps[0], other, dim=0).item() for other in maps[1:])
    assert near > 0.8
    assert near > far + 0.3


def test_grey_images_are_three_equal_colours() -> None:
    network = small()
    grey = torch.rand(1, 1, 8, 8) * 2 - 1
    layers = ["relu2_1"]
    torch.testing.assert_close(network(grey, layers), network(grey.expand(-1, 3, -1, -1), layers))


def test_a_layer_that_is_not_there_is_refused(network: VGG16Features) -> None:
    with pytest.raises(ValueError, match="vgg16_hed has no layer relu5_1: expected conv1_1 to conv4_3, or relu1_1"):
        network(torch.zeros(1, 3, 32, 32), ["relu5_1"])


def test_images_smaller_than_a_pixel_of_the_layer_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 3x9 are too small for conv3_1 of small: expected sides of at leas"):
        small()(torch.zeros(1, 3, 3, 9), ["conv3_1"])


def test_vgg19_is_torchvisions(empty_cache: Path) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.vgg19(init_weights=False).features
    torch.save({f"features.{name}": weight for name, weight in reference.state_dict().items()}, vgg19_file())
    network = best_features()
    assert isinstance(network, VGG19Features)
    assert network.convolutions[-1] == "conv5_4"
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    values = torchvision.models.VGG19_Weights.IMAGENET1K_V1.transforms(crop_size=32, resize_size=32)((images + 1) / 2)
    found = network(images, ["conv5_4", "relu2_2"])
    torch.testing.assert_close(found["conv5_4"], reference[:35](values))
    torch.testing.assert_close(found["relu2_2"], reference[:9](values))


def test_without_vgg19_in_the_cache_the_embedded_one_is_taken(empty_cache: Path) -> None:
    assert isinstance(best_features(), VGG16Features)
    with pytest.raises(DataError, match=r"there is no .*vgg19-.*\.pth, the weights of VGG19\nget them by"):
        VGG19Features()


def test_another_file_in_its_place_is_refused(empty_cache: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, vgg19_file())
    with pytest.raises(DataError, match=r"holds no VGG19: it has no features\.0\.bias"):
        best_features()
