"""What ``genlab sample`` draws of a trained model, a function for each kind, and the files it becomes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import save_image

from genlab.callbacks.sample_grid import image_grid, reconstructions, tiles_per_image
from genlab.datasets.base import Dataset
from genlab.datasets.loader import Chosen
from genlab.errors import DataError, UsageError
from genlab.models.base import (
    Decodes,
    DrawsPixels,
    GenerativeModel,
    HasMeans,
    HasPrior,
    Reconstructs,
    RunsChains,
    Samples,
    TakesLabels,
)
from genlab.plots import latent_scatter, new_figure

COUNT = 64
POINTS = 2000
COLUMNS = 8
FRAME_MILLISECONDS = 100


@dataclass(frozen=True)
class Request:
    """A model in evaluation mode and what is wanted of it; see ``genlab.commands.sample``."""

    model: GenerativeModel
    dataset: Dataset
    kind: str
    num_samples: int | None
    labels: list[int] | None
    binary: bool
    steps: int
    num_frames: int
    batch_size: int
    generator: torch.Generator

    @property
    def name(self) -> str:
        return type(self.model).__name__


@dataclass(frozen=True)
class Drawn:
    """What was drawn, on the CPU.

    Args:
        samples: images ``(N, C, H, W)`` in [-1, 1], of a ``gif`` ``(num_frames, N, C, H, W)``; rows of a table, and
            latents of a ``scatter``, ``(N, D)``.
        columns: of the grid.
        labels: ``(N,)`` of a scatter.
        class_names: by label.
    """

    samples: Tensor
    columns: int = COLUMNS
    picture: Literal["grid", "gif", "scatter"] = "grid"
    labels: Tensor | None = None
    class_names: list[str] | None = None


def usual_kind(model: GenerativeModel) -> Literal["samples", "reconstructions"]:
    """Samples of a model that draws any, else reconstructions."""
    return "samples" if isinstance(model, Samples) or not isinstance(model, Reconstructs) else "reconstructions"


def draw(request: Request) -> Drawn:
    """Draws the kind that is wanted.

    Raises:
        UsageError: the model cannot give it.
        DataError: there are too few test images.
    """
    if request.labels is not None and request.kind != "samples":
        raise UsageError(f"labels={request.labels} go with kind=samples, not kind={request.kind}")
    if request.binary and request.kind == "latent_scatter":
        raise UsageError("binary=true: kind=latent_scatter draws no pixels")
    kinds = {
        "samples": samples,
        "reconstructions": pairs,
        "walk": walk,
        "latent_grid": latent_grid,
        "latent_scatter": scatter,
        "chain": chain,
        "means": means,
    }
    drawn = kinds[request.kind](request)
    pixels = draw_pixels(request, drawn.samples) if request.binary else drawn.samples
    labels = None if drawn.labels is None else drawn.labels.cpu()
    return Drawn(pixels.cpu(), drawn.columns, drawn.picture, labels, drawn.class_names)


def samples(request: Request) -> Drawn:
    model: Any = request.model
    if not isinstance(model, Samples):
        raise UsageError(f"{request.name} draws no samples; kind=reconstructions shows what it makes of images")
    count = request.num_samples or COUNT
    parts = torch.arange(count).split(request.batch_size)
    if request.labels is None:
        return Drawn(torch.cat([model.sample(len(part), None, request.generator) for part in parts]))
    check_labels(request)
    columns = COLUMNS if len(request.labels) == 1 else len(request.labels)
    labels = torch.tensor(request.labels)
    conditions = [labels[part % len(labels)].to(request.model.device) for part in parts]
    return Drawn(torch.cat([model.sample(len(part), part, request.generator) for part in conditions]), columns)


def check_labels(request: Request) -> None:
    """Whether the model knows these classes.

    Raises:
        UsageError: it takes no labels, or not all of these.
    """
    model: Any = request.model
    assert request.labels is not None
    if not isinstance(model, TakesLabels):
        raise UsageError(f"labels={request.labels}: {request.name} takes no labels; leave the word out")
    if max(request.labels) >= model.num_classes:
        raise UsageError(f"labels={request.labels}: the labels of this {request.name} are 0 to {model.num_classes - 1}")


def pairs(request: Request) -> Drawn:
    """Test images beside their reconstructions."""
    if not isinstance(request.model, Reconstructs):
        raise UsageError(f"kind=reconstructions: {request.name} has no encoder")
    tiles = tiles_per_image(request.model)
    columns = COLUMNS // tiles * tiles
    count = request.num_samples or COUNT // columns * columns
    images, _ = test_images(request, -(-count // tiles))
    shown = reconstructions(request.model, images, request.batch_size, request.generator)
    return Drawn(shown[:count], columns)


def walk(request: Request) -> Drawn:
    """Straight ways between the latents of two test images, or two of the prior."""
    model, steps = request.model, request.steps
    count = request.num_samples or max(1, COUNT // steps) * steps
    num_walks = -(-count // steps)
    if isinstance(model, Reconstructs):
        ends = model.encode(test_images(request, 2 * num_walks)[0])
    elif isinstance(model, HasPrior):
        ends = model.draw_latent(2 * num_walks, request.generator)
    else:
        raise UsageError(f"kind=walk: {request.name} has no latent space")
    share = torch.linspace(0, 1, steps, device=ends.device)[None, :, None]
    latent = torch.lerp(ends[0::2, None], ends[1::2, None], share).flatten(0, 1)
    return Drawn(decode(model, latent[:count], request.batch_size), steps)


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
    # Equal shares of the prior N(0, 1) between neighbours (Kingma & Welling, figure 4).
    axis = torch.special.ndtri((torch.arange(side) + 0.5) / side)
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
    return Drawn(latent, picture="scatter", labels=labels, class_names=request.dataset.class_names)


def chain(request: Request) -> Drawn:
    """A Markov chain in each tile, a frame for each step."""
    model: Any = request.model
    if not isinstance(model, RunsChains):
        raise UsageError(f"kind=chain: {request.name} runs no Markov chain")
    frames: Iterator[Tensor] = model.chain(request.num_samples or COUNT, request.num_frames, request.generator)
    return Drawn(torch.stack(list(frames)), picture="gif")


def means(request: Request) -> Drawn:
    """The mean of each component of a mixture."""
    model: Any = request.model
    if not isinstance(model, HasMeans):
        raise UsageError(f"kind=means: {request.name} is no mixture")
    found = model.component_means
    if request.num_samples is not None and request.num_samples > len(found):
        raise UsageError(f"kind=means: num_samples={request.num_samples}, but there are {len(found)} components")
    return Drawn(found[: request.num_samples])


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

    None is 2,000 of them, or all of fewer.
    """
    dataset = request.dataset
    dataset.setup()
    source = next(dataset.sources[split] for split in ("test", "validation", "train") if split in dataset.sources)
    count = min(POINTS, len(source)) if count is None else count
    if len(source) < count:
        raise DataError(f"'{dataset.name}' has {len(source)} such images, {count} are needed: a smaller num_samples")
    batch = source.__getitems__(Chosen(-1, torch.arange(count)))
    return batch.images.to(request.model.device), batch.labels


