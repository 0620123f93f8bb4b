"""Apply a run to images of your own: anomalies, edits of attributes, completions, or the latents that give them."""

import json as json_format
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from genlab.errors import DataError, RunError, UsageError
from genlab.run import WeightsChoice

if TYPE_CHECKING:
    import torch

Kind = Literal["anomalies", "edits", "completions", "projection"]
KNOWN_BY = ("scores.csv", "edits.csv", "completions.npz", "latents.npz")
"""By one of these an earlier output is known, which may be replaced."""

PICTURES = ("map", "overlay", "edited", "completed", "completions", "projection")
"""What a picture shows is the last word of its name."""

HALVES = ("lower", "upper", "left", "right")


def main(
    run: str | None,
    input: str,
    kind: Kind | None,
    attributes: Annotated[list[str], Field(min_length=1)] | None,
    mask: Annotated[str, Field(min_length=1)] | None,
    num_samples: PositiveInt,
    temperature: Annotated[float, Field(ge=0.01)],
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
            its edit, ``NAME-edited.png``, and how much it changed, ``edits.csv``. ``completions``: what is
            missing drawn pixel by pixel, all others staying exactly as they are: ``NAME-completed.png``, the first of
            ``num_samples`` ways; ``NAME-completions.png``, the image with grey where something is missing and all
            these ways; ``completions.npz`` with the arrays ``files`` and ``completions`` ``(N, num_samples, C, H, W)``.
            ``projection``: the latent whose image is nearest, ``NAME-projection.png``, the image beside it, and
            ``latents.npz`` with the arrays ``files``, ``latents`` and ``errors``. None is edits where attributes are
            given, completions of a model that draws pixel by pixel, else anomalies, if the model detects any.
        attributes: of edits, as ``[glasses,no_smile]``; all others stay as they are.
        mask: of completions: ``lower``, ``upper``, ``left`` or ``right``, the half to fill; or an image for all, or a
            folder with one of the same name for each, scaled and cropped like the images, filled where it is not black.
        temperature: of completions; below 1, likely pixels are drawn more often.
        seed: of completions and of ``projection``.
        steps, num_starts, lr: of ``projection``, see ``genlab.projection``.
        output: the folder; None is ``applied/<kind>-<checkpoint>-<name of the input>`` in the run folder.
        json: prints ``{"folder", "kind", "files", "values", "left_out", …}``; each of the values is ``{"file"}`` with
            its ``score``, ``change``, share ``filled`` or ``error``.

    Raises:
        RunError: no such run or checkpoint, or the output folder holds something else.
        UsageError: the model can do nothing of this, or not this kind.
        DataError: there is no image, or, after all others are done, some cannot be used.
    """
    import torch

    from genlab.applied import Request, anomalies, completions, edits, projection
    from genlab.run import load_model
    from genlab.training import choose_device

    folder, names = images_at(Path(input).expanduser())
    loaded = load_model(run, checkpoint, weights)
    kind = kind or ("edits" if attributes else "completions" if mask else usual_kind(loaded.model))
    check_kind(loaded.model, kind)
    check_attributes(loaded.model, kind, attributes)
    if (kind == "completions") != (mask is not None):
        raise UsageError(
            "mask= says what kind=completions shall fill: lower, upper, left, right, or an image that is white there"
        )
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
        missing=None if mask is None else missing_at(mask, folder, kept, loaded.dataset.data_shape).to(where),
        num_samples=num_samples,
        temperature=temperature,
        steps=steps,
        num_starts=num_starts,
        lr=lr,
        seed=seed,
        batch_size=batch_size,
    )
    target.mkdir(parents=True, exist_ok=True)
    for old in (
        path for pattern in (*KNOWN_BY, *(f"*-{shown}.png" for shown in PICTURES)) for path in target.glob(pattern)
    ):
        old.unlink()
    with torch.no_grad():
        of_kind = {"anomalies": anomalies, "edits": edits, "completions": completions, "projection": projection}
        named, values, written = of_kind[kind](request)
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
    from genlab.models.capabilities import DetectsAnomalies, PredictsPixels

    if isinstance(model, PredictsPixels):
        return "completions"
    return "anomalies" if isinstance(model, DetectsAnomalies) else "projection"


def check_kind(model: Any, kind: Kind) -> None:
    """Whether the model can do this.

    Raises:
        UsageError: it cannot; says what it can do, if anything.
    """
    from genlab.models.capabilities import DetectsAnomalies, Edits, HasPrior, PredictsPixels

    model_name = type(model).__name__
    capabilities: dict[str, Any] = {"anomalies": DetectsAnomalies, "edits": Edits}
    capabilities |= {"completions": PredictsPixels, "projection": HasPrior}
    can = {name: isinstance(model, capability) for name, capability in capabilities.items()}
    if can[kind]:
        return
    others = " or ".join(f"kind={other}" for other, is_able in can.items() if is_able)
    reasons = {"anomalies": "detects no anomalies", "edits": "edits no attributes"}
    reasons["completions"] = "does not draw images pixel by pixel"
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


def missing_at(mask: str, folder: Path, names: list[str], data_shape: tuple[int, ...]) -> "torch.Tensor":
    """Where the images that are named lack something, ``(N, 1, H, W)`` bool.

    Raises:
        DataError: there is no such mask, or it hides nothing.
    """
    import torch

    _, height, width = data_shape
    missing = torch.zeros(len(names), 1, height, width, dtype=torch.bool)
    if mask in HALVES:
        rows = {"upper": slice(height // 2), "lower": slice(height // 2, None)}.get(mask, slice(None))
        columns = {"left": slice(width // 2), "right": slice(width // 2, None)}.get(mask, slice(None))
        missing[:, :, rows, columns] = True
        return missing
    path = Path(mask).expanduser()
    if not path.exists():
        raise DataError(f"mask={mask}: there is no such file or folder; a half is {', '.join(HALVES[:-1])} or right")
    there, files = (path.parent, [path.name]) if path.is_file() else (path, names)
    absent = [name for name in files if not (there / name).is_file()]
    if absent:
        raise DataError(f"mask={mask}: of {len(names)} images of {folder}, {len(absent)} have no mask: {absent[0]} …")
    masks, _, bad = read(there, files, (1, height, width))
    if bad:
        raise DataError("\n".join([f"mask={mask}: {len(bad)} cannot be used", *(f"  {reason}" for reason in bad)]))
    missing |= masks > -1
    if not missing.flatten(1).any(1).all():
        raise DataError(f"mask={mask}: a mask is all black, and an image is filled where its mask is not black")
    return missing


def stems_of(files: list[str]) -> list[str]:
    """Names without their suffix, which stays where two would be the same."""
    stems = [Path(file).stem for file in files]
    return [file if stems.count(stem) > 1 else stem for file, stem in zip(files, stems, strict=True)]


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
