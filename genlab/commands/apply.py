"""Apply a run to your own images or rows: translate, edit, complete, blend, classify, find anomalies or latents."""

import json as json_format
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from genlab.config import Composed
from genlab.errors import UsageError
from genlab.loaded_run import LoadedRun, WeightsChoice
from genlab.run import Run

if TYPE_CHECKING:
    from genlab.applied.results import Applied

Kind = Literal["translations", "blends", "anomalies", "edits", "completions", "projection", "classes", "components"]

GOES_WITH = {
    "input": ("translations", "anomalies", "edits", "completions", "projection", "classes", "components"),
    "direction": ("translations",),
    "sheet": ("translations",),
    "precision": ("translations",),
    "tile": ("translations",),
    "source": ("blends",),
    "destination": ("blends",),
    "mask": ("blends", "completions"),
    "attributes": ("edits",),
    "num_samples": ("completions",),
    "temperature": ("completions",),
    "steps": ("projection",),
    "num_starts": ("projection",),
    "lr": ("projection",),
    "seed": ("completions", "projection"),
}
"""The kinds that an option is of; with others it is refused."""

MOST_ROWS = 20
"""Of a table on the terminal."""


def main(
    run: str | None,
    input: str | None,
    kind: Kind | None,
    direction: str | None,
    tile: Annotated[int, Field(ge=32)] | None,
    sheet: Literal["html", "png"] | None,
    source: str | None,
    destination: str | None,
    mask: Annotated[str, Field(min_length=1)] | None,
    attributes: Annotated[list[str], Field(min_length=1)] | None,
    num_samples: PositiveInt,
    temperature: Annotated[float, Field(ge=0.01)],
    steps: PositiveInt,
    num_starts: PositiveInt,
    lr: PositiveFloat,
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)],
    checkpoint: str,
    weights: WeightsChoice | None,
    batch_size: PositiveInt,
    precision: Literal["32-true", "bf16-mixed"],
    device: Literal["auto", "cpu", "cuda", "mps"],
    output: str | None,
    json: bool,
    composed: Composed,
) -> None:
    """Applies a model to image files, or to the rows of a table, and writes into a folder.

    Translations and blends have the size of the image, its transparency, its EXIF entries (but of TIFF) and its name; a
    photograph is turned upright. Files that no colours can be written to become PNG. For all other kinds, each image is
    scaled and cropped to the model's shape, as ``dataset=image_folder`` does.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        input: an image; a folder whose images are taken, without its sub-folders; a pattern in quotes, as
            ``'photos/**/*.jpg'``; or ``-``, an image from standard input. Of a model of rows, a file of them with the
            columns that it was trained on: ``.csv``, ``.tsv``, ``.npy`` or ``.npz``.
        kind: ``translations`` of images of any size, ``scale`` times as large where the model enlarges; a model that
            restores is given what is to be restored. ``blends``: the ``source`` in the ``destination`` where the
            ``mask`` is white, all of one size. ``anomalies``: ``NAME-map.png``, the brighter the more anomalous, in
            parts of the highest value of all images; ``NAME-overlay.png``, the same in red over the image;
            ``scores.csv``. ``edits``: the image beside its edit, ``NAME-edited.png``, and how much it changed,
            ``edits.csv``. ``completions``: what is missing drawn pixel by pixel, all others staying exactly as they
            are: ``NAME-completed.png``, the first of ``num_samples`` ways; ``NAME-completions.png``, the image with
            grey where something is missing and all these ways; ``completions.npz`` with the arrays ``files`` and
            ``completions`` ``(N, num_samples, C, H, W)``. ``projection``: the latent whose image is nearest,
            ``NAME-projection.png``, the image beside it, and ``latents.npz`` with the arrays ``files``, ``latents`` and
            ``errors``. ``classes``: ``classes.csv``, the likeliest class of each image, its probability, log p(x) and
            the probabilities of all. ``components`` of a mixture: ``components.csv``, the same of images or rows, the
            heaviest component first. None is the first that the model can do.
        direction: of translations, ``x_to_y`` or ``y_to_x``; None is the first that the model has.
        tile: side in pixels of the squares that larger images are cut into for translation; they overlap and pass into
            each other. Smaller ones take less memory; None translates all images whole.
        sheet: of translations: ``translations.html`` or ``.png``, the first 200 images beside what became of them.
        mask: of completions: ``lower``, ``upper``, ``left`` or ``right``, the half to fill; or an image for all, or a
            folder with one of the same name for each, scaled and cropped like the images, white where to fill.
        attributes: of edits, as ``[glasses,no_smile]``; all others stay as they are.
        temperature: of completions; below 1, likely pixels are drawn more often.
        seed: of completions and of ``projection``.
        steps, num_starts, lr: of ``projection``, see ``genlab.projection``.
        precision: of translations: ``bf16-mixed`` takes half the time on CPUs and GPUs that compute in it.
        output: a new or empty folder; None is ``applied/<kind>-<checkpoint>-<name of the input>`` in the run folder,
            where an earlier output is replaced. Of translations and blends also a file, or ``-``, PNG to standard
            output; of translations, ``beside`` puts ``NAME-<direction>`` beside each image.
        json: prints ``{"folder", "kind", "files", "values", "left_out", …}``; each of the values is ``{"file"}``, or
            ``{"row"}``, with its ``score``, ``change``, share ``filled``, ``error``, or ``output``, ``width`` and
            ``height``, or ``class`` or ``component``, ``probability`` and ``log_likelihood``.

    Raises:
        RunError: no such run or checkpoint, or the output holds something else.
        UsageError: the model can do nothing of this, or not this kind or direction, or an option does not go with it.
        DataError: there is no image, or, after all others are done, some cannot be used.
    """
    Run.check_name(run)
    import torch

    from genlab.applied.inputs import images_at, some_unusable
    from genlab.applied.kinds import Settings, apply
    from genlab.applied.translations import Translation, blend, translate
    from genlab.config.devices import check_devices
    from genlab.loaded_run import load_model
    from genlab.training import choose_device, resolve_threads

    loaded, where = load_model(run, checkpoint, weights), choose_device(device)
    model: Any = loaded.model.to(where)
    kind = kind or usual_kind(model, attributes, mask)
    check_kind(model, kind)
    check_options(model, kind, {option: composed.config[option] for option in GOES_WITH if option in composed.typed})
    check_devices({"accelerator": where.type, "devices": 1, "num_nodes": 1, "strategy": "auto"}, precision)
    if output == "-" and (json or kind not in ("translations", "blends")):
        raise UsageError("output=- writes one translation or blend to standard output, and nothing else")
    torch.set_num_threads(resolve_threads("auto"))
    shape, folder = loaded.dataset.data_shape, loaded.folder_for("applied") if output is None else loaded.folder
    with torch.no_grad():
        if kind == "blends":
            usual = folder / f"{kind}-{loaded.checkpoint}-{Path(str(destination)).stem}"
            applied = blend(model, shape[0], str(source), str(destination), str(mask), output, usual)
        else:
            with images_at(input) as images:
                if kind == "translations":
                    direction = direction or model.directions[0]
                    usual = folder / f"{kind}-{direction}-{loaded.checkpoint}-{images.title}"
                    translation = Translation(model, shape[0], direction, tile, batch_size, precision)
                    applied = translate(translation, images, output, usual, sheet)
                else:
                    usual = folder / f"{kind}-{loaded.checkpoint}-{images.title}"
                    settings = Settings(
                        attributes, mask, num_samples, temperature, steps, num_starts, lr, seed, batch_size
                    )
                    applied = apply(kind, model, loaded.dataset, images, output, usual, settings)
    if output != "-":
        report(applied, loaded, kind, json)
    if applied.left_out:
        raise some_unusable(applied.left_out, len(applied.values) + len(applied.left_out))


