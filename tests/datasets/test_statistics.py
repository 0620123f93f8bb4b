"""The mean image."""

import torch
from torch import Tensor

from genlab.datasets import statistics
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen
from genlab.datasets.statistics import mean_image


class Images:
    """Given images; notes which were read."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        self.read += chosen.items.tolist()
        return LabelledImages(self.images[chosen.items], chosen.items)


def test_it_is_the_mean_of_all_images_of_a_small_set() -> None:
    images = torch.rand(2345, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(mean_image(Images(images)), images.mean(0), rtol=0, atol=1e-6)


def test_of_a_large_set_each_of_some_images_is_read_once() -> None:
    source = Images(torch.ones(statistics.SEEN + 3000, 1, 1, 1))
    assert mean_image(source).item() == 1
    assert len(set(source.read)) == len(source.read) == statistics.SEEN
    assert max(source.read) > statistics.SEEN
