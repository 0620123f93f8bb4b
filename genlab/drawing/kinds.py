"""What ``genlab sample`` draws of a trained model, a function for each kind."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from genlab.callbacks.sample_grid import reconstructions, tiles_per_image
from genlab.datasets.loader import Chosen
from genlab.drawing.drawn import COLUMNS, COUNT, Drawn, video_library
from genlab.drawing.latent_space import codes, latent_grid, scatter, walk
from genlab.drawing.request import POINTS, Request, as_requested, check_kind, given_seeds, test_images
from genlab.drawing.samples import draw_samples
from genlab.drawing.seeds import check_labels, condition_of
from genlab.errors import DataError, MissingExtraError, UsageError
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import (
    DrawsPixels,
    HasMeans,
    HasPrior,
    PredictsPixels,
    ReadsCodes,
    Reconstructs,
    RewritesText,
    RunsChains,
    Samples,
    TakesText,
)
from genlab.neighbours import nearest
from genlab.plots import new_figure
from genlab.randomness import own_generators
from genlab.texts import TEXTS, code_points, reworded

NEIGHBOUR_ROWS = 32


def usual_kind(model: GenerativeModel) -> Literal["samples", "reconstructions"]:
    """Samples of a model that draws any, else reconstructions."""
    return "samples" if isinstance(model, Samples) or not isinstance(model, Reconstructs) else "reconstructions"


def draw(request: Request) -> Drawn:
    """Draws the kind that is wanted.

    Raises:
        UsageError: the model cannot give it, or an option does not go with it.
        DataError: there are too few test images.
    """
    check_kind(request)
    kinds: dict[str, tuple[Callable[[Request], Drawn], Any, str]] = {
        "samples": (samples, Samples | RewritesText, "draws no samples"),
        "reconstructions": (pairs, Reconstructs, "has no encoder"),
        "walk": (walk, Reconstructs | HasPrior, "has no latent space"),
        "latent_grid": (latent_grid, HasPrior, "has no latents with a prior, which a grid could cover"),
        "latent_scatter": (scatter, Reconstructs, "has no encoder"),
        "chain": (chain, RunsChains, "runs no Markov chain"),
        "growth": (growth, PredictsPixels, "does not draw images pixel by pixel"),
        "means": (means, HasMeans, "is no mixture"),
        "codes": (codes, ReadsCodes, "has no codes that are read off its images"),
        "neighbours": (neighbours, Samples | RewritesText, "draws no samples"),
    }
    draw_kind, needed, lack = kinds[request.kind]
    if not isinstance(request.model, needed):
        others = [kind for kind, (_, needed, _) in kinds.items() if isinstance(request.model, needed)]
        has = [kind for kind in others if kind != "neighbours" or len(request.dataset.data_shape) == 3]
        raise UsageError(f"kind={request.kind}: {request.name} {lack}\nit has kind={', '.join(has)}")
    if request.video:
        video_library()  # before the work, whether it is there
    with as_requested(request):
        drawn = draw_kind(request)
    pixels = draw_pixels(request, drawn.samples) if request.binary else drawn.samples
    return replace(drawn, samples=pixels.cpu())


def samples(request: Request) -> Drawn:
    if isinstance(request.model, TakesText):
        drawn = [request.model.text_of(tokens) for tokens in draw_samples(request, TEXTS)]
        return Drawn(code_points(drawn), texts=drawn)
    if isinstance(request.model, RewritesText):
        return rewordings(request, request.model)
    if tuple(request.dataset.data_shape) == (2,):
        return plane(request)
    columns = COLUMNS if request.labels is None or len(request.labels) == 1 else len(request.labels)
    names = request.dataset.column_names
    return Drawn(draw_samples(request, max(1, COUNT // columns) * columns), columns, column_names=names)


def plane(request: Request) -> Drawn:
    """Points, as many as of a scatter, over the training items; the array alone where nothing can draw a diagram."""
    drawn = draw_samples(request, POINTS)
    try:
        new_figure(1, 1)
    except MissingExtraError as error:
        print(f"no picture: {error}", file=sys.stderr)
        return Drawn(drawn, column_names=request.dataset.column_names)
    request.dataset.setup()
    source = request.dataset.sources["train"]
    some = torch.arange(0, len(source), max(1, len(source) // POINTS))
    data = source.__getitems__(Chosen(-1, some))[0]
    return Drawn(drawn, picture="plane", arrays={"data": data}, column_names=request.dataset.column_names)


def rewordings(request: Request, model: RewritesText) -> Drawn:
    """Other wordings of ``text``, else of held-out sentences, which are then shown too."""
    if request.processes is not None:
        raise UsageError(f"processes={request.processes}: {request.name} rewrites texts in one; leave the word out")
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
    model: Any = request.model
    tiles = tiles_per_image(model)
    columns = COLUMNS // tiles * tiles
    count = request.num_samples or COUNT // columns * columns
    images, _ = test_images(request, -(-count // tiles))
    beside = reconstructions(model, images, request.batch_size, request.generator)
    return Drawn(beside[:count], columns)


def chain(request: Request) -> Drawn:
    """A Markov chain in each tile, a frame for each step."""
    model: Any = request.model
    count = request.num_samples or COUNT
    frames: Iterator[Tensor] = model.chain(count, request.num_frames, request.generator_of(count))
    return Drawn(torch.stack(list(frames)), picture="chain")


def growth(request: Request) -> Drawn:
    """Images that are drawn pixel by pixel, a frame for each row."""
    model: Any = request.model
    nothing = torch.zeros(request.num_samples or COUNT, *request.dataset.data_shape, device=request.model.device)
    labels = None
    if request.labels is not None:
        check_labels(model, request.labels)
        labels = torch.tensor(request.labels)[torch.arange(len(nothing)) % len(request.labels)]
    frames = model.grow(nothing, nothing[:, :1].bool(), labels, request.generator_of(len(nothing)))
    return Drawn(torch.stack([frame.clone() for frame in frames]), picture="growth")


def means(request: Request) -> Drawn:
    """The mean of each component of a mixture."""
    model: Any = request.model
    found = model.component_means
    if request.num_samples is not None and request.num_samples > len(found):
        raise UsageError(f"kind=means: num_samples={request.num_samples}, but there are {len(found)} components")
    return Drawn(found[: request.num_samples], column_names=request.dataset.column_names)


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


def draw_pixels(request: Request, mean: Tensor) -> Tensor:
    model: Any = request.model
    if not isinstance(model, DrawsPixels):
        raise UsageError(f"binary=true: {request.name} has no distribution of pixels to draw from")
    images = mean.flatten(0, -4)
    drawn = [model.draw_pixels(part, request.generator) for part in images.split(request.batch_size)]
    return torch.cat(drawn).view_as(mean)
