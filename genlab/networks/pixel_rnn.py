"""The network of PixelRNN, and the same network computed pixel by pixel.

Van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016, arXiv:1601.06759, sections 3.3
and 4.
"""

from collections.abc import Iterator
from itertools import pairwise, zip_longest

from torch import Tensor, nn

from genlab.networks.cached_lstm import cached_lstms
from genlab.networks.masked import CachedConvolution, MaskedConv2d, in_full
from genlab.networks.pixel_lstm import Layer, PixelLSTM


class PixelRNNNetwork(nn.Module):
    """A masked convolution, LSTM layers with residual connections, and hidden layers for each pixel.

    Args:
        num_colours: C.
        num_outputs: for each pixel, of all colours.
        width: h, the length of a state and half the channels between layers.
        num_layers: of LSTMs.
        layer: see ``PixelLSTM``.
        first_kernel: side of the first convolution.
        head_width: channels of the last two hidden layers.
        skip: whether each LSTM also adds to what the last hidden layers get.
        context_channels: of the context, if there is any.

    Shapes:
        images: ``(N, C, H, W)``.
        context: ``(N, context_channels, H, W)``, of which all pixels may see everything.
        result: ``(N, num_outputs, H, W)``.
    """

    def __init__(
        self,
        num_colours: int,
        num_outputs: int,
        width: int,
        num_layers: int,
        layer: Layer,
        first_kernel: int,
        head_width: int,
        skip: bool,
        context_channels: int = 0,
    ) -> None:
        super().__init__()
        self.first = MaskedConv2d(num_colours, 2 * width, first_kernel, "A", num_colours)
        self.layers = nn.ModuleList(PixelLSTM(layer, width, num_colours, context_channels) for _ in range(num_layers))
        self.restore = nn.ModuleList(MaskedConv2d(width, 2 * width, 1, "B", num_colours) for _ in range(num_layers))
        self.skip = nn.ModuleList(
            MaskedConv2d(width, 2 * width, 1, "B", num_colours) for _ in range(num_layers if skip else 0)
        )
        widths = (2 * width, head_width, head_width, num_outputs)
        self.head = nn.ModuleList(
            MaskedConv2d(before, after, 1, "B", num_colours) for before, after in pairwise(widths)
        )

    def forward(self, images: Tensor, context: Tensor | None = None) -> Tensor:
        features = self.first(images).to(images.dtype)  # sums of residuals stay float32 under autocast
        skipped = []
        for layer, restore, skip in zip_longest(self.layers, self.restore, self.skip):
            hidden = layer(features, context)
            features = features + restore(hidden)
            if skip is not None:
                skipped.append(skip(hidden))
        features = sum(skipped, features)
        *hidden_layers, last = self.head
        for convolution in hidden_layers:
            features = convolution(features.relu())
        return in_full(last, features.relu())

    def pixel_by_pixel(self, images: Tensor, context: Tensor | None = None) -> Iterator[tuple[int, int, slice, Tensor]]:
        """The same for each pixel and colour in turn: row, column, colour and ``(N, num_outputs / C)``.

        Before it goes on, the pixel must have been put into images; none is read before its turn is over.
        """
        num_images, num_colours, height, width = images.shape
        convolutions = [layer for layer in self.modules() if isinstance(layer, MaskedConv2d)]
        cached: dict[nn.Module, CachedConvolution] = {
            layer: CachedConvolution(layer, num_images, width) for layer in convolutions
        }
        first, head = cached[self.first], [cached[layer] for layer in self.head]
        plain_lstms = [layer for layer in self.layers if isinstance(layer, PixelLSTM)]
        inputs = [cached[layer.input_to_state] for layer in plain_lstms]
        lstms, others = cached_lstms(plain_lstms, inputs, height, context)
        after = ([cached[layer] for layer in group] for group in (self.restore, self.skip))
        layers = list(zip_longest(lstms, *after))
        for row in range(height):
            for convolution in cached.values():
                convolution.start_row()
            for each in [*lstms, *others]:
                each.start_row(row)
            for column in range(width):
                for colour in range(num_colours):
                    features = first.read(column, colour)
                    skipped = []
                    for lstm, restore, skip in layers:
                        hidden = lstm(features, column, colour)
                        features = features + restore(hidden, column, colour)
                        if skip is not None:
                            skipped.append(skip(hidden, column, colour))
                    features = sum(skipped, features)
                    for convolution in head:
                        features = convolution(features.relu(), column, colour)
                    colours = slice(colour, colour + 1)
                    yield row, column, colours, features
                    first.write(images[:, colours, row, column], column, colour)
