"""What is the same in every model that predicts an image pixel by pixel, each from those before it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledImages
from genlab.errors import UsageError
from genlab.losses.categorical import (
    draw_levels,
    images_of,
    levels_log_likelihood,
    levels_of,
    log_probabilities,
    logits_of,
    nearest_level,
    num_logits,
)
from genlab.losses.variational import binary
from genlab.randomness import own_generators, row_by_row

Binarization = Literal["none", "drawn", "threshold"]
"""``drawn``: a pixel is white with its grey value as the probability, anew each time it is seen. ``threshold``: it is
white if its grey value is at least half. ``none``: pixels keep their levels."""

Predicted = tuple[int, int, slice, Tensor]
"""Row, column, colours and what the network says of these: ``(N, P)``, the parameters of their distribution."""


class FromPixels(ABC):
    """What is the same in every model of p(x) as a product of p(pixel | all before it), in raster order.

    A model adds ``predict`` and ``pixel_by_pixel``, two ways to compute the same; and, unless it has them from
    ``FromLevels``, ``num_uniforms``, ``log_likelihood_given`` and ``draw_pixel``.
    """

    image_shape: tuple[int, int, int]
    num_levels: int
    binarization: Binarization
    num_classes: int
    """Only where images are conditioned on a class."""
    temperature: float = 1.0
    """Of the draws: what logits, or scales, are divided, or multiplied, by. Below 1, what is likely is drawn more."""
    device: Any
    dtype: Any
    log: Any
    best_by: ClassVar[tuple[str, Literal["min", "max"]] | None] = ("val/log_likelihood", "max")

    @property
    @abstractmethod
    def num_uniforms(self) -> int:
        """Random numbers that a pixel is drawn with."""

    @abstractmethod
    def predict(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Parameters of the distribution of each pixel from the pixels before it, ``(N, P, H, W)``.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1], on their levels.
            labels: ``(N,)`` int64, if the model has classes.
        """

    @abstractmethod
    def pixel_by_pixel(self, images: Tensor, labels: Tensor | None) -> Iterator[Predicted]:
        """The same for each pixel in turn, computed once; before it goes on, the pixel must have been put into images.

        Args:
            images: ``(N, C, H, W)``, of which no pixel is read before its turn is over.
        """

    def in_turn(self, images: Tensor, labels: Tensor | None) -> Iterator[Predicted]:
        """``pixel_by_pixel``, as pixels are to be drawn."""
        return self.pixel_by_pixel(images, labels)

    @abstractmethod
    def log_likelihood_given(self, parameters: Tensor, images: Tensor) -> Tensor:
        """log p(x), ``(N,)`` nats, of images ``(N, C, H, W)`` from the parameters ``(N, P, H, W)`` of all pixels."""

    @abstractmethod
    def draw_pixel(self, parameters: Tensor, uniforms: Tensor, colours: slice) -> Tensor:
        """``(N, colours)`` in [-1, 1] by their parameters ``(N, P)`` and uniform numbers ``(N, num_uniforms)``."""

    def quantize(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What the likelihood is of: images in [-1, 1] brought to the model's levels, random draws image by image."""
        uniform = row_by_row(len(images), torch.rand, images.shape[1:], generator=generator)
        return self.on_levels(images, uniform.to(images.device))

    def on_levels(self, images: Tensor, uniform: Tensor) -> Tensor:
        """``quantize`` with given uniform numbers of the shape of the images."""
        if self.binarization == "drawn":
            return 2 * binary(images, uniform) - 1
        return images_of(nearest_level(images, self.num_levels), self.num_levels)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = self.quantize(batch.images)
        value = self.log_likelihood(images, self.labels_of(batch)).mean()
        self.log("val/log_likelihood", value, batch_size=len(images), sync_dist=True)

    def labels_of(self, batch: LabelledImages) -> Tensor | None:
        """Those that the model is conditioned on, if it is."""
        return batch.labels if hasattr(self, "num_classes") else None

    def log_likelihood(self, items: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x|y) of images on their levels, ``(N,)`` nats, an exact sum over all pixels.

        Of a model with classes and without labels it is log p(x), classes being alike likely.
        """
        if labels is None and hasattr(self, "num_classes"):
            each = [
                self.log_likelihood(items, items.new_full((len(items),), label, dtype=torch.int64))
                for label in range(self.num_classes)
            ]
            return torch.stack(each).logsumexp(0) - torch.tensor(self.num_classes).log()
        return self.log_likelihood_given(self.predict(items, labels), items)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Images ``(num_samples, C, H, W)`` in [-1, 1] of labels ``(num_samples,)`` int64 or, if None, of any class."""
        nothing = torch.zeros(num_samples, *self.image_shape, device=self.device, dtype=self.dtype)
        return self.complete(nothing, nothing[:, :1].bool(), condition, generator)

    def complete(
        self, images: Tensor, known: Tensor, condition: Any = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws the pixels that are not known, each given all before it; the known ones stay as they are, to the bit.

        Pixels after an unknown one do not change what is drawn for it.

        Shapes:
            images: ``(N, C, H, W)`` in [-1, 1], on their levels where they are known.
            known: ``(N, 1, H, W)`` bool.
        """
        *_, last = self.grow(images, known, condition, generator)
        return last

    def grow(
        self, images: Tensor, known: Tensor, condition: Any = None, generator: torch.Generator | None = None
    ) -> Iterator[Tensor]:
        """``complete``, seen after each row: the same tensor each time, 0 where nothing is drawn yet."""
        num_images, _, height, width = images.shape
        own = own_generators(num_images, generator)
        uniforms = torch.stack([torch.rand(self.num_uniforms, height, width, generator=each) for each in own])
        if condition is None and hasattr(self, "num_classes"):
            condition = torch.cat([torch.randint(self.num_classes, (1,), generator=each) for each in own])
        labels = None if condition is None else condition.to(images.device)
        yield from fill(self, images, known, labels, uniforms.to(images.device))

    def check_data(self, dataset: Dataset) -> None:
        """Whether there are the levels and the classes that the model has.

        Raises:
            UsageError: there are not.
        """
        if self.binarization != "none" and self.num_levels != 2:
            raise UsageError(
                f"model.binarization={self.binarization} makes 2 levels, not model.num_levels={self.num_levels}\n"
                "set model.num_levels=2, or model.binarization=none"
            )
        if self.binarization == "none" and self.num_levels == 2:
            raise UsageError("model.num_levels=2 needs model.binarization=drawn or threshold")
        wanted = getattr(self, "num_classes", None)
        if wanted is not None and dataset.num_classes != wanted:
            raise UsageError(
                f"model.num_classes={wanted}, but '{dataset.name}' has {dataset.num_classes or 'no'} classes\n"
                f"set model.num_classes={dataset.num_classes or 0}"
            )


def fill(model: FromPixels, images: Tensor, known: Tensor, labels: Tensor | None, uniforms: Tensor) -> Iterator[Tensor]:
    """Draws the unknown pixels of images in the order of the model; gives the images after each row.

    Shapes:
        images: ``(N, C, H, W)``.
        known: ``(N, 1, H, W)`` bool.
        uniforms: ``(N, num_uniforms, H, W)`` in [0, 1).
    """
    drawn = torch.zeros_like(images)
    before = 0
    for row, column, colours, parameters in model.in_turn(drawn, labels):
        if row != before:
            yield drawn
            before = row
        pixel = model.draw_pixel(parameters, uniforms[:, :, row, column], colours).to(images.dtype)
        drawn[:, colours, row, column] = torch.where(known[:, :, row, column], images[:, colours, row, column], pixel)
    yield drawn


class FromLevels(FromPixels):
    """What is the same in every such model that gives each level of a pixel a logit of its own."""

    guidance: float = 0.0
    """How much more than the model itself says each pixel is drawn towards the class of its image; see ``guided``."""

    def in_turn(self, images: Tensor, labels: Tensor | None) -> Iterator[Predicted]:
        return self.guided(images, labels) if self.guidance and labels is not None else super().in_turn(images, labels)

    def guided(self, images: Tensor, labels: Tensor) -> Iterator[Predicted]:
        """``pixel_by_pixel`` of images in which each pixel tells the class better than it does by the model alone.

        A level gets ``log p(level | before, y) + guidance * log p(y | before, level)``, which is, but for a constant,
        ``log p(level | before) + (1 + guidance) * log p(y | before, level)``: the classifier's guidance of Dhariwal &
        Nichol 2021 (sections 4.1 and 4.3, arXiv:2105.05233), without another classifier. By Bayes' rule the model
        itself says how likely a class is; it sees each image under all of them, which are alike likely at first.
        Takes ``num_classes`` times the work.
        """
        classes, each = self.num_classes, torch.arange(len(images), device=images.device)
        under_all = images.repeat_interleave(classes, 0)
        log_posterior = images.new_zeros(len(images), classes)
        predicted = self.pixel_by_pixel(under_all, torch.arange(classes, device=images.device).repeat(len(images)))
        for row, column, colours, logits in predicted:
            log_likelihood = log_probabilities(logits, self.num_levels).unflatten(0, (-1, classes))
            joint = log_posterior[:, :, None] + log_likelihood
            log_posterior_of = joint.log_softmax(1)
            towards = log_likelihood[each, labels] + self.guidance * log_posterior_of[each, labels]
            yield row, column, colours, logits_of(towards, self.num_levels)
            drawn = images[:, colours, row, column]
            under_all[:, colours, row, column] = drawn.repeat_interleave(classes, 0)
            log_posterior = log_posterior_of[each, :, levels_of(drawn[:, 0], self.num_levels)]

    @property
    def num_uniforms(self) -> int:
        """One for each colour."""
        return self.image_shape[0]

    @property
    def num_logits(self) -> int:
        """Of each colour of a pixel."""
        return num_logits(self.num_levels)

    def log_likelihood_given(self, parameters: Tensor, images: Tensor) -> Tensor:
        return levels_log_likelihood(parameters, levels_of(images, self.num_levels), self.num_levels)

    def draw_pixel(self, parameters: Tensor, uniforms: Tensor, colours: slice) -> Tensor:
        levels = draw_levels(parameters / self.temperature, uniforms[:, colours.start], self.num_levels)
        return images_of(levels, self.num_levels)[:, None]
