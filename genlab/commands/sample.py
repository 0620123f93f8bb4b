"""Draw samples from a run: a picture of all, single files and an array."""

import json as json_format
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PositiveInt

from genlab.errors import DataError, RunError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genlab.run import LoadedRun

Kind = Literal["samples", "reconstructions", "walk", "latent_grid"]


def main(
    run: str | None,
    kind: Kind,
    num_samples: PositiveInt,
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)],
    binary: bool,
    steps: Annotated[int, Field(ge=2)],
    checkpoint: str,
    batch_size: PositiveInt,
    device: Literal["auto", "cpu", "cuda", "mps"],
    output: str | None,
    json: bool,
) -> None:
    """Writes ``grid.png``, ``0000.png`` … and ``samples.npz`` (array ``samples``) into a folder of their own.

    Args:
        run: a run folder, a checkpoint file, or ``last``.
        kind: ``samples`` of the prior; ``reconstructions`` of test images, each after the image itself; a ``walk`` from
            one test image to another (of the prior, where a model has no encoder) in ``steps`` latents each;
            ``latent_grid``: the whole plane of two latents.
        num_samples: images in all.
        seed: the same seed gives the same images, whatever the batch size.
        binary: draws pixels from p(x|z) instead of showing its mean.
        output: the folder; None is ``samples/<kind>-<checkpoint>-seed-<seed>`` in the run folder.
        json: prints ``{"folder", "files", "shape", "checkpoint", "step", "seed"}``.

    Raises:
        RunError: no such run or checkpoint, or the folder holds something else.
        UsageError: the model cannot give this kind.
    """
    import torch

    from genlab.run import load_model
    from genlab.training import choose_device

    loaded = load_model(run, checkpoint)
    folder = (
        Path(output).expanduser() if output else loaded.folder / "samples" / f"{kind}-{loaded.checkpoint}-seed-{seed}"
    )
    check_folder(folder)
    loaded.model.to(choose_device(device))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        samples, columns = draw(loaded, kind, num_samples, steps, batch_size, generator)
        if binary:
            samples = draw_pixels(loaded, samples, batch_size, generator)
    files = write(samples.cpu(), columns, folder)
    if json:
        about = {"folder": str(folder), "files": files, "shape": list(samples.shape)}
        print(json_format.dumps(about | {"checkpoint": loaded.checkpoint, "step": loaded.step, "seed": seed}, indent=2))
        return
    print(f"{len(samples)} images, kind={kind}, of checkpoint '{loaded.checkpoint}', step {loaded.step}, seed {seed}")
    print(f"  {os.path.relpath(folder)}/{{{','.join(files)}}}")


def draw(
    loaded: "LoadedRun", kind: Kind, num_samples: int, steps: int, batch_size: int, generator: "torch.Generator"
) -> "tuple[Tensor, int]":
    """The images in [-1, 1], or rows of a table, and the columns of the grid."""
    import torch

    from genlab.models.base import Decodes, Reconstructs, Samples

    model, name = loaded.model, type(loaded.model).__name__
    if kind == "samples":
        if not isinstance(model, Samples):
            raise UsageError(f"{name} draws no samples")
        counts = [min(batch_size, num_samples - done) for done in range(0, num_samples, batch_size)]
        return torch.cat([model.sample(count, None, generator) for count in counts]), 8
    if kind == "reconstructions":
        if not isinstance(model, Reconstructs):
            raise UsageError(f"kind=reconstructions: {name} has no encoder")
        images = test_images(loaded, -(-num_samples // 2))
        latent = torch.cat([model.encode(part, generator) for part in images.split(batch_size)])
        pairs = torch.stack([images, decode(model, latent, batch_size)], dim=1).flatten(0, 1)
        return pairs[:num_samples], 8
    if not isinstance(model, Decodes):
        raise UsageError(f"kind={kind}: {name} has no latent space")
    if kind == "walk":
        num_walks = -(-num_samples // steps)
        if isinstance(model, Reconstructs):
            ends = model.encode(test_images(loaded, 2 * num_walks))
        else:
            ends = model.draw_latent(2 * num_walks, generator)
        share = torch.linspace(0, 1, steps, device=ends.device)[None, :, None]
        latent = torch.lerp(ends[0::2, None], ends[1::2, None], share).flatten(0, 1)
        return decode(model, latent[:num_samples], batch_size), steps
    if model.latent_dim != 2:
        raise UsageError(
            f"kind=latent_grid needs a plane of latents: train with model.latent_dim=2, not {model.latent_dim}"
        )
    side = int(num_samples**0.5)
    if side * side != num_samples:
        raise UsageError(
            f"kind=latent_grid is a square: num_samples={side * side} or {(side + 1) ** 2}, not {num_samples}"
        )
    # Equal shares of the prior N(0, 1) between neighbours (Kingma & Welling, figure 4).
    axis = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    latent = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1).to(model.device)
    return decode(model, latent, batch_size), side


def decode(model: Any, latent: "Tensor", batch_size: int) -> "Tensor":
    import torch

    return torch.cat([model.decode(part) for part in latent.split(batch_size)])


def draw_pixels(loaded: "LoadedRun", mean: "Tensor", batch_size: int, generator: "torch.Generator") -> "Tensor":
    import torch

    from genlab.models.base import DrawsPixels

    if not isinstance(loaded.model, DrawsPixels):
        raise UsageError(f"binary=true: {type(loaded.model).__name__} has no distribution of pixels to draw from")
    return torch.cat([loaded.model.draw_pixels(part, generator) for part in mean.split(batch_size)])


def test_images(loaded: "LoadedRun", count: int) -> "Tensor":
    """The first ``count`` images of the test split, else of those held out for validation, else of training."""
    import torch

    from genlab.datasets.loader import Chosen

    loaded.dataset.setup()
    source = next(
        loaded.dataset.sources[split] for split in ("test", "validation", "train") if split in loaded.dataset.sources
    )
    if len(source) < count:
        raise DataError(
            f"'{loaded.dataset.name}' has {len(source)} such images, {count} are needed: a smaller num_samples"
        )
    return source.__getitems__(Chosen(-1, torch.arange(count))).images.to(loaded.model.device)


def check_folder(folder: Path) -> None:
    """Only an earlier sampling may be replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "samples.npz").is_file():
        raise RunError(f"output={folder} holds other files, and nothing of yours is overwritten: name a new folder")
    if folder.is_file():
        raise RunError(f"output={folder} is a file: name a folder")


def write(samples: "Tensor", columns: int, folder: Path) -> list[str]:
    """Writes the array and, of images, the grid and single files; returns their names."""
    import numpy as np
    from torchvision.utils import save_image

    from genlab.callbacks.sample_grid import image_grid

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    np.savez_compressed(folder / "samples.npz", samples=samples.numpy())
    if samples.ndim != 4:
        return ["samples.npz"]
    save_image(image_grid(samples, columns), folder / "grid.png")
    digits = max(4, len(str(len(samples) - 1)))
    for number, image in enumerate(samples.clamp(-1, 1)):
        save_image((image + 1) / 2, folder / f"{number:0{digits}}.png")
    return ["grid.png", "samples.npz", f"{0:0{digits}}.png", "…"]
