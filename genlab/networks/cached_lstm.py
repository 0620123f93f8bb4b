"""The LSTMs of PixelRNN computed pixel by pixel, in raster order: each state once, and in it each colour once."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import functional

from genlab.networks.masked import CachedConvolution, colour_of_channels
from genlab.networks.pixel_lstm import TAPS, PixelLSTM, Recurrence, order_of


def cached_lstms(
    layers: Sequence[PixelLSTM], inputs: Sequence[CachedConvolution], height: int, context: Tensor | None
) -> tuple[Sequence["CachedRowLSTM | CachedDiagonalBiLSTM"], list["CachedFromRight"]]:
    """The layers, and what else has to know that a row begins.

    Args:
        layers: all of one kind. Their weights are read once, so they must not change in the meantime.
        inputs: the input-to-state convolution of each.
        height: H.
        context: ``(N, context_channels, H, W)``.
    """
    contexts = [from_context(layer, height, context) for layer in layers]
    if layers[0].layer == "row_lstm":
        return [CachedRowLSTM(*parts) for parts in zip(layers, inputs, contexts, strict=True)], []
    from_right = CachedFromRight(layers, inputs[0].shape, torch.stack([each[1] for each in contexts]))
    rows = enumerate(zip(layers, inputs, contexts, strict=True))
    return [CachedDiagonalBiLSTM(*parts, from_right, place) for place, parts in rows], [from_right]


def from_context(layer: PixelLSTM, height: int, context: Tensor | None) -> Tensor:
    """What the context adds to the gates, ``(D, H, W, N, 4 * width)``; without one, zeros that are broadcast to it."""
    if context is None:
        return layer.initial_state.new_zeros(layer.initial_state.shape[1], height, 1, 1, 1)
    return layer.by_pixels(layer.context_to_state(context))


def runs(num_channels: int, num_colours: int) -> list[slice]:
    """The channels of each colour, where they are not divided into parts."""
    counts = torch.bincount(colour_of_channels(num_channels, num_colours), minlength=num_colours)
    return [slice(*ends) for ends in pairwise(accumulate(counts.tolist(), initial=0))]


def advanced(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden state and cell ``(N, channels)`` from ``(N, 4, channels)`` and the cell before."""
    output, forget, enter = gates[:, :3].sigmoid().unbind(1)
    cell = forget * cell + enter * gates[:, 3].tanh()
    return output * cell.tanh(), cell


class CachedRowLSTM:
    """A Row LSTM; what the row above and the context add to the gates is computed for a whole row at its start.

    Args:
        layer: its weights are read once, so they must not change in the meantime.
        input_to_state: of the layer.
        context: see ``from_context``.
    """

    def __init__(self, layer: PixelLSTM, input_to_state: CachedConvolution, context: Tensor) -> None:
        self.weight = layer.state_to_state[0]
        self.input_to_state = input_to_state
        self.context = context[0]
        self.channels = runs(layer.width, input_to_state.layer.num_colours)
        num_images, width, _ = input_to_state.shape
        # Of the row in work, and before the first one of the row above it: (W, N, width).
        self.hidden, self.cells = layer.initial_state[:, 0, None, None].expand(-1, width, num_images, -1)

    def start_row(self, row: int) -> None:
        """The row in work is complete: begins the next one."""
        bordered = functional.pad(self.hidden, (0, 0, 0, 0, 1, 1))
        gates = self.context[row]
        for (_, right), weight in zip(TAPS["row_lstm"], self.weight, strict=True):
            gates = gates + bordered[1 + right :][: len(self.hidden)] @ weight
        self.from_above = gates.unflatten(2, (4, -1))
        self.cells_above = self.cells
        self.hidden, self.cells = torch.empty_like(self.hidden), torch.empty_like(self.cells)

    def __call__(self, features: Tensor, column: int, colour: int) -> Tensor:
        """The state ``(N, channels of the colour)`` of a pixel of the row in work, from its features."""
        channels = self.channels[colour]
        gates = self.input_to_state(features, column, colour).unflatten(1, (4, -1))
        gates = gates + self.from_above[column, :, :, channels]
        hidden, cell = advanced(gates, self.cells_above[column, :, channels])
        self.hidden[column, :, channels], self.cells[column, :, channels] = hidden, cell
        return hidden


