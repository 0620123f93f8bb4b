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


class ImagesWithAttributes(NamedTuple):
    """Images with some binary attributes each, any number of which may hold.

    Shapes:
        images: ``(N, C, H, W)`` float32 in [-1, 1].
        attributes: ``(N, A)`` float32, 0 or 1.
    """

    images: Tensor
    attributes: Tensor


class Vectors(NamedTuple):
    """Rows of a table.

    Shapes:
        vectors: ``(N, D)`` float32.
    """

    vectors: Tensor


class Text(NamedTuple):
    """Pieces of one long text, by the numbers of their characters or words.

    Shapes:
        tokens: ``(N, T)`` int64 in [0, vocabulary_size); 0 is what the vocabulary has not.
    """

    tokens: Tensor


class UnpairedImages(NamedTuple):
    """Images of two domains; those in one place have nothing to do with each other.

    Shapes:
        first, second: ``(N, C, H, W)`` float32 in [-1, 1].
    """

    first: Tensor
    second: Tensor


class LabelledUnpairedImages(NamedTuple):
    """Images of two domains without pairs, of which the first has classes.

    Shapes:
        first, second: ``(N, C, H, W)`` float32 in [-1, 1].
        labels: ``(N,)`` int64 in [0, num_classes), of the first.
    """

    first: Tensor
    labels: Tensor
    second: Tensor


class PairedImages(NamedTuple):
    """Images and what each shall become.

    Shapes:
        source, target: ``(N, C, H, W)`` float32 in [-1, 1].
    """

    source: Tensor
    target: Tensor


Images = LabelledImages | ImagesWithAttributes
"""Batches of one set of images, ``images``, whatever else is known of them."""
