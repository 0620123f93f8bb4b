"""LSTMs that run over an image line by line, all pixels of a line at once: Row LSTM and Diagonal BiLSTM.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, sections 3.1
and 3.2.
"""

from functools import cache
from itertools import chain
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from genlab.networks.masked import MaskedConv2d

Layer = Literal["row_lstm", "diagonal_bilstm"]


class Step(NamedTuple):
    """The pixels of a line, and the states that theirs are computed from."""

    pixels: slice
    """Places in the order of computation."""
    states: slice
    """Places of their states."""
    before: slice
    """Places of the states that their cells go on from."""
    taps: list[tuple[int, slice, slice]]
    """Tap of the convolution, those pixels of the line that it reaches a state for, and places of these states."""


class Order(NamedTuple):
    """In what order the pixels of an image get their states, and where each finds those before it.

    Initial states lie among the others, outside the image; the last place is a state of zeros that never changes.
    """

    steps: list[Step]
    num_states: int
    initial: Tensor
    """Places of the initial states."""
    pixels: Tensor
    """``(H * W,)``, the pixel at each place in the order of computation, counted in raster order."""
    states: Tensor
    """``(H * W,)``, the place of the state of each pixel in the order of computation."""
    sources: Tensor
    """``(taps, H * W)``, the place of the state that each tap reads for it."""


TAPS = {"row_lstm": ((-1, -1), (-1, 1), (-1, 0)), "diagonal_bilstm": ((-1, 0), (0, -1))}
"""Rows and columns from a pixel to the states that it reads; its cell goes on from the last of them."""


@cache
def order_of(layer: Layer, height: int, width: int) -> Order:
    """Row LSTM: row after row. Diagonal LSTM, from the left: row + column is the same for all pixels of a line."""
    rows, columns = range(height), range(width)
    if layer == "row_lstm":
        lines = [[(row, column) for column in columns] for row in range(-1, height)]
    else:
        sums = range(-1, height + width - 1)
        lines = [[(row, line - row) for row in rows if -1 <= line - row < width] for line in sums]
    places = {pixel: place for place, pixel in enumerate(chain.from_iterable(lines))}
    zeros = len(places)
    inside = [pixel for pixel in places if min(pixel) >= 0]
    sources = torch.tensor(
        [[places.get((row + down, column + right), zeros) for row, column in inside] for down, right in TAPS[layer]]
    )
    states = torch.tensor([places[pixel] for pixel in inside])
    steps, start = [], 0
    for line in lines[1:]:
        pixels = slice(start, start := start + sum(min(pixel) >= 0 for pixel in line))
        taps = []
        for tap, read in enumerate(sources[:, pixels]):
            reached = (read != zeros).nonzero().flatten()
            if len(reached):
                taps.append((tap, span(reached), span(read[reached])))
        steps.append(Step(pixels, span(states[pixels]), span(sources[-1, pixels]), taps))
    return Order(
        steps,
        zeros + 1,
        torch.tensor([place for pixel, place in places.items() if min(pixel) < 0]),
        torch.tensor([row * width + column for row, column in inside]),
        states,
        sources,
    )


def span(places: Tensor) -> slice:
    """Of places that lie side by side."""
    return slice(int(places[0]), int(places[-1]) + 1)


