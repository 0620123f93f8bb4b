"""Two sets of images as one source: pairs, or two domains without any."""

import torch

from genlab.datasets.batches import LabelledImages, PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen, Source, mixed_seed


class Paired:
    """What stands in one place belongs together; both sources are to crop and flip alike, by the same seed."""

    def __init__(self, source: Source, target: Source) -> None:
        if len(source) != len(target):
            raise ValueError(f"{len(source)} sources and {len(target)} targets are no pairs")
        self.source = source
        self.target = target

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, chosen: Chosen) -> PairedImages:
        return PairedImages(images_of(self.source, chosen), images_of(self.target, chosen))


class Unpaired:
    """As many items as the larger domain; in training, images of the second meet others of the first in each epoch.

    The smaller domain is gone through again from its start, so that its images are seen about equally often.

    Args:
        seed: of which meet; in evaluation those in one place do.
    """

    def __init__(self, first: Source, second: Source, seed: int) -> None:
        self.first = first
        self.second = second
        self.seed = seed
        self._order = (-1, torch.arange(len(self)))

    def __len__(self) -> int:
        return max(len(self.first), len(self.second))

    def __getitems__(self, chosen: Chosen) -> UnpairedImages:
        others = chosen.items if chosen.epoch < 0 else self._met(chosen.epoch)[chosen.items]
        first = Chosen(chosen.epoch, chosen.items % len(self.first))
        second = Chosen(chosen.epoch, others % len(self.second))
        return UnpairedImages(images_of(self.first, first), images_of(self.second, second))

    def _met(self, epoch: int) -> torch.Tensor:
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, "second domain", epoch))
            self._order = (epoch, torch.randperm(len(self), generator=generator))
        return self._order[1]


def images_of(source: Source, chosen: Chosen) -> torch.Tensor:
    """``(N, C, H, W)`` in [-1, 1]."""
    batch = source.__getitems__(chosen)
    assert isinstance(batch, LabelledImages)
    return batch.images
