"""Gaussians on a circle, the toy on which a collapse to few modes is seen and counted."""

import hashlib
import math
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from genlab.datasets.base import SPLIT_SEED, Dataset
from genlab.datasets.batches import Vectors
from genlab.datasets.loader import Source, mixed_seed
from genlab.datasets.vectors import VectorsInMemory

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Ring(Dataset):
    """Points of equally likely Gaussians whose means lie evenly on a circle, made on the spot.

    Metz, Poole, Pfau & Sohl-Dickstein, "Unrolled Generative Adversarial Networks", ICLR 2017, arXiv:1611.02163,
    have eight of standard deviation 0.02 on a circle of radius 2.

    The points are the same in every run, whatever its seed; those of one split do not depend on the size of another.

    Args:
        data_shape: ``[2]``; points of a plane are all there is.
        num_items: training points.
        num_validation: points beside the training points, not taken from them.
        num_test: points for evaluation alone.
        num_modes: Gaussians.
        radius: of the circle around the origin.
        standard_deviation: of each Gaussian, in both directions.
    """

    batch_type = Vectors

    def __init__(
        self,
        name: str,
        data_shape: tuple[Literal[2]],
        batch_size: PositiveInt,
        num_items: PositiveInt,
        num_validation: NonNegativeInt,
        num_test: NonNegativeInt,
        num_modes: PositiveInt,
        radius: Positive,
        standard_deviation: Positive,
        seed: int,
    ) -> None:
        super().__init__(name, data_shape, batch_size, num_validation, seed)
        self.num_items = num_items
        self.num_test = num_test
        self.num_modes = num_modes
        self.radius = radius
        self.standard_deviation = standard_deviation

    @property
    def centres(self) -> Tensor:
        """The mean of each Gaussian, ``(num_modes, 2)`` float32; the first is (radius, 0), the others follow it
        anticlockwise."""
        angles = torch.arange(self.num_modes, dtype=torch.float64) * (2 * math.pi / self.num_modes)
        return (self.radius * torch.stack([angles.cos(), angles.sin()], 1)).float()

    def load(self) -> dict[str, Source]:
        sizes = {"train": self.num_items, "validation": self.num_validation, "test": self.num_test}
        return {split: VectorsInMemory(self._points(split, size)) for split, size in sizes.items()}

    def _points(self, split: str, size: int) -> Tensor:
        generator = torch.Generator().manual_seed(mixed_seed(SPLIT_SEED, "ring", split))
        modes = torch.randint(self.num_modes, (size,), generator=generator)
        return self.centres[modes] + self.standard_deviation * torch.randn(size, 2, generator=generator)

    def digest(self) -> str:
        """Covers the training points: their number and the two values of each."""
        points = self._points("train", self.num_items)
        return hashlib.sha256(repr(tuple(points.shape)).encode() + points.numpy().tobytes()).hexdigest()