class Recurrence(torch.autograd.Function):
    """Hidden states of all pixels, line after line, and the gradients, computed by hand: several times as fast.

    Equation 3: of the gates o, f and i the sigmoid, of g the tanh; c = f * c before + i * g; h = o * tanh(c).

    Shapes:
        gates: ``(D, H * W, N, 4 * width)``, what the input and the bias add to o, f, i and g; D directions.
        weight: ``(D, taps, width, 4 * width)``, from the hidden states before.
        initial: ``(2, D, width)``, hidden and cell.
        result: ``(D, H * W, N, width)``.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, initial: Tensor, order: Order) -> Tensor:
        directions, _, num_images, _ = gates.shape
        width = weight.shape[2]
        gates = gates[:, order.pixels]
        hidden = initial[0, :, None, None].repeat(1, order.num_states, num_images, 1)
        cells = initial[1, :, None, None].repeat(1, order.num_states, num_images, 1)
        hidden[:, -1] = 0
        for step in order.steps:
            here = gates[:, step.pixels]
            for tap, reached, sources in step.taps:
                here[:, reached].flatten(1, 2).baddbmm_(hidden[:, sources].flatten(1, 2), weight[:, tap])
            here[..., : 3 * width].sigmoid_()
            here[..., 3 * width :].tanh_()
            output, forget, enter, candidate = here.chunk(4, -1)
            cell = torch.mul(forget, cells[:, step.before], out=cells[:, step.states]).addcmul_(enter, candidate)
            torch.tanh(cell, out=hidden[:, step.states]).mul_(output)
        ctx.save_for_backward(gates, hidden, cells, weight)
        ctx.order = order
        result = hidden.new_empty(directions, len(order.pixels), num_images, width)
        result[:, order.pixels] = hidden[:, order.states]
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gates, hidden, cells, weight = ctx.saved_tensors
        order: Order = ctx.order
        output, forget, enter, candidate = gates.chunk(4, -1)
        squashed = cells[:, order.states].tanh_()
        # Derivatives of h for o and c, and of c for f, i and g: before the nonlinearities, of all pixels at once.
        slopes = torch.stack(
            [
                squashed * output * (1 - output),
                cells[:, order.sources[-1]] * forget * (1 - forget),
                candidate * enter * (1 - enter),
                enter * (1 - candidate.square()),
            ],
            dim=-2,
        )
        of_cell = output * (1 - squashed.square_())
        hidden_gradient, cell_gradient = torch.zeros_like(hidden), torch.zeros_like(cells)
        hidden_gradient[:, order.states] = gradient[:, order.pixels]
        transposed = weight.transpose(2, 3)
        for step in reversed(order.steps):
            here = slopes[:, step.pixels]
            of_hidden = hidden_gradient[:, step.states]
            of_cells = cell_gradient[:, step.states].addcmul_(of_hidden, of_cell[:, step.pixels])
            here[..., 0, :].mul_(of_hidden)
            here[..., 1:, :].mul_(of_cells[..., None, :])
            torch.mul(of_cells, forget[:, step.pixels], out=cell_gradient[:, step.before])
            of_gates = here.flatten(3)
            for tap, reached, sources in step.taps:
                hidden_gradient[:, sources].flatten(1, 2).baddbmm_(
                    of_gates[:, reached].flatten(1, 2), transposed[:, tap]
                )
        gates_gradient = slopes.flatten(3)
        flat = gates_gradient.flatten(1, 2)
        weight_gradient = torch.stack(
            [hidden[:, sources].flatten(1, 2).transpose(1, 2) @ flat for sources in order.sources], dim=1
        )
        initial_gradient = torch.stack(
            [each[:, order.initial].sum((1, 2)) for each in (hidden_gradient, cell_gradient)]
        )
        result = torch.empty_like(gates_gradient)
        result[:, order.pixels] = gates_gradient
        return result, weight_gradient, initial_gradient, None


class PixelLSTM(nn.Module):
    """A Row LSTM, or a Diagonal LSTM from the left and one from the right; the output of the latter a row further down.

    Args:
        layer: ``row_lstm``: the input is convolved along the row with 3 taps, the states of the row above too.
            ``diagonal_bilstm``: the input goes through a 1x1 convolution, the states are those of the pixel to the left
            (or right) and above.
        width: h, the length of a state.
        num_colours: see ``MaskedConv2d``. Of an earlier pixel all colours are seen.
        context_channels: of a map that is added to the input of the gates at each pixel; it hides nothing.

    Shapes:
        features: ``(N, 2 * width, H, W)``.
        context: ``(N, context_channels, H, W)``.
        result: ``(N, width, H, W)``.
    """

    def __init__(self, layer: Layer, width: int, num_colours: int, context_channels: int = 0) -> None:
        super().__init__()
        self.layer: Layer = layer
        self.width = width
        directions, kernel = (1, (1, 3)) if layer == "row_lstm" else (2, (1, 1))
        parts = 4 * directions
        self.input_to_state = MaskedConv2d(2 * width, parts * width, kernel, "B", num_colours, parts)
        if context_channels:
            self.context_to_state = nn.Conv2d(context_channels, parts * width, 1, bias=False)
        taps = len(TAPS[layer])
        bound = (taps * width) ** -0.5
        self.state_to_state = nn.Parameter(torch.empty(directions, taps, width, 4 * width).uniform_(-bound, bound))
        self.initial_state = nn.Parameter(torch.zeros(2, directions, width))

    def forward(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        gates = self.input_to_state(features)
        if context is not None:
            gates = gates + self.context_to_state(context)
        gates = self.by_pixels(gates)
        directions, height, width = gates.shape[:3]
        if directions == 2:
            gates = torch.stack([gates[0], gates[1].flip(1)])
        order = order_of(self.layer, height, width)
        hidden = Recurrence.apply(gates.flatten(1, 2), self.state_to_state, self.initial_state, order)
        rows = hidden.unflatten(1, (height, width))
        result = rows[0]
        if directions == 2:
            result = torch.cat([result[:1], result[1:] + rows[1, :-1].flip(1)])
        return result.permute(2, 3, 0, 1)

    def by_pixels(self, gates: Tensor) -> Tensor:
        """``(N, D * 4 * width, H, W)`` -> ``(D, H, W, N, 4 * width)``, in the precision of the states."""
        return gates.to(self.initial_state.dtype).unflatten(1, (-1, 4 * self.width)).permute(1, 3, 4, 0, 2)
