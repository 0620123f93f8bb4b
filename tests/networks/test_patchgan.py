"""Facts of Isola et al.'s discriminator of patches."""

import pytest
import torch
from torch import nn

from genlab.networks.patchgan import PatchGAN


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_parameters_of_the_authors_networks() -> None:
    assert count(PatchGAN(6, 64, 3, "batch")) == 2_768_705
    assert count(PatchGAN(6, 64, 1, "batch")) == 139_585
    assert count(PatchGAN(6, 64, 2, "batch")) == 666_433
    assert count(PatchGAN(6, 64, 5, "batch")) == 11_159_361
    assert count(PatchGAN(3, 64, 3, "instance")) == 2_764_737
    assert count(PatchGAN(6, 64, 3, "instance")) == 2_767_809


def test_thirty_scores_a_side_of_an_image_of_256() -> None:
    assert PatchGAN(3, 2, 3, "none")(torch.zeros(2, 3, 256, 256)).shape == (2, 1, 30, 30)


@pytest.mark.parametrize(("num_layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_sees_a_patch_of_the_size_in_the_paper(num_layers: int, patch: int) -> None:
    images = torch.rand(1, 1, 192, 192, requires_grad=True)
    scores = PatchGAN(1, 2, num_layers, "none")(images)
    middle = scores.shape[2] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], images)
    rows, columns = gradient[0, 0].nonzero().unbind(1)
    assert int(rows.max() - rows.min()) + 1 == patch
    assert int(columns.max() - columns.min()) + 1 == patch


def test_batches_are_normalized_by_themselves_at_test_time_too() -> None:
    network, images = PatchGAN(1, 4, 2, "batch"), torch.rand(4, 1, 32, 32)
    assert torch.equal(network.train()(images), network.eval()(images))


def test_features_end_in_the_scores() -> None:
    network, images = PatchGAN(1, 4, 2, "instance", padding=2), torch.rand(1, 1, 32, 32)
    features = network.features(images)
    assert [maps.shape[1] for maps in features] == [4, 8, 16, 1]
    assert torch.equal(features[-1], network(images))
