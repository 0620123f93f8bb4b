"""Gram matrices of features, and how near samples come to a texture."""

from typing import Any

import pytest
import torch
from tiny import Repeats, Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.images import centred
from genlab.datasets.textures import Texture
from genlab.metrics.texture_statistics import LAYERS, gram_distance, gram_matrices, measure, unfit
from genlab.networks.vgg import VGG16Features


@pytest.fixture(scope="module")
def network() -> VGG16Features:
    return VGG16Features()


@pytest.fixture(scope="module")
def pebbles() -> Texture:
    return Texture("texture", "pebbles", (3, 64, 64), 4, 16, False, 0)


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_gram_matrix_is_the_mean_product_of_channels(network: VGG16Features) -> None:
    images = uniform(2, 3, 16, 16)
    found = gram_matrices(network, images)
    assert [tuple(matrix.shape) for matrix in found] == [(64, 64), (128, 128), (256, 256), (512, 512)]
    maps = network(images, LAYERS)["relu2_1"]
    assert found[1][3, 7].item() == pytest.approx((maps[:, 3] * maps[:, 7]).mean().item(), rel=1e-5)
    torch.testing.assert_close(found[3], found[3].T)


def test_where_things_are_does_not_count(network: VGG16Features) -> None:
    """But at the border, where 3x3 pixels meet zeros; so a constant frame is laid around."""
    image = torch.nn.functional.pad(uniform(1, 3, 24, 24), [64] * 4)
    shifted = image.roll((8, -8), (2, 3))
    assert gram_distance(gram_matrices(network, shifted), gram_matrices(network, image)) < 1e-5


def test_the_distance_is_relative() -> None:
    wanted = [torch.eye(2), 4 * torch.eye(3)]
    assert gram_distance(wanted, wanted) == 0
    assert gram_distance([torch.zeros(2, 2), 6 * torch.eye(3)], wanted) == pytest.approx((1 + 0.5) / 2)


def scores_of(dataset: Texture, images: Tensor) -> Any:
    with torch.no_grad():
        return measure(evaluation(Repeats(images), dataset))


def test_the_texture_itself_is_at_zero_and_noise_at_its_own_distance(pebbles: Texture) -> None:
    texture = centred(pebbles.picture())[None]
    distance, reduction = scores_of(pebbles, texture[:, :, 64:192, 64:192])
    assert [distance.name, reduction.name] == ["gram_distance_vgg16_hed", "gram_reduction_vgg16_hed"]
    assert distance.value < 2 * distance.how["of_crops"]
    assert reduction.value == pytest.approx(distance.how["of_noise"] / distance.value)
    assert reduction.value > 5
    assert [distance.how["num_samples"], distance.how["num_distinct"]] == [16, 1]
    _, of_noise = scores_of(pebbles, uniform(4, 3, 64, 64))
    assert of_noise.how["num_distinct"] == 4
    assert of_noise.value == pytest.approx(1, abs=0.05)


def test_pixels_in_another_order_have_not_the_texture(pebbles: Texture) -> None:
    texture = centred(pebbles.picture())[None, :, :64, :64]
    order = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(0))
    _, reduction = scores_of(pebbles, texture.flatten(2)[:, :, order].view_as(texture))
    assert reduction.value < 4


def test_other_data_and_other_models_are_left_out(pebbles: Texture) -> None:
    images = torch.zeros(2, 3, 8, 8)
    assert unfit(evaluation(Silent(), pebbles)) == "Silent draws no samples"
    assert unfit(evaluation(Repeats(images), Splits(train=images))) == "'tiny' is not one texture"
    assert unfit(evaluation(Repeats(images), pebbles)) is None
