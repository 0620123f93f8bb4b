"""What a model may want to know of its training data before the first step."""

import torch
from torch import Tensor

from genlab.datasets.loader import Chosen, Source

SEEN = 10_000
"""Items that are enough to know a mean by; a data set on disk need not be read whole."""


def mean_image(source: Source) -> Tensor:
    """The mean of all images, or of some drawn from torch's generator, which all processes have seeded alike.

    Returns:
        ``(C, H, W)`` in [-1, 1].
    """
    chosen = torch.randperm(len(source))[:SEEN].sort().values
    total = sum(source.__getitems__(Chosen(-1, items)).images.double().sum(0) for items in chosen.split(1000))
    return (total / len(chosen)).float()
