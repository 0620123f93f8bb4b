"""Facts of the LSTMs that run over an image line by line, against loops over pixels and numeric gradients."""

import pytest
import torch
from torch import Tensor

from genlab.networks.pixel_lstm import Layer, PixelLSTM, Recurrence, order_of

LAYERS: tuple[Layer, ...] = ("row_lstm", "diagonal_bilstm")
SIZES = [(3, 4), (4, 3), (1, 3), (3, 1), (1, 1)]


def small(layer: Layer, width: int = 2, num_colours: int = 1, context_channels: int = 0) -> PixelLSTM:
    torch.manual_seed(0)
    lstm = PixelLSTM(layer, width, num_colours, context_channels).double()
    for weight in lstm.parameters():
        torch.nn.init.normal_(weight)
    return lstm


def cell_of(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 3."""
    output, forget, enter, candidate = gates.chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
    return output.sigmoid() * cell.tanh(), cell


def by_rows(states: dict[tuple[int, int], tuple[Tensor, Tensor]], height: int, width: int) -> Tensor:
    """Hidden states, ``(N, C, H, W)``."""
    rows = [torch.stack([states[row, column][0] for column in range(width)], -1) for row in range(height)]
    return torch.stack(rows, -2)


def row_lstm(lstm: PixelLSTM, gates: Tensor) -> Tensor:
    """Pixel by pixel, of gates ``(N, 4 * width, H, W)``."""
    (from_left, from_right, from_above), (hidden0, cell0) = lstm.state_to_state[0], lstm.initial_state[:, 0]
    _, _, height, width = gates.shape
    states = {(-1, column): (hidden0, cell0) for column in range(width)}
    nothing = (torch.zeros_like(hidden0), cell0)
    for row in range(height):
        for column in range(width):
            above = [states.get((row - 1, column + right), nothing)[0] for right in (-1, 0, 1)]
            added = above[0] @ from_left + above[1] @ from_above + above[2] @ from_right
            states[row, column] = cell_of(gates[:, :, row, column] + added, states[row - 1, column][1])
    return by_rows(states, height, width)


def diagonal_lstm(lstm: PixelLSTM, gates: Tensor, direction: int) -> Tensor:
    """From the left, pixel by pixel."""
    (from_above, from_left), (hidden0, cell0) = lstm.state_to_state[direction], lstm.initial_state[:, direction]
    _, _, height, width = gates.shape
    states = {(row, -1): (hidden0, cell0) for row in range(height)}
    states |= {(-1, column): (torch.zeros_like(hidden0), cell0) for column in range(width)}
    for row in range(height):
        for column in range(width):
            left, cell = states[row, column - 1]
            added = states[row - 1, column][0] @ from_above + left @ from_left
            states[row, column] = cell_of(gates[:, :, row, column] + added, cell)
    return by_rows(states, height, width)


@pytest.mark.parametrize(("height", "width"), SIZES)
@torch.no_grad()
def test_a_row_lstm_is_a_convolutional_lstm_down_the_rows(height: int, width: int) -> None:
    lstm = small("row_lstm")
    features = torch.randn(2, 4, height, width, dtype=torch.float64)
    torch.testing.assert_close(lstm(features), row_lstm(lstm, lstm.input_to_state(features)))


@pytest.mark.parametrize(("height", "width"), SIZES)
@torch.no_grad()
def test_a_diagonal_bilstm_adds_the_mirrored_one_a_row_further_down(height: int, width: int) -> None:
    lstm = small("diagonal_bilstm")
    features = torch.randn(2, 4, height, width, dtype=torch.float64)
    from_left, from_right = lstm.input_to_state(features).chunk(2, 1)
    expected = diagonal_lstm(lstm, from_left, 0)
    expected[:, :, 1:] += diagonal_lstm(lstm, from_right.flip(3), 1).flip(3)[:, :, :-1]
    torch.testing.assert_close(lstm(features), expected)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gradients_computed_by_hand_are_right(layer: Layer, height: int, width: int) -> None:
    lstm = small(layer)
    gates = torch.randn(lstm.initial_state.shape[1], height * width, 2, 8, dtype=torch.float64, requires_grad=True)
    inputs = (gates, lstm.state_to_state, lstm.initial_state)
    assert torch.autograd.gradcheck(lambda *inputs: Recurrence.apply(*inputs, order_of(layer, height, width)), inputs)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("height", "width"), [*SIZES, (5, 8)])
def test_steps_read_the_states_that_each_pixel_has_by_itself(layer: Layer, height: int, width: int) -> None:
    order = order_of(layer, height, width)
    assert len(order.steps) == (height if layer == "row_lstm" else height + width - 1)
    assert sorted(order.pixels.tolist()) == list(range(height * width))
    read = torch.full_like(order.sources, order.num_states - 1)  # the state of zeros
    for step in order.steps:
        places = torch.arange(order.num_states)
        assert torch.equal(places[step.states], order.states[step.pixels])
        assert torch.equal(places[step.before], order.sources[-1, step.pixels])
        for tap, reached, sources in step.taps:
            read[tap, step.pixels][reached] = places[sources]
    assert torch.equal(read, order.sources)


@torch.no_grad()
def test_a_context_is_added_to_the_gates_and_hides_nothing() -> None:
    for layer in LAYERS:
        lstm = small(layer, context_channels=3)
        features, context = torch.randn(2, 4, 3, 4, dtype=torch.float64), torch.randn(2, 3, 3, 4, dtype=torch.float64)
        plain = PixelLSTM(layer, 2, 1).double()
        plain.load_state_dict({name: lstm.state_dict()[name] for name in plain.state_dict()})
        assert torch.equal(lstm(features), plain(features))
        gates = lstm.input_to_state(features) + torch.einsum(
            "oc,nchw->nohw", lstm.context_to_state.weight[:, :, 0, 0], context
        )
        expected = row_lstm(lstm, gates) if layer == "row_lstm" else diagonal_lstm(lstm, gates[:, :8], 0)
        where = slice(None) if layer == "row_lstm" else slice(0, 1)  # the row that nothing comes to from the right
        torch.testing.assert_close(lstm(features, context)[:, :, where], expected[:, :, where])
