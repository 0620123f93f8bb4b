"""Apply a run to images of your own: find anomalies, edit attributes, or find the latents that give them."""

import json as json_format
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from genlab.errors import DataError, RunError, UsageError
from genlab.run import WeightsChoice

if TYPE_CHECKING:
    import torch

Kind = Literal["anomalies", "edits", "projection"]
KNOWN_BY = ("scores.csv", "edits.csv", "latents.npz")
"""By one of these an earlier output is known, which may be replaced."""

WRITTEN = (*KNOWN_BY, "*-map.png", "*-overlay.png", "*-edited.png", "*-projection.png")


@dataclass(frozen=True)
class Request:
    """A model in evaluation mode, the images it is applied to, and where to write; see ``main``.

    Args:
        images: ``(N, C, H, W)`` in [-1, 1], as the model takes them.
        files: names of the images, for the table.
        stems: of the files to write, one for each image.
    """

    model: Any
    images: "torch.Tensor"
    files: list[str]
    stems: list[str]
    folder: Path
    attributes: list[str] | None
    steps: int
    num_starts: int
    lr: float
    seed: int
    batch_size: int


def main(
    run: str | None,
    input: str,
    kind: Kind | None,
    attributes: Annotated[list[str], Field(min_length=1)] | None,
    steps: PositiveInt,
    num_starts: PositiveInt,
    lr: PositiveFloat,
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)],
    checkpoint: str,
    weights: WeightsChoice | None,
    batch_size: PositiveInt,
    device: Literal["auto", "cpu", "cuda", "mps"],
    output: str | None,
    json: bool,
) -> None:
    """Scales and crops each image to the model's shape, as ``dataset=image_folder`` does, and writes into a folder.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        input: an image, or a folder whose images are taken, without its sub-folders.
        kind: ``anomalies``: ``NAME-map.png``, the brighter the more anomalous, in parts of the highest value of all
            images; ``NAME-overlay.png``, the same in red over the image; ``scores.csv``. ``edits``: the image beside
            its edit, ``NAME-edited.png``, and how much it changed, ``edits.csv``. ``projection``: the latent whose
            image is nearest, ``NAME-projection.png``, the image beside it, and ``latents.npz`` with the arrays
            ``files``, ``latents`` and ``errors``. None is edits where attributes are given, else anomalies, if the
            model detects any.
        attributes: of edits, as ``[glasses,no_smile]``; all others stay as they are.
        steps, num_starts, lr, seed: of ``projection``, see ``genlab.projection``.
        output: the folder; None is ``applied/<kind>-<checkpoint>-<name of the input>`` in the run folder.
        json: prints ``{"folder", "kind", "files", "values": [{"file", "score", "change" or "error"}], "left_out", …}``.

    Raises:
        RunError: no such run or checkpoint, or the output folder holds something else.
        UsageError: the model can do nothing of this, or not this kind.
        DataError: there is no image, or, after all others are done, some cannot be used.
    """
    import torch

    from genlab.run import load_model
    from genlab.training import choose_device

    folder, names = images_at(Path(input).expanduser())
    loaded = load_model(run, checkpoint, weights)
    kind = kind or ("edits" if attributes else usual_kind(loaded.model))
    check_kind(loaded.model, kind)
    check_attributes(loaded.model, kind, attributes)
    check_shape(loaded.model, kind, loaded.dataset.data_shape)
    where = choose_device(device)
    default = loaded.folder / "applied" / f"{kind}-{loaded.checkpoint}-{Path(input).expanduser().absolute().stem}"
    target = Path(output).expanduser() if output else default
    check_folder(target)
    images, kept, left_out = read(folder, names, loaded.dataset.data_shape)
    request = Request(
        model=loaded.model.to(where),
        images=images.to(where),
        files=kept,
        stems=stems_of(kept),
        folder=target,
        attributes=attributes,
        steps=steps,
        num_starts=num_starts,
        lr=lr,
        seed=seed,
        batch_size=batch_size,
    )
    target.mkdir(parents=True, exist_ok=True)
    for old in (path for pattern in WRITTEN for path in target.glob(pattern)):
        old.unlink()
    with torch.no_grad():
        named, values, written = {"anomalies": anomalies, "edits": edits, "projection": projection}[kind](request)
    rows = [{"file": file, named: value} for file, value in zip(kept, values, strict=True)]
    if json:
        about: dict[str, Any] = {
            "folder": str(target),
            "kind": kind,
            "files": written,
            "values": rows,
            "left_out": left_out,
        }
        about |= {"checkpoint": loaded.checkpoint, "weights": loaded.weights, "step": loaded.step}
        print(json_format.dumps(about, indent=2))
    else:
        print(f"{type(loaded.model).__name__}, kind={kind}, of checkpoint '{loaded.checkpoint}', step {loaded.step}")
        print_table(rows, named)
        print(f"written to {os.path.relpath(target)}")
    if left_out:
        count = f"{len(left_out)} of {len(names)} images"
        raise DataError("\n".join([f"{count} cannot be used, the others are done:", *(f"  {bad}" for bad in left_out)]))


def usual_kind(model: Any) -> Kind:
    from genlab.models.base import DetectsAnomalies

    return "anomalies" if isinstance(model, DetectsAnomalies) else "projection"


def check_kind(model: Any, kind: Kind) -> None:
    """Whether the model can do this.

    Raises:
        UsageError: it cannot; says what it can do, if anything.
    """
    from genlab.models.base import DetectsAnomalies, Edits, HasPrior

    model_name = type(model).__name__
    capabilities = {"anomalies": DetectsAnomalies, "edits": Edits, "projection": HasPrior}
    can = {name: isinstance(model, capability) for name, capability in capabilities.items()}
    if can[kind]:
        return
    others = " or ".join(f"kind={other}" for other, is_able in can.items() if is_able)
    reasons = {"anomalies": "detects no anomalies", "edits": "edits no attributes"}
    reason = reasons.get(kind, "has no latents with a prior to search")
    raise UsageError(
        f"kind={kind}: {model_name} {reason}\n{f'it can do {others}' if others else 'it is applied to nothing'}"
    )


