"""Draw from a run: a picture of all, single files and an array."""

import json as json_format
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.config import Composed
from genlab.errors import UsageError
from genlab.loaded_run import WeightsChoice
from genlab.run import Run

Kind = Literal[
    "samples",
    "reconstructions",
    "walk",
    "latent_grid",
    "latent_scatter",
    "codes",
    "chain",
    "growth",
    "means",
    "neighbours",
]
LONGEST_NAME = 200
"""Of a folder, in letters; file systems end at 255."""

Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def main(
    run: str | None,
    kind: Kind | None,
    num_samples: PositiveInt | None,
    seed: Seed,
    seeds: Seed | Annotated[str, Field(pattern="^[0-9]+-[0-9]+$")] | Annotated[list[Seed], Field(min_length=1)] | None,
    labels: Annotated[list[NonNegativeInt | str], Field(min_length=1)] | None,
    attributes: Annotated[list[str], Field(min_length=1)] | None,
    text: Annotated[str, Field(min_length=1)] | None,
    temperature: Annotated[float, Field(ge=0.01)] | None,
    guidance: Annotated[float, Field(ge=0)] | None,
    truncation: Annotated[float, Field(ge=0.01)] | None,
    binary: bool,
    steps: Annotated[int, Field(ge=2)],
    interpolation: Literal["linear", "spherical"] | None,
    num_frames: PositiveInt,
    video: bool,
    num_neighbours: PositiveInt,
    checkpoint: str,
    weights: WeightsChoice | None,
    batch_size: PositiveInt,
    processes: PositiveInt | None,
    device: Literal["auto", "cpu", "cuda", "mps"],
    output: str | None,
    json: bool,
    composed: Composed,
) -> None:
    """Writes ``grid.png``, ``0000.png`` … and ``samples.npz`` (array ``samples``) into a folder of their own.

    Texts are written to ``samples.txt``, a block each, and printed; their array is code points, ``(N, L)``.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        kind: ``samples`` of the prior; ``reconstructions`` of test images, each after the image itself and, of models
            that undo a corruption, the corrupted image; a ``walk`` from one test image to another (of the
            prior, where a model has no encoder) in ``steps`` latents each, as a grid and as ``walk.gif``;
            ``latent_grid``: the whole plane of two latents; ``latent_scatter``: where test images lie among the
            latents, as ``scatter.png`` and the arrays ``samples`` (latents) and ``labels``; ``codes`` that a
            model reads off its images: in the first rows the categorical code changes and all else stays, then
            each continuous one from -2 to 2; ``chain``: a Markov chain as ``chain.gif``, its array
            ``(num_frames, num_samples, C, H, W)``; ``growth`` of images that are drawn pixel by pixel, a frame
            for each row, as ``growth.gif`` and in the same array; ``means`` of a mixture's components;
            ``neighbours``: samples, each before the training images nearest to it in pixels, with the arrays
            ``distances`` and ``items`` ``(num_samples, num_neighbours)``. Prints the median distance to the
            nearest training image, of the samples and of as many held-out images: far less for samples says
            that the model repeats what it was trained on. None is ``samples`` of models that draw any, else
            ``reconstructions``.
        num_samples: images in all, points of ``latent_scatter``, rows of each of the ``codes``, chains side by side,
            samples of ``neighbours``. None is 64 images or as near to that as whole rows come, 4 texts, 1 other
            wording of ``text``, 2,000 points of a plane, 5 rows of each of the ``codes``, as many test images
            of ``latent_scatter`` or all there are, all means, 32 samples of ``neighbours``.
        seed: the same seed gives the same images, whatever the batch size and the number of processes.
        seeds: instead, a range as ``0-99`` or a list as ``[3,17]``: one sample of each seed, the first that
            ``seed=`` would give, to the bit the same whatever the other seeds.
        labels: numbers or names of the classes to draw, in turn; each row of one latent or seed, where the model has
            latents.
        attributes: that all samples shall have or, with ``no_`` before their names, shall not; others as they come.
        text: that each sample begins with or, of a model that rewrites, is another wording of; None: they begin with
            nothing, or held-out sentences are rewritten.
        temperature: what the logits of a pixel or letter are divided by; below 1, likely ones are drawn more often.
        guidance: how much each pixel is drawn towards its class: what the model itself says about the class counts so
            often beside what it says about the pixel; see ``genlab.models.from_pixels``.
        truncation: takes latents from the middle of the prior: normal ones of a larger size are drawn again, uniform
            ones multiplied by it; see ``genlab.latents.truncated``.
        binary: draws pixels from p(x|z) instead of showing its mean.
        steps: latents of each ``walk``.
        interpolation: of a ``walk``: ``linear`` in a straight line, or ``spherical``, by which latents with a normal
            prior go along a great circle and others straight. None is spherical between latents of the prior, linear
            between those of images.
        num_frames: of a ``chain``, one for each of its steps.
        video: writes ``walk.mp4``, ``chain.mp4`` or ``growth.mp4`` too.
        num_neighbours: training images of each sample.
        processes: that share out the samples, each with its share of the cores, or a GPU of its own if there are
            several. The images are those of one process.
        weights: ``averaged`` over the training (``callbacks=averaged``) or the ``last``; None is averaged if there are.
        output: the folder; None is ``samples/<kind>-<checkpoint>-seed-<seed>`` in the run folder, with the seeds,
            labels, attributes, text, weights, temperature, guidance, truncation and interpolation if they are given.
        json: prints ``{"folder", "kind", "files", "shape", "checkpoint", "weights", "step", "seed"}``, ``seeds``
            instead of ``seed`` where they are given, the distances of ``neighbours``, and ``texts`` if it is text.

    Raises:
        RunError: no such run or checkpoint, or the folder holds something else.
        UsageError: the model cannot give this kind, or makes images of images only, or an option does not go with it.
    """
    Run.check_name(run)
    import torch

    from genlab.drawing.drawn import check_folder, write
    from genlab.drawing.kinds import draw, usual_kind
    from genlab.drawing.request import Request
    from genlab.drawing.seeds import label_numbers
    from genlab.loaded_run import load_model
    from genlab.models.capabilities import Blends, Reconstructs, Samples, Translates
    from genlab.texts import TEXTS, blocks
    from genlab.training import choose_device

    loaded = load_model(run, checkpoint, weights)
    if isinstance(loaded.model, Translates | Blends) and not isinstance(loaded.model, Samples | Reconstructs):
        is_translator = isinstance(loaded.model, Translates)
        words = "input=FILE_OR_FOLDER" if is_translator else "source=FILE destination=FILE mask=FILE"
        raise UsageError(
            f"{type(loaded.model).__name__} draws no samples, it {'translates' if is_translator else 'blends'} images\n"
            f"see what it makes of yours: genlab apply {run} {words}"
        )
    kind = kind or usual_kind(loaded.model)
    listed = "_".join(map(str, seeds)) if isinstance(seeds, list) else seeds
    by = f"seed-{seed}" if seeds is None else f"seeds-{listed}"
    letters = None if text is None else plain(text)
    given = {
        "text": letters,
        "weights": weights,
        "temperature": temperature,
        "guidance": guidance,
        "truncation": truncation,
        "interpolation": interpolation,
    }
    parts = [f"{option}-{value}" for option, value in given.items() if value is not None]
    name = "-".join([kind, *map(plain, labels or attributes or ()), loaded.checkpoint, by, *parts])
    folder = Path(output).expanduser() if output else loaded.folder_for("samples") / name[:LONGEST_NAME]
    check_folder(folder)
    loaded.model.to(choose_device(device))
    request = Request(
        loaded=loaded,
        typed=composed.typed,
        kind=kind,
        num_samples=num_samples,
        seed=seed,
        seeds=seeds,
        labels=None if labels is None else label_numbers(labels, loaded.dataset),
        attributes=attributes,
        text=text,
        temperature=temperature,
        guidance=guidance,
        truncation=truncation,
        binary=binary,
        steps=steps,
        interpolation=interpolation,
        num_frames=num_frames,
        video=video,
        num_neighbours=num_neighbours,
        batch_size=batch_size,
        processes=processes,
        device=device,
    )
    with torch.no_grad():
        drawn = draw(request)
    files = write(drawn, folder, video)
    if json:
        about: dict[str, Any] = {
            "folder": str(folder),
            "kind": kind,
            "files": files,
            "shape": list(drawn.samples.shape),
        }
        about |= {"texts": drawn.texts} if drawn.texts else {}
        about |= {"checkpoint": loaded.checkpoint, "weights": loaded.weights}
        about |= {"step": loaded.step, **({"seed": seed} if seeds is None else {"seeds": seeds}), **drawn.facts}
        print(json_format.dumps(about, indent=2))
        return
    shape = " x ".join(map(str, drawn.samples.shape))
    averaged = ", averaged weights" if loaded.weights == "averaged" else ""
    by = by.replace("-", " ", 1)
    print(f"{shape}, kind={kind}, of checkpoint '{loaded.checkpoint}', step {loaded.step}{averaged}, {by}")
    for fact, value in drawn.facts.items():
        print(f"  {fact.replace('_', ' ')}: {value:.4g}")
    shown = files if len(files) <= 3 else [*files[:3], "…"]
    print(f"  {os.path.relpath(folder)}/{{{','.join(shown)}}}")
    print(blocks(drawn.texts[:TEXTS], drawn.given), end="")
    if text is not None and set(drawn.texts) == {text}:
        print(
            "unchanged: with this seed no word was replaced, as few stood between the same two in the training text\n"
            "seeds=0-9 draws ten times"
        )


def plain(word: object) -> str:
    """A part of a file's name."""
    return re.sub(r"\W+", "_", str(word), flags=re.ASCII)
