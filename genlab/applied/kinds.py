"""What ``genlab apply`` does with items of the shape that a model was trained on, a function for each kind."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import save_image

from genlab.applied.inputs import Inputs, missing_at, read
from genlab.applied.memberships import of_classes, of_components, rows_of
from genlab.applied.results import WRITTEN, Applied, folder_for, make
from genlab.callbacks.sample_grid import image_grid
from genlab.datasets.base import Dataset
from genlab.errors import DataError, UsageError
from genlab.metrics.evaluation import progress
from genlab.projection import project


@dataclass(frozen=True)
class Settings:
    """What a user sets, see ``genlab.commands.apply``."""

    attributes: list[str] | None
    mask: str | None
    num_samples: int
    temperature: float
    steps: int
    num_starts: int
    lr: float
    seed: int
    batch_size: int


@dataclass(frozen=True)
class Request(Settings):
    """A model in evaluation mode, the items it is applied to, and where to write.

    Args:
        dataset: that the model was trained on.
        images: ``(N, C, H, W)`` in [-1, 1], as the model takes them, or rows ``(N, D)``.
        files: names of the images, for the table; of rows their numbers.
        stems: of the files to write, one for each image.
        missing: ``(N, 1, H, W)`` bool, of completions.
    """

    model: Any
    dataset: Dataset
    images: Tensor
    files: list[Any]
    stems: list[str]
    folder: Path
    missing: Tensor | None

    @property
    def unit(self) -> str:
        """What an item is called in tables."""
        return "row" if self.images.ndim == 2 else "file"


Columns = dict[str, list[Any]]
"""What is told of each item, the most important first, all as long as there are items."""


def apply(
    kind: str,
    model: Any,
    dataset: Dataset,
    given: Inputs,
    output: str | None,
    usual: Path,
    settings: Settings,
) -> Applied:
    """Does what is asked with all images, or rows of a table, at once.

    Raises:
        UsageError: the model cannot do it with these settings.
        RunError: of ``folder_for``.
        DataError: no image, or a mask, can be used.
    """
    data_shape = dataset.data_shape
    check_request(kind, model, data_shape, settings)
    folder = folder_for(output, usual)
    if len(data_shape) == 1:
        images, left_out = rows_of(given, dataset), list[str]()
        files, stems = list[Any](range(len(images))), list[str]()
    else:
        images, places, left_out = read(given, data_shape)
        files, stems = [given.names[place] for place in places], [given.stems[place] for place in places]
    mask, where = settings.mask, model.device
    request = Request(
        **vars(settings),
        model=model,
        dataset=dataset,
        images=images.to(where),
        files=files,
        stems=stems,
        folder=folder,
        missing=None if mask is None else missing_at(mask, given.folder, files, data_shape).to(where),
    )
    clear(folder)
    kinds = {"anomalies": anomalies, "edits": edits, "completions": completions, "projection": projection}
    kinds |= {"classes": classes, "components": components}
    columns, written = kinds[kind](request)
    told = {request.unit: files} | columns
    rows = [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)]
    return Applied(folder, written, rows, left_out)


def check_request(kind: str, model: Any, data_shape: tuple[int, ...], settings: Settings) -> None:
    """Whether the model is one of single images, and what it shall do is given.

    Raises:
        UsageError: they are not, or it was trained on something else, or draws something else.
    """
    attributes = settings.attributes
    if kind == "completions" and settings.mask is None:
        raise UsageError(
            "mask= says what kind=completions shall fill: lower, upper, left, right, or an image that is white there"
        )
    if kind == "edits" and not attributes:
        names = ", ".join(model.attribute_names)
        raise UsageError(
            f"kind=edits: what is to change? attributes=[{model.attribute_names[0]}]\nattributes: {names}\n"
            "or find the latents alone: kind=projection"
        )
    if attributes:
        model.condition(attributes)
    shapes = [data_shape]
    if kind == "projection":
        with torch.no_grad():
            shapes.append(tuple(model.decode(model.draw_latent(1, torch.Generator().manual_seed(0))).shape[1:]))
    if kind == "components":
        return
    if len(data_shape) != 3 or shapes[-1] != tuple(data_shape):
        drawn = " and draws ".join(" x ".join(map(str, shape)) for shape in shapes)
        raise UsageError(f"kind={kind} is of single images; {type(model).__name__} was trained on items of {drawn}")


def clear(folder: Path) -> None:
    """Makes the folder, and removes what an earlier call has written into it."""
    make(folder)
    for pattern in WRITTEN:
        for old in folder.glob(pattern):
            old.unlink()


def write_table(request: Request, name: str, columns: Mapping[str, Sequence[Any]]) -> str:
    with (request.folder / name).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow([request.unit, *columns])
        writer.writerows(zip(request.files, *columns.values(), strict=True))
    return name


def anomalies(request: Request) -> tuple[Columns, list[str]]:
    """Writes maps, overlays and scores; gives the scores and the files."""
    all_scores, all_maps = [], []
    for part in progress(request.images.split(request.batch_size), "anomalies"):
        restored = request.model.restore(part)
        all_scores.append(request.model.anomaly_score(part, restored).cpu())
        all_maps.append(request.model.anomaly_map(part, restored).cpu())
    scores, maps = torch.cat(all_scores), torch.cat(all_maps)
    heat = maps / maps.max().clamp(min=1e-12)
    images = ((request.images.cpu() + 1) / 2).expand(-1, 3, -1, -1)
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    overlays = images * (1 - heat) + red * heat
    written = []
    for stem, one_heat, overlay in zip(request.stems, heat, overlays, strict=True):
        for name, picture in ((f"{stem}-map.png", one_heat), (f"{stem}-overlay.png", overlay)):
            save_image(picture, request.folder / name)
            written.append(name)
    columns = {"score": scores.tolist()}
    return columns, [*written, write_table(request, "scores.csv", columns)]


def edits(request: Request) -> tuple[Columns, list[str]]:
    """Writes each image beside its edit, and how much it changed; gives that and the files."""
    condition = request.model.condition(request.attributes)
    changes: list[float] = []
    written: list[str] = []
    for part in progress(request.images.split(request.batch_size), "edits"):
        edited = request.model.edit(part, condition.to(part).expand(len(part), -1))
        changes += (edited - part).abs().flatten(1).mean(1).tolist()
        for pair in zip(part, edited, strict=True):
            name = f"{request.stems[len(written)]}-edited.png"
            save_image(image_grid(torch.stack(pair), 2), request.folder / name)
            written.append(name)
    columns = {"change": changes}
    return columns, [*written, write_table(request, "edits.csv", columns)]


def completions(request: Request) -> tuple[Columns, list[str]]:
    """Writes each image completed in some ways; gives the share that was filled and the files."""
    assert request.missing is not None
    request.model.temperature = request.temperature
    generator, known = torch.Generator().manual_seed(request.seed), ~request.missing
    seen = request.model.quantize(request.images, generator).repeat_interleave(request.num_samples, 0)
    of_each = known.repeat_interleave(request.num_samples, 0)
    parts = list(zip(seen.split(request.batch_size), of_each.split(request.batch_size), strict=True))
    drawn = [request.model.complete(*part, None, generator) for part in progress(parts, "completions")]
    ways = torch.cat(drawn).unflatten(0, (-1, request.num_samples))
    # What is known is the image itself, not what the model has seen of it.
    completed = torch.where(known[:, None], request.images[:, None], ways).cpu()
    holed = torch.where(known, request.images, torch.zeros_like(request.images)).cpu()
    written = []
    for stem, image, some in zip(request.stems, holed, completed, strict=True):
        save_image((some[0] + 1) / 2, request.folder / f"{stem}-completed.png")
        sheet = image_grid(torch.cat([image[None], some]), 1 + request.num_samples)
        save_image(sheet, request.folder / f"{stem}-completions.png")
        written += [f"{stem}-completed.png", f"{stem}-completions.png"]
    arrays: dict[str, Any] = {"completions": completed.numpy()}
    np.savez_compressed(request.folder / "completions.npz", files=np.array(request.files), **arrays)
    return {"filled": request.missing.flatten(1).float().mean(1).tolist()}, [*written, "completions.npz"]


def projection(request: Request) -> tuple[Columns, list[str]]:
    """Writes each image beside its projection, and the latents; gives the errors and the files."""
    all_latents, all_errors = [], []
    written: list[str] = []
    for part in progress(request.images.split(request.batch_size), "latents"):
        generator = torch.Generator().manual_seed(request.seed)
        latents, errors = project(request.model, part, request.steps, request.num_starts, request.lr, generator)
        for image, projected in zip(part, request.model.decode(latents), strict=True):
            name = f"{request.stems[len(written)]}-projection.png"
            save_image(image_grid(torch.stack([image, projected.view_as(image)]), 2), request.folder / name)
            written.append(name)
        all_latents.append(latents.cpu())
        all_errors.append(errors.cpu())
    found = torch.cat(all_errors)
    arrays: dict[str, Any] = {"latents": torch.cat(all_latents).numpy(), "errors": found.numpy()}
    np.savez_compressed(request.folder / "latents.npz", files=np.array(request.files), **arrays)
    return {"error": found.tolist()}, [*written, "latents.npz"]


def classes(request: Request) -> tuple[Columns, list[str]]:
    """Writes the class of each image and the probabilities of all; gives the classes and the file."""
    with suppress(DataError):  # the data may have been moved since; then classes have numbers
        request.dataset.load_once()
    names = request.dataset.class_names or list(map(str, range(request.model.num_classes)))
    columns, probabilities = of_classes(request.model, request.images, request.batch_size, names)
    each = dict(zip(names, probabilities.T.tolist(), strict=True))
    return columns, [write_table(request, "classes.csv", columns | each)]


def components(request: Request) -> tuple[Columns, list[str]]:
    """Writes the component of each item and the responsibilities of all; gives the components and the file."""
    columns, responsibilities = of_components(request.model, request.images, request.batch_size)
    each = {f"component_{number}": values for number, values in enumerate(responsibilities.T.tolist())}
    return columns, [write_table(request, "components.csv", columns | each)]