def check_attributes(model: Any, kind: Kind, attributes: list[str] | None) -> None:
    """Whether attributes are given where they are wanted, and are known.

    Raises:
        UsageError: they are not.
    """
    if kind != "edits" and attributes:
        raise UsageError(f"attributes=[{','.join(attributes)}] go with kind=edits, not kind={kind}")
    if kind == "edits" and not attributes:
        names = ", ".join(model.attribute_names)
        raise UsageError(f"kind=edits: what is to change? attributes=[{model.attribute_names[0]}]\nattributes: {names}")
    if attributes:
        model.condition(attributes)


def check_shape(model: Any, kind: Kind, data_shape: tuple[int, ...]) -> None:
    """Whether the model is one of single images.

    Raises:
        UsageError: it was trained on something else, or draws something else.
    """
    import torch

    shapes = [data_shape]
    if kind == "projection":
        with torch.no_grad():
            shapes.append(tuple(model.decode(model.draw_latent(1, torch.Generator().manual_seed(0))).shape[1:]))
    if len(data_shape) != 3 or shapes[-1] != tuple(data_shape):
        drawn = " and draws ".join(" x ".join(map(str, shape)) for shape in shapes)
        raise UsageError(f"kind={kind} is of single images; {type(model).__name__} was trained on items of {drawn}")


def images_at(path: Path) -> tuple[Path, list[str]]:
    """The folder and the names of the images in it, sorted, or of the one image that is named.

    Raises:
        DataError: there is nothing, or no image.
    """
    from genlab.datasets.layout import image_suffixes, nearest_folder

    if path.is_file():
        return path.parent, [path.name]
    if not path.is_dir():
        raise DataError(f"input={path}: there is no such file or folder\n{nearest_folder(path)}")
    suffixes = image_suffixes()
    files = (file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    names = sorted(file.name for file in files if file.suffix.lower() in suffixes)
    if not names:
        raise DataError(f"input={path}: the folder has no image in it; sub-folders are not looked into")
    return path, names


def read(folder: Path, names: list[str], data_shape: tuple[int, ...]) -> "tuple[torch.Tensor, list[str], list[str]]":
    """Images ``(N, *data_shape)`` in [-1, 1], the names of these, and what is wrong with each of the others.

    Raises:
        DataError: none can be used.
    """
    import torch

    from genlab.datasets.images import centred
    from genlab.datasets.pictures import PictureFiles, PicturesInStream

    pictures, everything = PictureFiles(folder, names), list(range(len(names)))
    labels, (channels, height, width) = torch.zeros(len(names)), data_shape
    stream = PicturesInStream(pictures, everything, labels, (channels, height, width), 1.0, False, False, 0)
    images = torch.empty(len(names), channels, height, width, dtype=torch.uint8)
    bad = stream.bad(images)
    left_out = list(bad.values())
    if len(bad) == len(names):
        raise DataError("\n".join(["no image can be used:", *(f"  {reason}" for reason in left_out)]))
    good = [item for item in everything if item not in bad]
    return centred(images[good]), [names[item] for item in good], left_out


def stems_of(files: list[str]) -> list[str]:
    """Names without their suffix, which stays where two would be the same."""
    stems = [Path(file).stem for file in files]
    return [file if stems.count(stem) > 1 else stem for file, stem in zip(files, stems, strict=True)]


def anomalies(request: Request) -> tuple[str, list[float], list[str]]:
    """Writes maps, overlays and scores; gives what is measured, its values and the files."""
    import csv

    import torch
    from torchvision.utils import save_image

    from genlab.metrics.evaluation import progress

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
    with (request.folder / "scores.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("file", "score"), *zip(request.files, scores.tolist(), strict=True)])
    return "score", scores.tolist(), [*written, "scores.csv"]


def edits(request: Request) -> tuple[str, list[float], list[str]]:
    """Writes each image beside its edit, and how much it changed; gives what is measured, its values and the files."""
    import csv

    import torch
    from torchvision.utils import save_image

    from genlab.callbacks.sample_grid import image_grid
    from genlab.metrics.evaluation import progress

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
    with (request.folder / "edits.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("file", "change"), *zip(request.files, changes, strict=True)])
    return "change", changes, [*written, "edits.csv"]


def projection(request: Request) -> tuple[str, list[float], list[str]]:
    """Writes each image beside its projection, and the latents; gives what is measured, its values and the files."""
    import numpy as np
    import torch
    from torchvision.utils import save_image

    from genlab.callbacks.sample_grid import image_grid
    from genlab.metrics.evaluation import progress
    from genlab.projection import project

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
    return "error", found.tolist(), [*written, "latents.npz"]


def print_table(rows: list[dict[str, Any]], named: str) -> None:
    """Files and values, the highest first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("file", named, box=None)
    for row in sorted(rows, key=lambda row: -row[named]):
        table.add_row(row["file"], f"{row[named]:.5g}")
    Console(soft_wrap=True).print(table, highlight=False)


def check_folder(folder: Path) -> None:
    """Only an earlier output may be replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / name).is_file() for name in KNOWN_BY):
        raise RunError(f"output={folder} holds other files, and nothing of yours is overwritten: name a new folder")
    if folder.is_file():
        raise RunError(f"output={folder} is a file: name a folder")
