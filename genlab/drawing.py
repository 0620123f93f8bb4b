"""What ``genlab sample`` draws of a trained model, a function for each kind."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from genlab.callbacks.sample_grid import reconstructions, tiles_per_image
from genlab.config.values import shown
from genlab.datasets.base import Dataset
from genlab.datasets.loader import Chosen
from genlab.drawn import COLUMNS, Drawn, video_library
from genlab.errors import DataError, UsageError
from genlab.latents import latents_by, linear, priors_of, spherical, truncated
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import (
    Decodes,
    DrawsPixels,
    HasMeans,
    HasPrior,
    HasTemperature,
    PredictsPixels,
    Reconstructs,
    RewritesText,
    RunsChains,
    Samples,
    TakesText,
)
from genlab.neighbours import nearest
from genlab.plots import new_figure
from genlab.randomness import own_generators
from genlab.sampling import check_labels, condition_of, sampled, sampled_by_seed, seed_numbers
from genlab.texts import TEXTS, code_points, condition_of_text, reworded

COUNT = 64
POINTS = 2000
NEIGHBOUR_ROWS = 32


@dataclass(frozen=True)
class Request:
    """A model in evaluation mode and what is wanted of it; see ``genlab.commands.sample``."""

    model: GenerativeModel
    dataset: Dataset
    kind: str
    num_samples: int | None
    seeds: int | str | list[int] | None
    labels: list[int] | None
    attributes: list[str] | None
    text: str | None
    temperature: float | None
    truncation: float | None
    binary: bool
    steps: int
    interpolation: Literal["linear", "spherical"] | None
    num_frames: int
    video: bool
    num_neighbours: int
    batch_size: int
    generator: torch.Generator

    @property
    def name(self) -> str:
        return type(self.model).__name__


GOES_WITH = {
    "seeds": ("samples", "neighbours"),
    "labels": ("samples", "neighbours", "growth"),
    "attributes": ("samples", "neighbours"),
    "text": ("samples",),
    "temperature": ("samples", "neighbours", "growth"),
    "truncation": ("samples", "neighbours", "walk"),
    "binary": ("samples", "reconstructions", "walk", "latent_grid", "chain", "means"),
    "interpolation": ("walk",),
    "video": ("walk", "chain", "growth"),
}
"""The kinds that an option changes; with others it is refused."""


def usual_kind(model: GenerativeModel) -> Literal["samples", "reconstructions"]:
    """Samples of a model that draws any, else reconstructions."""
    return "samples" if isinstance(model, Samples) or not isinstance(model, Reconstructs) else "reconstructions"


def draw(request: Request) -> Drawn:
    """Draws the kind that is wanted.

    Raises:
        UsageError: the model cannot give it, or an option does not go with it.
        DataError: there are too few test images.
    """
    for option, fitting in GOES_WITH.items():
        value = getattr(request, option)
        if value is not None and value is not False and request.kind not in fitting:
            raise UsageError(f"{option}={shown(value)} goes with kind={' or '.join(fitting)}, not kind={request.kind}")
    if request.video:
        video_library()  # before the work, whether it is there
    kinds = {
        "samples": samples,
        "reconstructions": pairs,
        "walk": walk,
        "latent_grid": latent_grid,
        "latent_scatter": scatter,
        "chain": chain,
        "growth": growth,
        "means": means,
        "neighbours": neighbours,
    }
    if request.temperature is not None:
        if not isinstance(request.model, HasTemperature):
            raise UsageError(f"temperature={request.temperature}: {request.name} has none; leave the word out")
        request.model.temperature = request.temperature
    with truncation(request):
        drawn = kinds[request.kind](request)
    pixels = draw_pixels(request, drawn.samples) if request.binary else drawn.samples
    return replace(drawn, samples=pixels.cpu())


def truncation(request: Request) -> AbstractContextManager[None]:
    """Within, the model draws truncated latents, if these are wanted."""
    if request.truncation is None:
        return nullcontext()
    if not isinstance(request.model, HasPrior):
        raise UsageError(f"truncation={request.truncation}: {request.name} draws no latents; leave the word out")
    return latents_by(request.model, truncated(request.model, request.truncation))


def samples(request: Request) -> Drawn:
    if isinstance(request.model, TakesText):
        drawn = [request.model.text_of(tokens) for tokens in draw_samples(request, TEXTS)]
        return Drawn(code_points(drawn), texts=drawn)
    if isinstance(request.model, RewritesText):
        return rewordings(request, request.model)
    columns = COLUMNS if request.labels is None or len(request.labels) == 1 else len(request.labels)
    return Drawn(draw_samples(request, max(1, COUNT // columns) * columns), columns)


def draw_samples(request: Request, usual: int) -> Tensor:
    """As many samples as are wanted, else ``usual``."""
    if not isinstance(request.model, Samples):
        raise UsageError(f"{request.name} draws no samples; kind=reconstructions shows what it makes of images")
    conditions: list[int] | Tensor | None = request.labels
    if request.labels is not None:
        check_labels(request.model, request.labels)
    if request.attributes is not None:
        conditions = condition_of(request.model, request.attributes)[None]
    if request.text is not None:
        conditions = condition_of_text(request.model, request.text)[None]
    if (seeds := given_seeds(request)) is not None:
        return sampled_by_seed(request.model, seeds, conditions)
    return sampled(request.model, request.num_samples or usual, conditions, request.batch_size, request.generator)


def given_seeds(request: Request) -> Sequence[int] | None:
    """One for each sample, or None."""
    if request.seeds is None:
        return None
    if request.num_samples is not None:
        raise UsageError(f"num_samples={request.num_samples}: seeds={shown(request.seeds)} says how many; give one")
    return seed_numbers(request.seeds)


def rewordings(request: Request, model: RewritesText) -> Drawn:
    """Other wordings of ``text``, else of held-out sentences, which are then shown too."""
    if request.labels is not None:
        check_labels(model, request.labels)
    if request.attributes is not None:
        condition_of(model, request.attributes)
    if (seeds := given_seeds(request)) is not None:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    else:
        usual = TEXTS if request.text is None else 1
        generators = own_generators(request.num_samples or usual, request.generator)
    texts, given = reworded(model, request.dataset, request.text, generators)
    return Drawn(code_points(texts), texts=texts, given=given, arrays={"given": code_points(given)} if given else {})


def pairs(request: Request) -> Drawn:
    """Test images beside their reconstructions."""
    if not isinstance(request.model, Reconstructs):
        raise UsageError(f"kind=reconstructions: {request.name} has no encoder")
    tiles = tiles_per_image(request.model)
    columns = COLUMNS // tiles * tiles
    count = request.num_samples or COUNT // columns * columns
    images, _ = test_images(request, -(-count // tiles))
    beside = reconstructions(request.model, images, request.batch_size, request.generator)
    return Drawn(beside[:count], columns)


def walk(request: Request) -> Drawn:
    """Ways between the latents of two test images, or two of the prior."""
    model, steps, interpolation = request.model, request.steps, request.interpolation
    count = request.num_samples or max(1, COUNT // steps) * steps
    if count % steps:
        whole = count // steps * steps
        sizes = " or ".join(str(size) for size in (whole, whole + steps) if size)
        raise UsageError(f"kind=walk gives whole walks of steps={steps} images: num_samples={sizes}, not {count}")
    num_walks = count // steps
    if not isinstance(model, Reconstructs | HasPrior):
        raise UsageError(f"kind=walk: {request.name} has no latent space")
    is_normal = priors_of(model)[0] if isinstance(model, HasPrior) else torch.zeros(model.latent_dim, dtype=torch.bool)
    if interpolation == "spherical" and not is_normal.any():
        raise UsageError(
            f"interpolation=spherical: no latent of {request.name} has a normal prior; choose interpolation=linear"
        )
    if isinstance(model, Reconstructs):
        if request.truncation is not None:
            raise UsageError(f"truncation={request.truncation}: the walks of {request.name} join test images")
        ends = model.encode(test_images(request, 2 * num_walks)[0])
        interpolation = interpolation or "linear"
    else:
        ends = model.draw_latent(2 * num_walks, request.generator)
    start, end = ends[0::2], ends[1::2]
    latent = linear(start, end, steps)
    if interpolation != "linear" and is_normal.any():
        latent[..., is_normal] = spherical(start[:, is_normal], end[:, is_normal], steps)
    return Drawn(decode(model, latent.flatten(0, 1), request.batch_size), steps, "walk")


def latent_grid(request: Request) -> Drawn:
    """The plane of two latents, by equal shares of the prior."""
    model = request.model
    if not isinstance(model, HasPrior):
        reason = "no prior that a grid could cover; see kind=latent_scatter"
        raise UsageError(
            f"kind=latent_grid: {request.name} has {reason if isinstance(model, Decodes) else 'no latent space'}"
        )
    if model.latent_dim != 2:
        raise UsageError(
            f"kind=latent_grid needs a plane of latents: train with model.latent_dim=2, not {model.latent_dim}"
        )
    count = request.num_samples or COUNT
    side = int(count**0.5)
    if side * side != count:
        raise UsageError(f"kind=latent_grid is a square: num_samples={side * side} or {(side + 1) ** 2}, not {count}")
    is_normal, is_uniform = priors_of(model)
    if not is_normal.all() and not is_uniform.all():
        raise UsageError(f"kind=latent_grid: the latents of {request.name} are neither normal nor uniform")
    # Equal shares of the prior between neighbours (Kingma & Welling, figure 4).
    shares = (torch.arange(side) + 0.5) / side
    axis = torch.special.ndtri(shares) if is_normal.all() else 2 * shares - 1
    latent = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1).to(request.model.device)
    return Drawn(decode(model, latent, request.batch_size), side)


def scatter(request: Request) -> Drawn:
    """The most likely latents of test images, and the labels of these."""
    model = request.model
    if not isinstance(model, Reconstructs):
        raise UsageError(f"kind=latent_scatter: {request.name} has no encoder")
    if model.latent_dim < 2:
        raise UsageError("kind=latent_scatter needs a plane of latents: train with model.latent_dim=2 or more")
    new_figure(1, 1)  # before the work, whether it can be drawn
    images, labels = test_images(request, request.num_samples)
    latent = torch.cat([model.encode(part) for part in images.split(request.batch_size)])
    return Drawn(latent, picture="scatter", arrays={"labels": labels}, class_names=request.dataset.class_names)


def chain(request: Request) -> Drawn:
    """A Markov chain in each tile, a frame for each step."""
    model: Any = request.model
    if not isinstance(model, RunsChains):
        raise UsageError(f"kind=chain: {request.name} runs no Markov chain")
    frames: Iterator[Tensor] = model.chain(request.num_samples or COUNT, request.num_frames, request.generator)
    return Drawn(torch.stack(list(frames)), picture="chain")


def growth(request: Request) -> Drawn:
    """Images that are drawn pixel by pixel, a frame for each row."""
    model: Any = request.model
    if not isinstance(model, PredictsPixels):
        raise UsageError(f"kind=growth: {request.name} does not draw images pixel by pixel")
    nothing = torch.zeros(request.num_samples or COUNT, *request.dataset.data_shape, device=request.model.device)
    labels = None
    if request.labels is not None:
        check_labels(model, request.labels)
        labels = torch.tensor(request.labels)[torch.arange(len(nothing)) % len(request.labels)]
    frames = model.grow(nothing, nothing[:, :1].bool(), labels, request.generator)
    return Drawn(torch.stack([frame.clone() for frame in frames]), picture="growth")


def means(request: Request) -> Drawn:
    """The mean of each component of a mixture."""
    model: Any = request.model
    if not isinstance(model, HasMeans):
        raise UsageError(f"kind=means: {request.name} is no mixture")
    found = model.component_means
    if request.num_samples is not None and request.num_samples > len(found):
        raise UsageError(f"kind=means: num_samples={request.num_samples}, but there are {len(found)} components")
    return Drawn(found[: request.num_samples])


def neighbours(request: Request) -> Drawn:
    """Samples, each before the training images nearest to it; held-out images, as many, for comparison."""
    dataset, count = request.dataset, request.num_neighbours
    if len(dataset.data_shape) != 3:
        raise UsageError(f"kind=neighbours: '{dataset.name}' holds no images")
    dataset.setup()
    train = dataset.sources["train"]
    if len(train) < count:
        raise DataError(f"'{dataset.name}' has {len(train)} training images: num_neighbours={count} is too many")
    drawn = draw_samples(request, NEIGHBOUR_ROWS).cpu()
    distances, items = nearest(drawn, train, count)
    images = train.__getitems__(Chosen(-1, items.flatten())).images.unflatten(0, items.shape)
    facts = {"median_nearest_distance_of_samples": distances[:, 0].quantile(0.5).item()}
    held = next((dataset.sources[split] for split in ("test", "validation") if split in dataset.sources), None)
    if held is not None:
        some = torch.arange(len(held))[:: max(1, len(held) // len(drawn))][: len(drawn)]
        others, _ = nearest(held.__getitems__(Chosen(-1, some)).images, train, 1)
        facts["median_nearest_distance_of_held_out_images"] = others.quantile(0.5).item()
    rows = torch.cat([drawn[:, None], images], dim=1).flatten(0, 1)
    return Drawn(rows, 1 + count, arrays={"distances": distances, "items": items}, facts=facts)


def decode(model: Any, latent: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model.decode(part) for part in latent.split(batch_size)])


def draw_pixels(request: Request, mean: Tensor) -> Tensor:
    model: Any = request.model
    if not isinstance(model, DrawsPixels):
        raise UsageError(f"binary=true: {request.name} has no distribution of pixels to draw from")
    images = mean.flatten(0, -4)
    drawn = [model.draw_pixels(part, request.generator) for part in images.split(request.batch_size)]
    return torch.cat(drawn).view_as(mean)


def test_images(request: Request, count: int | None) -> tuple[Tensor, Tensor]:
    """The first ``count`` images and labels of the test split, else of those held out for validation, else of training.

    None is 2,000 of them, or all of fewer. Where a set has no labels, all are 0.
    """
    dataset = request.dataset
    dataset.setup()
    source = next(dataset.sources[split] for split in ("test", "validation", "train") if split in dataset.sources)
    count = min(POINTS, len(source)) if count is None else count
    if len(source) < count:
        raise DataError(f"'{dataset.name}' has {len(source)} such images, {count} are needed: a smaller num_samples")
    batch = source.__getitems__(Chosen(-1, torch.arange(count)))
    labels = getattr(batch, "labels", torch.zeros(count, dtype=torch.int64))
    return batch.images.to(request.model.device), labels
