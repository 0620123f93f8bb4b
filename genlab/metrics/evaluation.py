"""What a metric is given, and what it gives back.

A metric is a module beside this one with two functions: ``unfit(evaluation)`` says why it cannot be measured here, or
None, and ``measure(evaluation)`` gives its scores. ``genlab evaluate`` finds them by that; there is no list of them.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import ImagesWithAttributes, LabelledImages
from genlab.datasets.loader import Chosen, Source
from genlab.errors import UsageError
from genlab.metrics.bootstrap import interval
from genlab.metrics.features import FeatureNetwork
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import PredictsPixels, Samples

Part = TypeVar("Part")

Resampled = Callable[[Tensor, Tensor, torch.Generator], Sequence[Tensor]]
"""Scores of real features ``(N, D)`` and fake ones ``(M, D)``, each with those of resamples drawn by the generator."""


@dataclass(frozen=True)
class Score:
    """One number, and how it was had.

    Args:
        value: None where it is not defined; ``how["undefined"]`` then says why. Never NaN or infinite.
        how: unit, split, counts, seed and network, in the order to be read.
    """

    name: str
    value: float | None
    how: dict[str, Any]


@dataclass
class Evaluation:
    """A model, its data set and the settings of the measurement; what several metrics need is made once.

    Args:
        model: in evaluation mode, on the device to compute on.
        network: of the distances; None if the data are no images.
        num_samples: samples for the distances, and at most as many held-out images.
        seed: of all draws, and of which held-out items are taken where not all are.
        batch_size: items computed at a time; changes nothing but speed and memory.
        iwae_k: draws for each image in the importance-weighted bound.
        iwae_images: images that bound is measured on.
    """

    model: GenerativeModel
    dataset: Dataset
    network: FeatureNetwork | None
    num_samples: int
    seed: int
    batch_size: int
    iwae_k: int
    iwae_images: int

    @property
    def model_name(self) -> str:
        return type(self.model).__name__

    def generator(self) -> torch.Generator:
        """A new one for each use, so that no score depends on which others are measured."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def held_out(self) -> tuple[str, Source]:
        """The name and items of the test split, else of the validation split.

        Raises:
            UsageError: the data set has neither.
        """
        self.dataset.setup("test")
        for split in ("test", "validation"):
            if split in self.dataset.sources:
                return split, self.dataset.sources[split]
        raise UsageError(
            f"all items of '{self.dataset.name}' were trained on, so there is nothing to measure on\n"
            "train with some held out: dataset.num_validation=N (or, of a vector_file, dataset.num_test=N)"
        )

    def items(self, count: int | None = None, only_normal: bool = False) -> Tensor:
        """Numbers of held-out items, ascending: all, or at most ``count`` of them, drawn by the seed.

        Args:
            only_normal: leaves out anomalies, which samples of a model that is trained on normal items are not like.
        """
        items = torch.arange(len(self.held_out[1]))
        if only_normal and self.dataset.has_anomalies:
            items = items[self.held_out[1].__getitems__(Chosen(-1, items)).labels == 0]
        if count is None or count >= len(items):
            return items
        return items[torch.randperm(len(items), generator=self.generator())[:count].sort().values]

    def batches(self, items: Tensor, batch_size: int, doing: str) -> Iterator[Tensor]:
        """The data of held-out items: images ``(N, C, H, W)`` in [-1, 1], or vectors ``(N, D)``."""
        source = self.held_out[1]
        for part in progress(items.split(batch_size), doing):
            yield source.__getitems__(Chosen(-1, part))[0].to(self.model.device)  # the data are the first field

    @cached_property
    def real_features(self) -> Tensor:
        """``(N, D)`` of ``num_samples`` held-out images, fewer if there are not as many.

        Of models that predict pixels, they are brought to the levels of these, as the samples are.
        """
        model, generator = self.model, self.generator()
        items = self.items(self.num_samples, only_normal=True)
        images = self.batches(items, self.batch_size, "features of held-out images")
        if isinstance(model, PredictsPixels):
            images = (model.quantize(part, generator) for part in images)
        return torch.cat([self._features(part) for part in images])

    @cached_property
    def fake_features(self) -> Tensor:
        """``(num_samples, D)`` of samples that the seed draws."""
        assert isinstance(self.model, Samples)
        generator = self.generator()
        parts = progress(torch.arange(self.num_samples).split(self.batch_size), "features of samples")
        return torch.cat([self._features(self.model.sample(len(part), None, generator)) for part in parts])

    def _features(self, images: Tensor) -> Tensor:
        assert self.network is not None
        return self.network.features(images).cpu().double()

    @cached_property
    def fake_log_probabilities(self) -> Tensor:
        """log p(y|x) of the samples of ``fake_features`` in nats, ``(num_samples, num_classes)`` float64."""
        assert self.network is not None
        return self.network.log_probabilities(self.fake_features.to(self.model.device)).cpu()

    def unfit_for_features(self) -> str | None:
        """Why there are no features of samples and images, or None."""
        if not isinstance(self.model, Samples):
            return f"{self.model_name} draws no samples"
        return None if holds_images(self.dataset) else f"'{self.dataset.name}' holds no single images"

    def unfit_for_classes(self) -> str | None:
        """Why no classes are seen in samples, or None."""
        if reason := self.unfit_for_features():
            return reason
        if self.network is not None and self.network.classifier is None:
            return f"{self.network.name} tells no classes: features=digit, fashion or imagenet does"
        return None

    @property
    def about_network(self) -> dict[str, Any]:
        """What is printed of the network beside each score that it has a part in."""
        assert self.network is not None
        return {"network": self.network.name, "sha256": self.network.sha256, "resize": self.network.resize}

    def comparison(
        self, highest: dict[str, float], least: int, measure: Resampled, settings: dict[str, Any] | None = None
    ) -> list[Score]:
        """The scores ``<kind>_<network>`` of real and fake features, each ``(N, D)`` float64, with their intervals.

        Args:
            highest: the most that each kind of score can be; the least is 0.
            least: rows that each set must have.
            measure: gives each kind's value and those of resamples, ``(1 + R,)``.
            settings: of the measurement, to be printed.
        """
        groups = {"held-out images": self.real_features, "samples": self.fake_features}
        real, fake = groups.values()
        how: dict[str, Any] = {"split": self.held_out[0], "num_real": len(real), "num_samples": len(fake)}
        how |= {"seed": self.seed} | (settings or {}) | self.about_network
        faults = [fault for what, rows in groups.items() if (fault := too_few(rows, least, what))]
        faults += [fault for what, rows in groups.items() if (fault := not_finite(rows, what))]
        names = [f"{kind}_{how['network']}" for kind in highest]
        if faults:
            return [Score(name, None, how | {"undefined": "; ".join(faults)}) for name in names]
        found = zip(names, measure(real, fake, self.generator()), highest.values(), strict=True)
        return [estimated(name, values, 0, high, how) for name, values, high in found]


