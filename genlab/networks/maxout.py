"""Maxout layers.

Goodfellow, Warde-Farley, Mirza, Courville & Bengio, "Maxout Networks", ICML 2013, arXiv:1302.4389.
"""

from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of ``num_pieces`` linear functions, for each unit (section 3).

    Shapes: ``(N, inputs)`` -> ``(N, outputs)``.
    """

    def __init__(self, inputs: int, outputs: int, num_pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * num_pieces)
        self.num_pieces = num_pieces

    def forward(self, values: Tensor) -> Tensor:
        return self.linear(values).unflatten(1, (-1, self.num_pieces)).amax(2)
