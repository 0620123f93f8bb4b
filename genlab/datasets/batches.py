"""What models eat: the typed batches between data sets and models."""

from typing import NamedTuple

from torch import Tensor


class LabelledImages(NamedTuple):
    """Images with a class each.

    Shapes:
        images: ``(N, C, H, W)`` float32 in [-1, 1].
        labels: ``(N,)`` int64 in [0, num_classes).
    """

    images: Tensor
    labels: Tensor


class Vectors(NamedTuple):
    """Rows of a table.

    Shapes:
        vectors: ``(N, D)`` float32.
    """

    vectors: Tensor
