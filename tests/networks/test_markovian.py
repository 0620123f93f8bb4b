"""Discriminators of patches of features, and the network that reads them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.errors import UsageError
from genlab.networks.markovian import (
    FeatureReader,
    MarkovianDiscriminator,
    discriminator_loss,
    feed_forward_discriminator,
    generator_loss,
    optimizing_discriminator,
    stride_of,
)
from genlab.networks.vgg import VGG16Features


def maps(seed: int, channels: int = 64, side: int = 12, scale: float = 1.0) -> Tensor:
    return scale * torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_discriminators_have_the_sizes_of_the_authors_code() -> None:
    sizes = [
        sum(weight.numel() for weight in network(256, 256).parameters())
        for network in (optimizing_discriminator, feed_forward_discriminator)
    ]
    assert sizes == [606_977, 3_148_545]


def test_a_score_of_the_optimizing_one_is_of_eight_by_eight_features_and_their_neighbours() -> None:
    network = optimizing_discriminator(4, 3).eval()
    network[2] = nn.Identity()
    features = torch.rand(1, 4, 20, 20, requires_grad=True)
    scores = network(features)
    assert scores.shape == (1, 1, 13, 13)
    scores[0, 0, 5, 5].backward()
    assert features.grad is not None
    seen = features.grad.abs().sum((0, 1)).nonzero()
    assert seen.min(0).values.tolist() == [4, 4]
    assert seen.max(0).values.tolist() == [13, 13]


def test_the_feed_forward_one_has_a_score_for_each_four_by_four_features() -> None:
    assert feed_forward_discriminator(4, 3)(torch.rand(2, 4, 16, 24)).shape == (2, 1, 4, 6)


@pytest.mark.parametrize("network", [optimizing_discriminator, feed_forward_discriminator])
def test_real_patches_are_normalized_as_usual_and_generated_ones_alike(network: Any) -> None:
    torch.manual_seed(0)
    discriminator = MarkovianDiscriminator(["relu1_1"], 5, network)
    real = maps(0)
    [(real_scores, same)] = discriminator({"relu1_1": real}, {"relu1_1": real.clone()})
    torch.testing.assert_close(real_scores, discriminator["relu1_1"](real), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(same, real_scores)
    [(unchanged, others)] = discriminator({"relu1_1": real}, {"relu1_1": maps(1, scale=9.0)})
    assert torch.equal(unchanged, real_scores)
    # Their own averages would hide that these are nine times as large.
    assert others.std() > 3 * real_scores.std()


def test_the_losses_are_hinges_of_the_scores_and_means_over_layers() -> None:
    scores = [(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])), (torch.tensor([0.0]), torch.tensor([1.5]))]
    assert discriminator_loss(scores).item() == pytest.approx(((0.25 + 0.5) + (1 + 2.5)) / 2)
    assert generator_loss(scores).item() == pytest.approx(((4 + 1) / 2 + 0) / 2)


def test_the_reader_is_the_network_and_belongs_to_no_model() -> None:
    reader = FeatureReader("vgg16")
    model: Any = nn.Module()
    model.reader = reader
    assert reader.network is None
    images = maps(2, channels=3, side=16) * 2 - 1
    found, expected = (read(images, ["relu2_1"])["relu2_1"] for read in (reader, VGG16Features()))
    assert torch.equal(found, expected)
    assert not model.state_dict()
    assert not list(model.children())
    assert reader(images.double(), ["relu2_1"])["relu2_1"].dtype == torch.float64
    assert found.shape[2] * stride_of("relu2_1") == 16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_precision_of_the_images_does_not_change_the_weights(dtype: torch.dtype) -> None:
    reader = FeatureReader("vgg16")
    weight = reader.load().get_buffer("conv2_1_weight").clone()
    images = maps(2, channels=3, side=16) * 2 - 1
    expected = reader(images, ["relu2_1"])["relu2_1"]
    reader(images.to(dtype), ["relu2_1"])
    assert torch.equal(reader(images, ["relu2_1"])["relu2_1"], expected)
    assert torch.equal(reader.load().get_buffer("conv2_1_weight"), weight)


@pytest.mark.parametrize("network", [optimizing_discriminator, feed_forward_discriminator])
def test_scores_in_mixed_precision_are_nearly_those_in_single(network: Any) -> None:
    torch.manual_seed(0)
    discriminator = MarkovianDiscriminator(["relu1_1"], 5, network)
    real, fake = {"relu1_1": maps(0)}, {"relu1_1": maps(1)}
    [exact] = discriminator(real, fake)
    with torch.autocast("cpu", torch.bfloat16):
        [mixed] = discriminator({"relu1_1": maps(0).bfloat16()}, {"relu1_1": maps(1).bfloat16()})
        discriminator_loss([mixed]).backward()
    for found, expected in zip(mixed, exact, strict=True):
        torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in discriminator.parameters())


def test_no_gradient_flows_through_the_averages_of_real_patches() -> None:
    """Through them, what is added to all real maps alike would be taken away again, and have none."""
    torch.manual_seed(0)
    discriminator = MarkovianDiscriminator(["relu1_1"], 5, optimizing_discriminator)
    first = discriminator["relu1_1"][1]
    [(real, _)] = discriminator({"relu1_1": maps(0)}, {"relu1_1": maps(1)})
    (gradient,) = torch.autograd.grad(real.sum(), first.bias)
    assert gradient.abs().min() > 1e-3


def test_layers_that_the_network_has_not_are_refused() -> None:
    FeatureReader("vgg16").check(["relu1_1", "relu4_3"])
    with pytest.raises(UsageError, match=r"model\.features=vgg16: vgg16_hed has no layer relu5_1"):
        FeatureReader("vgg16").check(["relu3_1", "relu5_1"])