def usual_kind(model: Any, attributes: list[str] | None, mask: str | None) -> Kind:
    """The first that the model can do, unless an option says which."""
    from genlab.models.capabilities import Blends

    able = abilities(model)
    if mask and not isinstance(model, Blends) and not able["translations"]:
        return "completions"
    usual: tuple[Kind, ...] = ("translations", "blends", "edits", "completions", "anomalies", "classes", "components")
    return "edits" if attributes else next((kind for kind in usual if able[kind]), "projection")


def abilities(model: Any) -> dict[Kind, bool]:
    """What can be done with the model, of all kinds."""
    from genlab.models import capabilities as has

    return {
        "translations": isinstance(model, has.Translates),
        "blends": isinstance(model, has.Blends),
        "anomalies": isinstance(model, has.DetectsAnomalies),
        "edits": isinstance(model, has.Edits),
        "completions": isinstance(model, has.PredictsPixels),
        "projection": isinstance(model, has.HasPrior),
        "classes": isinstance(model, has.Classifies),
        "components": isinstance(model, has.HasComponents),
    }


def check_kind(model: Any, kind: Kind) -> None:
    """Whether the model can do this.

    Raises:
        UsageError: it cannot; says what it can do, if anything.
    """
    able = abilities(model)
    if able[kind]:
        return
    others = " or ".join(f"kind={other}" for other, is_able in able.items() if is_able)
    reasons = {
        "translations": "does not translate images",
        "blends": "does not blend images",
        "anomalies": "detects no anomalies",
        "edits": "edits no attributes",
        "completions": "does not draw images pixel by pixel",
        "projection": "has no latents with a prior to search",
        "classes": "does not classify",
        "components": "is no mixture of Gaussians",
    }
    can = f"it can do {others}" if others else "it is applied to nothing"
    raise UsageError(f"kind={kind}: {type(model).__name__} {reasons[kind]}\n{can}")


