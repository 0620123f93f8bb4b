"""An embedded set and its negative or edge map as two domains without pairs."""

from typing import Any, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.nn import functional

from genlab.datasets.batches import UnpairedImages
from genlab.datasets.embedded import Embedded
from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Chosen, Source

Rule = Literal["negative", "edges"]


def transformed(images: Tensor, rule: Rule) -> Tensor:
    """The image of the second domain that would be the pair of one of the first.

    ``negative`` turns black into white; ``edges`` is white where an image of 0 and 1 differs from its erosion by 3x3
    pixels, so that strokes become their outlines.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> the same.
    """
    if rule == "negative":
        return -images
    white = (images > 0).float()
    eroded = -functional.max_pool2d(-functional.pad(white, (1, 1, 1, 1)), 3, stride=1)
    return (white - eroded) * 2 - 1


class Halves:
    """The first half of the images as they are, the second transformed: no image is in both domains."""

    def __init__(self, source: ImagesInMemory, rule: Rule) -> None:
        self.source = source
        self.rule: Rule = rule
        self.size = len(source) // 2

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, chosen: Chosen) -> UnpairedImages:
        others = Chosen(chosen.epoch, chosen.items + self.size)
        first, second = self.source.__getitems__(chosen).images, self.source.__getitems__(others).images
        return UnpairedImages(first, transformed(second, self.rule))


class TwoDomains(Embedded):
    """Two domains of one embedded set, from disjoint halves of each split.

    Args:
        rule: of the second domain.
        batch_size: images of each domain.
    """

    batch_type: ClassVar[Any] = UnpairedImages

    def __init__(
        self,
        name: str,
        file: Literal["mnist", "fashion_mnist", "optdigits"],
        rule: Rule,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        batch_size: PositiveInt,
        num_validation: NonNegativeInt,
        seed: int,
    ) -> None:
        super().__init__(name, file, data_shape, batch_size, num_validation, seed)
        self.rule: Rule = rule

    def load(self) -> dict[str, Source]:
        found: dict[str, Source] = {}
        for split, source in super().load().items():
            assert isinstance(source, ImagesInMemory)
            found[split] = Halves(source, self.rule)
        return found

    def counterpart(self, images: Tensor) -> Tensor:
        """What images of the first domain are in the second."""
        return transformed(images, self.rule)
