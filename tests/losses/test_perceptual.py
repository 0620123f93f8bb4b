"""Losses and distances of features in closed form."""

import pytest
import torch
from torch import Tensor

from genlab.losses import perceptual
from genlab.losses.perceptual import LAYERS, Content, ContentLoss, perceptual_distance
from genlab.networks.vgg import VGG16Features, VGGFeatures


def copying(*names: str) -> VGGFeatures:
    """Each convolution copies its input: the features are the images, in halves of the side after each block."""
    kernel = torch.zeros(3, 3, 3, 3)
    kernel[range(3), range(3), 1, 1] = 1
    return VGGFeatures("copying", {name: (kernel, torch.zeros(3)) for name in names}, [0.5] * 3, [0.5] * 3)


ALL = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")


def colour(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1).expand(1, 3, 16, 16)


def of_features(network: VGGFeatures, content: Content, monkeypatch: pytest.MonkeyPatch) -> ContentLoss:
    monkeypatch.setattr(perceptual, "best_features", lambda: network)
    return ContentLoss(content)


def test_the_content_loss_is_the_mean_squared_difference_over_12_75_squared(monkeypatch: pytest.MonkeyPatch) -> None:
    images, truth = colour(0.5, 0.2, 0.1), colour(0.1, 0.2, 0.4)
    squares = (0.4**2 + 0.3**2) / 3
    assert ContentLoss("mse")(images, truth).item() == pytest.approx(squares)
    loss = of_features(copying("conv1_1", "conv2_2"), "vgg22", monkeypatch)
    assert loss(images, truth).item() == pytest.approx(squares / 12.75**2)


@pytest.mark.parametrize("content", ["mse", "vgg22"])
def test_the_truth_of_the_content_loss_gets_no_gradient(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    images, truth = (colour(*values).clone().requires_grad_() for values in ((0.5, 0.5, 0.5), (0.1, 0.1, 0.1)))
    of_features(copying("conv1_1", "conv2_2"), content, monkeypatch)(images, truth).backward()
    assert images.grad is not None
    assert images.grad.any()
    assert truth.grad is None


def test_vgg54_is_the_last_layer_of_vgg19_and_conv4_3_of_the_embedded_network(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_features(copying("conv2_2", "conv5_4"), "vgg54", monkeypatch).name == "relu5_4 of copying"
    network = VGG16Features()
    assert of_features(network, "vgg54", monkeypatch).name == "relu4_3 of vgg16_hed"
    assert of_features(network, "vgg22", monkeypatch).name == "relu2_2 of vgg16_hed"
    assert network.convolutions[-1] == "conv4_3"
    assert ContentLoss("mse").name == "pixels"


def test_the_distance_of_an_image_to_itself_is_none_and_that_of_features_at_right_angles_is_two() -> None:
    network = copying(*ALL)
    red, green = colour(0.9, 0, 0), colour(0, 0.3, 0)
    assert perceptual_distance(network, red, red).item() == 0
    assert perceptual_distance(network, red, green).item() == pytest.approx(2)
    # Lengths do not count.
    assert perceptual_distance(network, red, red / 3).item() == pytest.approx(0, abs=1e-6)


def test_the_distance_is_the_mean_over_pixels_of_each_image_alone() -> None:
    network = copying(*ALL)
    red, green = colour(0.9, 0, 0), colour(0, 0.3, 0)
    half = torch.cat([red[..., :8], green[..., :8]], 3)
    found = perceptual_distance(network, torch.cat([half, red]), torch.cat([red, red]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0]))


def test_a_blurred_photograph_is_nearer_than_another_one_and_the_layers_are_in_the_network() -> None:
    network = VGG16Features()
    assert set(LAYERS) <= {name.replace("conv", "relu") for name in network.convolutions}
    generator = torch.Generator().manual_seed(0)
    image, other = (
        torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6, generator=generator) * 2 - 1, (48, 48), mode="bicubic")
        for _ in range(2)
    )
    blurred = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
    assert perceptual_distance(network, image, blurred) < 0.5 * perceptual_distance(network, image, other)