def check_options(model: Any, kind: Kind, given: dict[str, Any]) -> None:
    """Whether what is given goes with the kind, and all is given that a blend needs.

    Raises:
        UsageError: it does not, or the model does not know the direction.
    """
    from genlab.config.values import shown

    for option, value in given.items():
        if value is not None and kind not in GOES_WITH[option]:
            verb = "go" if option == "attributes" else "goes"
            fitting = " or ".join(f"kind={other}" for other in GOES_WITH[option])
            words = f"[{','.join(value)}]" if isinstance(value, list) else shown(value)
            if option == "mask":
                raise UsageError(f"mask={words}: {mask_use(model)}")
            raise UsageError(f"{option}={words} {verb} with {fitting}, not kind={kind}")
    if kind == "blends":
        lacking = [option for option in ("source", "destination", "mask") if given.get(option) is None]
        if lacking:
            raise UsageError(
                f"{' and '.join(lacking)} must be given: kind=blends puts source=IMAGE into destination=IMAGE where "
                "mask=IMAGE is white"
            )
    direction = given.get("direction")
    if direction is not None and direction not in model.directions:
        raise UsageError(
            f"direction={direction}: {type(model).__name__} translates in no such direction\n"
            f"set direction={' or direction='.join(model.directions)}, or leave the word out"
        )


def mask_use(model: Any) -> str:
    """Why a model takes no mask, and which do."""
    from genlab.models.capabilities import FillsHoles

    own = "fills the holes that it was trained to fill, and cuts them itself; leave the word out"
    why = own if isinstance(model, FillsHoles) else "takes none; leave the word out"
    return (
        f"{type(model).__name__} {why}\nmask= goes with models that predict pixels, such as pixel_cnn, and with gp_gan"
    )


def report(applied: "Applied", loaded: LoadedRun, kind: Kind, json: bool) -> None:
    """Prints what was done, for people or for programs."""
    if json:
        about: dict[str, Any] = {
            "folder": None if applied.folder is None else str(applied.folder),
            "kind": kind,
            "files": applied.files,
            "values": applied.values,
            "left_out": applied.left_out,
        }
        about |= {"checkpoint": loaded.checkpoint, "weights": loaded.weights, "step": loaded.step}
        print(json_format.dumps(about, indent=2))
        return
    print(f"{type(loaded.model).__name__}, kind={kind}, of checkpoint '{loaded.checkpoint}', step {loaded.step}")
    named = list(applied.values[0])[1]
    if named in ("class", "component"):
        print_counts(applied.values, named)
    elif named != "output":
        print_scores(applied.values, named)
    shown = applied.files if len(applied.files) <= 3 else [*applied.files[:3], "…"]
    count = f"{len(applied.values):,} image{'s' if len(applied.values) > 1 else ''}"
    where = ", ".join(shown) if applied.folder is None else f"the folder {os.path.relpath(applied.folder)}"
    print(f"{count} written to {where}" if named == "output" else f"written to {where}")
    sheets = [name for name in applied.files if name.startswith("translations.")]
    if sheets and applied.folder is not None:
        print(f"before and after: {os.path.relpath(applied.folder / sheets[0])}")


def print_scores(rows: list[dict[str, Any]], named: str) -> None:
    """Files and values, the highest first."""
    from genlab.runs.listing import print_table

    ordered = sorted(rows, key=lambda row: -row[named])
    print_table(["file", named], [[row["file"], f"{row[named]:.5g}"] for row in ordered])


def print_counts(rows: list[dict[str, Any]], named: str) -> None:
    """How many items are of each class or component, and how sure that is; of few items, each."""
    from genlab.runs.listing import print_table

    if len(rows) <= MOST_ROWS:
        shown = [[f"{value:.4g}" if isinstance(value, float) else value for value in row.values()] for row in rows]
        print_table(list(rows[0]), shown)
        return
    lines = []
    for value in sorted({row[named] for row in rows}):
        of_it = [row["probability"] for row in rows if row[named] == value]
        lines.append([value, f"{len(of_it):,}", f"{sum(of_it) / len(of_it):.4g}"])
    print_table([named, f"{next(iter(rows[0]))}s", "mean probability"], lines)