def write(drawn: Drawn, folder: Path) -> list[str]:
    """Writes the array and the pictures; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.png"), *folder.glob("*.gif")):
        old.unlink()
    arrays: dict[str, Any] = {"samples": drawn.samples.numpy()}
    if drawn.labels is not None:
        arrays["labels"] = drawn.labels.numpy()
    np.savez_compressed(folder / "samples.npz", **arrays)
    return [*write_pictures(drawn, folder), "samples.npz"]


def write_pictures(drawn: Drawn, folder: Path) -> list[str]:
    images = drawn.samples
    if drawn.picture == "scatter":
        assert drawn.labels is not None
        latent_scatter(images, drawn.labels, drawn.class_names, folder / "scatter.png")
        return ["scatter.png"]
    if drawn.picture == "gif":
        first, *others = [to_pil_image(image_grid(frame, drawn.columns)) for frame in images]
        first.save(folder / "chain.gif", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
        return ["chain.gif"]
    if images.ndim != 4:
        return []
    save_image(image_grid(images, drawn.columns), folder / "grid.png")
    digits = max(4, len(str(len(images) - 1)))
    names = [f"{number:0{digits}}.png" for number in range(len(images))]
    for name, image in zip(names, images.clamp(-1, 1), strict=True):
        save_image((image + 1) / 2, folder / name)
    return ["grid.png", *names]
