"""Bags and shoes of Fashion-MNIST in random colours: two domains without pairs, which have colour in common."""

import io

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import Dataset, held_out
from genlab.datasets.batches import UnpairedImages
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import ImagesInMemory, fit
from genlab.datasets.loader import Source, mixed_seed
from genlab.datasets.pairs import Unpaired

FILE = "fashion_mnist.npz"

BAGS, SHOES = (8,), (5, 7, 9)
"""Labels of Fashion-MNIST: bag; sandal, sneaker, ankle boot."""


def hues(size: int, split: str) -> Tensor:
    """The hue of each image of a split of Fashion-MNIST by its number, ``(size,)`` in [0, 1): the same in every run."""
    return torch.rand(size, generator=torch.Generator().manual_seed(mixed_seed("hue", split)))


def saturated(hue: Tensor) -> Tensor:
    """The colour of full saturation and value; its largest part is 1 and its smallest 0.

    Shapes: ``(N,)`` in [0, 1) -> ``(N, 3)`` in [0, 1].
    """
    # each part falls from 1 to 0 between a sixth and a third of the circle away from its own hue
    distance = (hue[:, None] - torch.tensor([0.0, 1 / 3, 2 / 3]) + 0.5).remainder(1).sub(0.5).abs()
    return (2 - 6 * distance).clamp(0, 1)


def coloured(images: Tensor, hue: Tensor) -> Tensor:
    """White strokes become strokes of a colour on black; the largest of the three channels is the image as it was.

    Shapes: ``(N, 1, H, W)`` uint8, ``(N,)`` in [0, 1) -> ``(N, 3, H, W)`` uint8.
    """
    return (images.float() * saturated(hue)[:, :, None, None]).round().byte()


class BagsAndShoes(Dataset):
    """1,200 + 200 bags and 3,600 + 600 shoes, sandals and boots; nobody has said which would be counterparts.

    Args:
        data_shape: larger than 28x28 adds a border of black, smaller averages areas; three channels.
        batch_size: images of each domain.
        num_validation: images of each domain.
    """

    batch_type = UnpairedImages
    features = "fashion"

    def __init__(
        self,
        name: str,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        if data_shape[0] != 3:
            raise ValueError(f"data_shape {list(data_shape)} has {data_shape[0]} channels; colours need 3")
        self.shape = data_shape

    def load(self) -> dict[str, Source]:
        with np.load(io.BytesIO(asset(FILE))) as arrays:
            domains: list[dict[str, ImagesInMemory]] = []
            for classes in (BAGS, SHOES):
                train, test = (
                    self._domain(arrays[f"{split}_images"], arrays[f"{split}_labels"], classes, split)
                    for split in ("train", "test")
                )
                kept, validation, _ = held_out(len(train), self.num_validation, 0, self.name)
                domains.append(
                    {
                        "train": ImagesInMemory(train.images[kept], train.labels[kept]),
                        "validation": ImagesInMemory(train.images[validation], train.labels[validation]),
                        "test": test,
                    }
                )
        bags, shoes = domains
        return {split: Unpaired(bags[split], shoes[split], self.seed) for split in bags if len(bags[split])}

    def _domain(self, images: np.ndarray, labels: np.ndarray, classes: tuple[int, ...], split: str) -> ImagesInMemory:
        fitted, _ = fit(torch.from_numpy(images), 255, (1, *self.shape[1:]), "pad")
        chosen = torch.from_numpy(np.flatnonzero(np.isin(labels, classes)))
        colours = hues(len(images), split)[chosen]
        return ImagesInMemory(coloured(fitted[chosen], colours), torch.from_numpy(labels).long()[chosen])

    def digest(self) -> str:
        """The file's own SHA-256, which ``load`` has verified; the colours follow from it."""
        return index()[FILE]["sha256"]