class CachedFromRight:
    """The Diagonal LSTMs from the right of all layers: as soon as a row is complete they run over it, side by side.

    Args:
        layers: all of one width.
        shape: N, W and whatever else.
        context: of each layer, ``(L, H, W, N, 4 * width)``, see ``from_context``.
    """

    def __init__(self, layers: Sequence[PixelLSTM], shape: tuple[int, ...], context: Tensor) -> None:
        self.weight = torch.stack([layer.state_to_state[1] for layer in layers])
        self.initial_state = torch.stack([layer.initial_state[:, 1] for layer in layers], dim=1)
        self.context = context
        num_images, self.width = shape[:2]
        hidden_shape = (len(layers), self.width, num_images, layers[0].width)
        self.gates = self.weight.new_zeros(*hidden_shape[:3], 4, hidden_shape[3])
        """``(L, W, N, 4, width)``, what the inputs of the row in work add to them."""
        self.hidden = self.weight.new_zeros(hidden_shape)
        """``(L, W, N, width)``, of the row above."""

    def start_row(self, row: int) -> None:
        if row == 0:
            return
        gates = self.gates.flatten(3) + self.context[:, row - 1]
        gates = gates + (self.hidden.flatten(1, 2) @ self.weight[:, 0]).view_as(gates)
        # A row alone has no states above it.
        order = order_of("diagonal_bilstm", 1, self.width)
        self.hidden = Recurrence.apply(gates.flip(1), self.weight, self.initial_state, order).flip(1)


class CachedDiagonalBiLSTM:
    """A Diagonal LSTM from the left, pixel by pixel, to which one from the right is added, from the row above.

    Args:
        layer: its weights are read once, so they must not change in the meantime.
        input_to_state: of the layer.
        context: see ``from_context``.
        from_right: of all layers.
        place: of this layer among them.
    """

    def __init__(
        self,
        layer: PixelLSTM,
        input_to_state: CachedConvolution,
        context: Tensor,
        from_right: CachedFromRight,
        place: int,
    ) -> None:
        self.weight_above, self.weight_left = layer.state_to_state[0]
        self.input_to_state = input_to_state
        self.context = context[0]
        self.from_right = from_right
        self.place = place
        self.channels = runs(layer.width, input_to_state.layer.num_colours)
        num_images, width, _ = input_to_state.shape
        # Of the row in work, and before that of the row above it, after the initial state: (W + 1, N, width).
        self.hidden, self.cells = layer.initial_state.new_zeros(2, width + 1, num_images, layer.width)
        self.hidden[0], self.cells[0] = layer.initial_state[:, 0]

    def start_row(self, row: int) -> None:
        """The row in work is complete: begins the next one."""
        self.from_above = self.hidden[1:] @ self.weight_above + self.context[row]

    def __call__(self, features: Tensor, column: int, colour: int) -> Tensor:
        """What the layer gives for a pixel of the row in work, ``(N, channels of the colour)``, from its features."""
        if colour == 0:
            from_states = torch.addmm(self.from_above[column], self.hidden[column], self.weight_left)
            self.from_states = from_states.unflatten(1, (4, -1))
        channels = self.channels[colour]
        left, right = self.input_to_state(features, column, colour).unflatten(1, (2, 4, -1)).unbind(1)
        self.from_right.gates[self.place, column, :, :, channels] = right
        hidden, cell = advanced(left + self.from_states[:, :, channels], self.cells[column, :, channels])
        self.hidden[column + 1, :, channels], self.cells[column + 1, :, channels] = hidden, cell
        return hidden + self.from_right.hidden[self.place, column, :, channels]