def holds_images(dataset: Dataset) -> bool:
    """Whether an item is one image, whatever comes with it."""
    return issubclass(dataset.batch_type, LabelledImages | ImagesWithAttributes)


def too_few(rows: Tensor, least: int, what: str) -> str | None:
    """That there are fewer than ``least`` rows, or None."""
    verb = "is" if len(rows) == 1 else "are"
    return f"there {verb} {len(rows)} of at least {least} {what}" if len(rows) < least else None


def estimated(name: str, values: Tensor, low: float, high: float, how: dict[str, Any]) -> Score:
    """A score in [low, high] with its interval, from its value and those of resamples, ``(1 + R,)``."""
    return Score(
        name, values[0].item(), {"interval": interval(values, low, high), "num_resamples": len(values) - 1} | how
    )


def not_finite(features: Tensor, what: str) -> str | None:
    """How many rows of ``(N, D)`` features are not finite, or None."""
    count = int((~features.isfinite()).any(1).sum())
    return f"the features of {count} of {len(features)} {what} are not finite" if count else None


def mean_score(name: str, values: Tensor, how: dict[str, Any]) -> Score:
    """The mean of ``(N,)`` values with its standard error."""
    infinite = int((~values.isfinite()).sum())
    if infinite:
        return Score(name, None, how | {"undefined": f"{infinite} of {len(values)} values are not finite"})
    values = values.cpu().double()
    if len(values) > 1:
        how = how | {"standard_error": values.std().item() / len(values) ** 0.5}
    return Score(name, values.mean().item(), how)


def progress(parts: Sequence[Part], doing: str) -> Iterator[Part]:
    """The parts, with a bar on the terminal if there is one; it is gone when they are done."""
    console = Console(stderr=True)
    yield from track(parts, f"{doing:<28}", console=console, transient=True, disable=not sys.stderr.isatty())
