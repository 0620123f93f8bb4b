"""What was drawn of a model, and the files it becomes: an array, pictures, GIFs and videos."""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import save_image

from genlab.applied.results import make
from genlab.callbacks.sample_grid import image_grid
from genlab.errors import MissingExtraError, RunError, UsageError
from genlab.plots import latent_scatter, samples_frame
from genlab.texts import blocks

COUNT = 64
"""Images that are drawn, if nobody says how many."""

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".npz")
"""What nobody calls a folder."""

WRITTEN = re.compile(r"samples\.(npz|png|txt|csv)|(grid|scatter)\.png|(walk|chain|growth)\.(gif|mp4)|\d{4,}\.png")
"""The names of all that is ever written."""

COLUMNS = 8
FRAMES_PER_SECOND = 10


@dataclass(frozen=True)
class Drawn:
    """What was drawn, on the CPU.

    Args:
        samples: images ``(N, C, H, W)`` in [-1, 1], of a chain ``(num_frames, N, C, H, W)``; rows of a table, and
            latents of a ``scatter``, ``(N, D)``.
        columns: of the grid.
        picture: ``grid`` of the images; ``plane``: rows of two columns, over the array ``data``; ``scatter`` of
            latents; ``chain`` and ``growth``: a movie; ``walk``: a
            grid of which each row is a walk, and the movie of all walks.
        arrays: further arrays by name; ``labels`` of a scatter.
        class_names: by label.
        column_names: of rows of a table, if they have any.
        facts: numbers to print.
        texts: what was drawn, if it is text; ``samples`` are then its code points.
        given: the texts that these were made of, if that is worth showing.
    """

    samples: Tensor
    columns: int = COLUMNS
    picture: Literal["grid", "plane", "scatter", "chain", "growth", "walk"] = "grid"
    arrays: dict[str, Tensor] = field(default_factory=dict)
    class_names: list[str] | None = None
    column_names: list[str] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)


def check_folder(folder: Path) -> None:
    """Only an earlier sampling may be replaced, to which nothing was added since.

    Raises:
        RunError: something else is there.
        UsageError: it has the name of a picture.
    """
    if folder.suffix.lower() in PICTURES and not folder.exists():
        raise UsageError(f"output={folder}: several files are written; name a folder")
    if folder.is_file():
        raise RunError(f"output={folder} is a file: name a folder")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names and not ("samples.npz" in names and all(map(WRITTEN.fullmatch, names))):
        raise RunError(f"output={folder} holds other files, and nothing of yours is overwritten: name a new folder")


def write(drawn: Drawn, folder: Path, video: bool) -> list[str]:
    """Writes the array and the pictures or texts; returns their names."""
    make(folder)
    for old in (path for path in folder.iterdir() if WRITTEN.fullmatch(path.name)):
        old.unlink()
    arrays: dict[str, Any] = {name: array.cpu().numpy() for name, array in drawn.arrays.items()}
    np.savez_compressed(folder / "samples.npz", samples=drawn.samples.numpy(), **arrays)
    return [*write_pictures(drawn, folder, video), "samples.npz"]


def write_pictures(drawn: Drawn, folder: Path, video: bool) -> list[str]:
    images = drawn.samples
    if drawn.texts:
        (folder / "samples.txt").write_text(blocks(drawn.texts, drawn.given), encoding="utf-8")
        return ["samples.txt"]
    if drawn.picture == "scatter":
        latent_scatter(images, drawn.arrays["labels"], drawn.class_names, folder / "scatter.png")
        return ["scatter.png"]
    if drawn.picture == "plane":
        samples_frame(drawn.arrays["data"], images, f"{len(images):,} samples", folder / "samples.png")
        return ["samples.png", write_rows(drawn, folder)]
    if drawn.picture in ("chain", "growth"):
        return write_movie(images, drawn.picture, folder, video)
    if images.ndim == 2:
        return [write_rows(drawn, folder)]
    if images.ndim != 4:
        return []
    save_image(image_grid(images, drawn.columns), folder / "grid.png")
    digits = max(4, len(str(len(images) - 1)))
    names = [f"{number:0{digits}}.png" for number in range(len(images))]
    for name, image in zip(names, images.clamp(-1, 1), strict=True):
        save_image((image + 1) / 2, folder / name)
    if drawn.picture == "walk":
        frames = images.unflatten(0, (-1, drawn.columns)).transpose(0, 1)
        return [*write_movie(frames, "walk", folder, video), "grid.png", *names]
    return ["grid.png", *names]


def write_rows(drawn: Drawn, folder: Path) -> str:
    """A table like the one that was trained on; 9 digits are those of a float32."""
    with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([drawn.column_names] if drawn.column_names else [])
        writer.writerows([f"{value:.9g}" for value in row] for row in drawn.samples.tolist())
    return "samples.csv"


def write_movie(frames: Tensor, name: str, folder: Path, video: bool) -> list[str]:
    """A GIF of images ``(num_frames, N, C, H, W)``, side by side, and the same as MP4 if ``video``."""
    pictures = [to_pil_image(image_grid(frame, COLUMNS)) for frame in frames]
    durations = [1000 // FRAMES_PER_SECOND] * len(pictures)  # milliseconds
    if name == "growth":
        durations[-1] = 2000  # to look at the whole image
    pictures[0].save(folder / f"{name}.gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    if not video:
        return [f"{name}.gif"]
    write_video(pictures, folder / f"{name}.mp4")
    return [f"{name}.gif", f"{name}.mp4"]


def video_library() -> Any:
    """PyAV, which comes with the extra ``video``; it is not imported before a video is wanted.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("video=true needs PyAV; without it there is the GIF", "video") from error
    return av


def write_video(pictures: list[Image.Image], path: Path) -> None:
    """An H.264 video, whose sides must be even: an odd one grows by a black line."""
    av = video_library()
    width, height = pictures[0].size
    with av.open(str(path), "w") as file:
        stream = file.add_stream("h264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, stream.width, stream.height)))
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
