"""Draw from a run: a picture of all, single files and an array."""

import json as json_format
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from genlab.errors import RunError

Kind = Literal["samples", "reconstructions", "walk", "latent_grid", "latent_scatter", "chain", "means"]


def main(
    run: str | None,
    kind: Kind | None,
    num_samples: PositiveInt | None,
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)],
    labels: Annotated[list[NonNegativeInt], Field(min_length=1)] | None,
    binary: bool,
    steps: Annotated[int, Field(ge=2)],
    num_frames: PositiveInt,
    checkpoint: str,
    batch_size: PositiveInt,
    device: Literal["auto", "cpu", "cuda", "mps"],
    output: str | None,
    json: bool,
) -> None:
    """Writes ``grid.png``, ``0000.png`` … and ``samples.npz`` (array ``samples``) into a folder of their own.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        kind: ``samples`` of the prior; ``reconstructions`` of test images, each after the image itself and, of models
            that undo a corruption, the corrupted image; a ``walk`` from one test image to another (of the prior, where
            a model has no encoder) in ``steps`` latents each; ``latent_grid``: the whole plane of two latents;
            ``latent_scatter``: where test images lie among the latents, as ``scatter.png`` and the arrays ``samples``
            (latents) and ``labels``; ``chain``: a Markov chain as ``chain.gif``, its array ``(num_frames, num_samples,
            C, H, W)``; ``means`` of a mixture's components. None is ``samples`` of models that draw any, else
            ``reconstructions``.
        num_samples: images in all, points of ``latent_scatter``, chains side by side. None is 64 images or as near to
            that as whole rows come, 2,000 points or all there are, all means.
        seed: the same seed gives the same images, whatever the batch size.
        labels: of the classes to draw, in turn.
        binary: draws pixels from p(x|z) instead of showing its mean.
        steps: latents of each ``walk``.
        num_frames: of a ``chain``, one for each of its steps.
        output: the folder; None is ``samples/<kind>-<checkpoint>-seed-<seed>`` in the run folder.
        json: prints ``{"folder", "kind", "files", "shape", "checkpoint", "step", "seed"}``.

    Raises:
        RunError: no such run or checkpoint, or the folder holds something else.
        UsageError: the model cannot give this kind.
    """
    import torch

    from genlab.drawing import Request, draw, usual_kind, write
    from genlab.run import load_model
    from genlab.training import choose_device

    loaded = load_model(run, checkpoint)
    kind = kind or usual_kind(loaded.model)
    classes = "".join(f"-{label}" for label in labels or ())
    name = f"{kind}{classes}-{loaded.checkpoint}-seed-{seed}"
    folder = Path(output).expanduser() if output else loaded.folder / "samples" / name
    check_folder(folder)
    loaded.model.to(choose_device(device))
    generator = torch.Generator().manual_seed(seed)
    request = Request(
        loaded.model, loaded.dataset, kind, num_samples, labels, binary, steps, num_frames, batch_size, generator
    )
    with torch.no_grad():
        drawn = draw(request)
    files = write(drawn, folder)
    if json:
        about = {"folder": str(folder), "kind": kind, "files": files, "shape": list(drawn.samples.shape)}
        print(json_format.dumps(about | {"checkpoint": loaded.checkpoint, "step": loaded.step, "seed": seed}, indent=2))
        return
    shape = " x ".join(map(str, drawn.samples.shape))
    print(f"{shape}, kind={kind}, of checkpoint '{loaded.checkpoint}', step {loaded.step}, seed {seed}")
    shown = files if len(files) <= 3 else [*files[:3], "…"]
    print(f"  {os.path.relpath(folder)}/{{{','.join(shown)}}}")


def check_folder(folder: Path) -> None:
    """Only an earlier sampling may be replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "samples.npz").is_file():
        raise RunError(f"output={folder} holds other files, and nothing of yours is overwritten: name a new folder")
    if folder.is_file():
        raise RunError(f"output={folder} is a file: name a folder")
