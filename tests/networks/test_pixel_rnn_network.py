"""Facts of PixelRNN's network: its size, and that pixel by pixel it is the same."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from genlab.networks.masked import CachedConvolution
from genlab.networks.pixel_lstm import Layer, Recurrence
from genlab.networks.pixel_rnn import PixelRNNNetwork

LAYERS: tuple[Layer, ...] = ("row_lstm", "diagonal_bilstm")


def small(layer: Layer, num_colours: int, context_channels: int = 0) -> PixelRNNNetwork:
    torch.manual_seed(0)
    network = PixelRNNNetwork(num_colours, 2 * num_colours, 6, 2, layer, 5, 6, True, context_channels)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return network.double()


def size(network: PixelRNNNetwork) -> int:
    named = network.named_parameters()
    return sum(weight.numel() for name, weight in named if not name.endswith("initial_state"))


def test_sizes_of_the_papers_networks_without_initial_states() -> None:
    assert size(PixelRNNNetwork(3, 768, 128, 12, "row_lstm", 7, 1024, False)) == 9_618_176
    assert size(PixelRNNNetwork(3, 768, 128, 12, "diagonal_bilstm", 7, 1024, False)) == 8_837_888
    assert size(PixelRNNNetwork(1, 1, 16, 7, "diagonal_bilstm", 7, 32, False)) == 65_793
    assert size(PixelRNNNetwork(1, 1, 32, 1, "diagonal_bilstm", 7, 32, False)) == 41_505


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 3), (1, 1, 4), (3, 4, 1)])
@pytest.mark.parametrize("context_channels", [0, 2])
@torch.no_grad()
def test_pixel_by_pixel_it_is_the_same(layer: Layer, shape: tuple[int, int, int], context_channels: int) -> None:
    network = small(layer, shape[0], context_channels)
    images = torch.randn(2, *shape, dtype=torch.float64)
    context = torch.randn(2, 2, *shape[1:], dtype=torch.float64) if context_channels else None
    whole = network(images, context).unflatten(1, (shape[0], 2))
    drawn = torch.full_like(images, torch.nan)
    for row, column, colours, result in network.pixel_by_pixel(drawn, context):
        torch.testing.assert_close(result, whole[:, colours.start, :, row, column], msg=f"{row} {column} {colours}")
        drawn[:, colours, row, column] = images[:, colours, row, column]
    assert torch.equal(drawn, images)


@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_each_position_is_computed_once(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = small(layer, 3), torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    read, rows, original = Counter[CachedConvolution](), [], CachedConvolution.read

    def spy(self: CachedConvolution, column: int, colour: int = 0) -> Tensor:
        read[self] += 1
        return original(self, column, colour)

    monkeypatch.setattr(CachedConvolution, "read", spy)
    monkeypatch.setattr(Recurrence, "apply", lambda gates, *others: rows.append(gates.shape[:2]) or gates[..., :6])
    for _ in network.pixel_by_pixel(images):
        pass
    assert len(read) == 1 + 2 * 3 + 3
    assert set(read.values()) == {3 * 4 * 5}
    # From the right: both layers at once over each row but the last, which nothing comes after.
    assert rows == ([] if layer == "row_lstm" else [(2, 5)] * 3)
