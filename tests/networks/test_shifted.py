"""Facts of shifted convolutions, their normalization and their cached forms."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from genlab.networks.shifted import (
    ByteDropout,
    PixelCache,
    RowCache,
    ShiftedConv2d,
    concat_elu,
    lengths,
    normalize_outputs,
    normalize_weights,
)


def of(layer: ShiftedConv2d, images: Tensor) -> Tensor:
    return layer(functional.pad(images, layer.margin))


def random_layer(kernel_size: tuple[int, int], stride: int = 1) -> ShiftedConv2d:
    torch.manual_seed(0)
    return ShiftedConv2d(3, 4, kernel_size, stride).double()


@pytest.mark.parametrize(
    ("kernel_size", "seen"),
    [
        ((2, 3), [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]),
        ((2, 2), [(1, 1), (1, 2), (2, 1), (2, 2)]),
        ((1, 3), [(2, 1), (2, 2), (2, 3)]),
        ((2, 1), [(1, 2), (2, 2)]),
    ],
)
def test_a_kernel_ends_in_the_row_of_the_pixel(kernel_size: tuple[int, int], seen: list[tuple[int, int]]) -> None:
    images = torch.zeros(1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    output = of(random_layer(kernel_size), images)
    assert output.shape == (1, 4, 5, 5)
    output[0, :, 2, 2].sum().backward()
    assert images.grad is not None
    assert [tuple(place) for place in images.grad[0].any(0).nonzero().tolist()] == seen


def test_concatenated_elu_is_that_of_x_and_of_minus_x_within_a_margin_of_zeros() -> None:
    features = torch.randn(2, 3, 4, 5)
    both = functional.elu(torch.cat([features, -features], 1))
    torch.testing.assert_close(concat_elu(features), both)
    torch.testing.assert_close(concat_elu(features, (1, 2, 3, 0)), functional.pad(both, (1, 2, 3, 0)))
    assert concat_elu(features).is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_of_concatenated_elu_is_right() -> None:
    features = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: concat_elu(x, (1, 1, 1, 0)), features)


def test_under_autocast_concatenated_elu_is_what_a_convolution_takes() -> None:
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        output = concat_elu(features)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == torch.float32
    torch.testing.assert_close(output.float(), concat_elu(features), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_leaves_out_a_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    output = ByteDropout(p)(torch.ones(8, 16, 30, 31))
    share = (output == 0).double().mean().item()
    assert share == pytest.approx(p, abs=1 / 512 + 0.005)
    assert output.mean().item() == pytest.approx(1, abs=0.02)
    assert output.unique().numel() == 2


def test_dropout_differs_from_feature_to_feature_and_is_nothing_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = ByteDropout(0.5)
    output = layer(torch.ones(1, 64, 16, 16))
    for shift in (1, 2, 8):
        for axis in (1, 2, 3):
            both = ((output > 0) & (output.roll(shift, axis) > 0)).double().mean().item()
            assert both == pytest.approx(0.25, abs=0.03)
    features = torch.randn(2, 4, 3, 3)
    assert layer.eval()(features) is features
    assert ByteDropout(0.0)(features) is features


def test_dropout_passes_the_gradient_of_what_it_keeps() -> None:
    features = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    output = ByteDropout(0.5)(features)
    output.sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad * features.detach(), output)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ELU(), nn.ConvTranspose2d(5, 6, 2, 2), nn.ELU(), ShiftedConv2d(6, 4, (2, 2), 1, 0.1)
    )
    normalize_weights(layers)
    return layers


def test_weights_have_a_direction_and_a_length_for_each_output_channel() -> None:
    """Reparametrized as g v / |v|: the length of v is of no account, and g is the length of the weights."""
    for layer, others in zip(network()[::2], ((1, 2, 3), (0, 2, 3), (1, 2, 3)), strict=True):
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        torch.testing.assert_close(torch.linalg.vector_norm(layer.weight, dim=others), torch.ones(layer.out_channels))
        before = layer.weight.detach().clone()
        direction = layer.parametrizations["weight"].original1
        assert direction.std().item() == pytest.approx(0.05, rel=0.3)
        direction.data.mul_(7)
        torch.testing.assert_close(layer.weight, before)
        lengths(layer).data.mul_(3)
        torch.testing.assert_close(layer.weight, 3 * before)
        assert layer.bias is not None
        assert not layer.bias.any()


def test_the_first_batch_makes_every_output_channel_of_mean_0_and_a_given_deviation() -> None:
    layers = network()
    images = torch.rand(16, 3, 8, 8) * 3 + 2
    normalize_outputs(layers, images)
    hidden = images
    for layer in layers:
        hidden = layer(hidden)
        if not isinstance(layer, nn.ELU):
            deviation = 0.1 if isinstance(layer, ShiftedConv2d) else 1.0
            torch.testing.assert_close(hidden.mean((0, 2, 3)), torch.zeros(hidden.shape[1]), atol=1e-5, rtol=0)
            found = hidden.std((0, 2, 3), correction=0)
            torch.testing.assert_close(found, torch.full_like(found, deviation), atol=1e-4, rtol=0)
    again = layers(images)
    assert torch.equal(layers(images), again)  # no hook is left behind


@pytest.mark.parametrize("width", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_rows_are_those_of_the_whole_image(width: int, stride: int) -> None:
    layer = random_layer((2, 3), stride)
    images = torch.randn(2, 3, 5, width, dtype=torch.float64)
    whole, cached = of(layer, images), RowCache(layer)
    for row in range(5):
        given = images[:, :, row : row + 1]
        if row % stride == 0:
            torch.testing.assert_close(cached(given)[:, :, 0], whole[:, :, row // stride])
        else:
            cached.write(given)


@pytest.mark.parametrize("width", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_pixels_are_those_of_the_whole_image(width: int, stride: int) -> None:
    layer, shortcut = random_layer((2, 2), stride), torch.randn(4, 5, dtype=torch.float64)
    images, further = torch.randn(2, 3, 5, width, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    constant, addend = torch.randn(2, 4).double(), torch.randn(2, -(-width // stride), 4).double()
    expected = (
        of(layer, images) + (further @ shortcut.T + constant)[..., None, None] + addend.transpose(1, 2)[:, :, None]
    )
    cached = PixelCache(layer, 2, width, shortcut, constant)
    for row in range(5):
        cached.start_row(addend)
        for column in range(width):
            pixel = images[:, :, row, column]
            if row % stride == column % stride == 0:
                found = cached(pixel, further)
                torch.testing.assert_close(found, expected[:, :, row // stride, column // stride])
            else:
                cached.write(pixel)
