"""What is wanted of a trained model by ``genlab sample``."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from genlab.config.values import shown
from genlab.datasets.base import Dataset
from genlab.datasets.loader import Chosen, mixed_items
from genlab.drawing.seeds import seed_numbers
from genlab.errors import DataError, UsageError
from genlab.latents import latents_by, truncated
from genlab.loaded_run import LoadedRun
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import HasGuidance, HasPrior, HasTemperature
from genlab.randomness import RowGenerator, own_seeds

POINTS = 2000
"""Test images at most, if nobody says how many."""


@dataclass(frozen=True)
class Request:
    """A run with its model in evaluation mode, and what is wanted of it; see ``genlab.commands.sample``.

    Args:
        typed: the names of what the user has set; all else is as it is by default.
    """

    loaded: LoadedRun
    typed: frozenset[str]
    kind: str
    num_samples: int | None
    seed: int
    seeds: int | str | list[int] | None
    labels: list[int] | None
    attributes: list[str] | None
    text: str | None
    temperature: float | None
    guidance: float | None
    truncation: float | None
    binary: bool
    steps: int
    interpolation: Literal["linear", "spherical"] | None
    num_frames: int
    video: bool
    num_neighbours: int
    batch_size: int
    processes: int | None
    device: str

    @property
    def model(self) -> GenerativeModel:
        return self.loaded.model

    @property
    def dataset(self) -> Dataset:
        return self.loaded.dataset

    @property
    def name(self) -> str:
        return type(self.model).__name__

    @cached_property
    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def generator_of(self, count: int) -> RowGenerator:
        """By which ``count`` images are those that ``kind=samples`` draws of this seed."""
        return RowGenerator(own_seeds(count, torch.Generator().manual_seed(self.seed)))


GOES_WITH = {
    "seeds": ("samples", "neighbours"),
    "labels": ("samples", "neighbours", "growth"),
    "attributes": ("samples", "neighbours"),
    "text": ("samples",),
    "temperature": ("samples", "neighbours", "growth"),
    "guidance": ("samples", "neighbours", "growth"),
    "truncation": ("samples", "neighbours", "walk"),
    "binary": ("samples", "reconstructions", "walk", "latent_grid", "chain", "means"),
    "interpolation": ("walk",),
    "steps": ("walk",),
    "num_frames": ("chain",),
    "num_neighbours": ("neighbours",),
    "video": ("walk", "chain", "growth"),
    "processes": ("samples", "neighbours"),
}
"""The kinds that an option changes; with others it is refused."""


def check_kind(request: Request) -> None:
    """Whether all options go with the kind.

    Raises:
        UsageError: one does not.
    """
    for option, fitting in GOES_WITH.items():
        value = getattr(request, option)
        if option in request.typed and value is not None and value is not False and request.kind not in fitting:
            raise UsageError(f"{option}={shown(value)} goes with kind={' or '.join(fitting)}, not kind={request.kind}")


def draw_by(model: GenerativeModel, temperature: float | None, guidance: float | None) -> None:
    """From now on the model draws as these say, if they are given.

    Raises:
        UsageError: it has no temperature, or no classes that it can be guided to.
    """
    name = type(model).__name__
    if temperature is not None:
        if not isinstance(model, HasTemperature):
            raise UsageError(f"temperature={temperature}: {name} has none; leave the word out")
        model.temperature = temperature
    if guidance is not None:
        if not isinstance(model, HasGuidance):
            raise UsageError(
                f"guidance={guidance}: {name} is not guided\n"
                "a model can be that draws pixels of some levels and knows classes, as model=gated_pixel_cnn "
                "model.num_classes=10"
            )
        model.guidance = guidance


@contextmanager
def as_requested(request: Request) -> Iterator[None]:
    """Within, the model draws as these say, if they are given.

    Raises:
        UsageError: it has no temperature or guidance, or draws no latents.
    """
    draw_by(request.model, request.temperature, request.guidance)
    with ExitStack() as stack:
        if request.truncation is not None:
            if not isinstance(request.model, HasPrior):
                raise UsageError(
                    f"truncation={request.truncation}: {request.name} draws no latents; leave the word out"
                )
            stack.enter_context(latents_by(request.model, truncated(request.model, request.truncation)))
        yield


def given_seeds(request: Request) -> Sequence[int] | None:
    """One for each sample, or None."""
    if request.seeds is None:
        return None
    if request.num_samples is not None:
        raise UsageError(f"num_samples={request.num_samples}: seeds={shown(request.seeds)} says how many; give one")
    return seed_numbers(request.seeds)


def test_images(request: Request, count: int | None) -> tuple[Tensor, Tensor]:
    """``count`` images and labels of the test split, else of those held out for validation, else of training.

    They are always the same, in an order of which fewer are the beginning. None is 2,000 of them, or all of fewer.
    Where a set has no labels, all are 0.

    Raises:
        DataError: there are fewer.
    """
    dataset = request.dataset
    dataset.setup()
    split = next(split for split in ("test", "validation", "train") if split in dataset.sources)
    if split == "train":
        warnings.warn(f"nothing of '{dataset.name}' is held out: these are training images", stacklevel=2)
    source = dataset.sources[split]
    count = min(POINTS, len(source)) if count is None else count
    if len(source) < count:
        raise DataError(f"'{dataset.name}' has {len(source)} such images, {count} are needed: a smaller num_samples")
    batch = source.__getitems__(Chosen(-1, mixed_items(len(source), count)))
    labels = getattr(batch, "labels", torch.zeros(count, dtype=torch.int64))
    return batch.images.to(request.model.device), labels


def decode(model: Any, latent: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model.decode(part) for part in latent.split(batch_size)])
