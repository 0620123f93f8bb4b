"""Pictures while a model trains: samples, reconstructions, translations, whichever the model has."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn import functional
from torchvision.utils import make_grid, save_image

from genlab.callbacks.averaged_weights import exchanged, kept_by
from genlab.datasets.base import dataset_of
from genlab.datasets.batches import Images, LabelledUnpairedImages, PairedImages, UnpairedImages
from genlab.datasets.loader import Chosen, mixed_items
from genlab.models.capabilities import (
    Corrupts,
    Reconstructs,
    Restores,
    RewritesText,
    Samples,
    TakesText,
    Translates,
)
from genlab.texts import TEXTS, texts_for_show

TILE = 56


def image_grid(images: Tensor, columns: int) -> Tensor:
    """One picture of many; small images are enlarged, each pixel to a square, to about ``TILE`` pixels.

    Shapes:
        images: ``(N, C, H, W)`` in [-1, 1].
        returns: ``(3, ·, ·)`` in [0, 1].
    """
    times = max(1, round(TILE / images.shape[2]))
    enlarged = images.float().clamp(-1, 1).repeat_interleave(times, 2).repeat_interleave(times, 3)
    return make_grid(enlarged, nrow=columns, normalize=True, value_range=(-1, 1), pad_value=0.5)


def tiles_per_image(model: Any) -> int:
    """Images that ``reconstructions`` gives for one: itself, the reconstruction, and the corrupted one between them."""
    return 3 if isinstance(model, Corrupts) else 2


def reconstructions(
    model: Reconstructs, images: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Tensor:
    """Each image, followed by its corruption where the model undoes one, and by the reconstruction.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> ``(tiles_per_image · N, C, H, W)``.

    Args:
        batch_size: images computed at a time; changes nothing.
        generator: of a draw of the latents; None takes the most likely ones.
    """
    rows = [images]
    if isinstance(model, Corrupts):
        rows.append(model.corrupt(images, generator or torch.Generator().manual_seed(0)))
    rows.append(torch.cat([model.decode(model.encode(part, generator)) for part in rows[-1].split(batch_size)]))
    return torch.stack(rows, dim=1).flatten(0, 1)


def translations(model: Translates, batch: Any) -> list[Tensor]:
    """What is shown of each item of a batch, from left to right: images ``(N, C, H, W)`` in [-1, 1].

    Of pairs the source, its translation and the target. Of two domains an image of the first and its translation, then
    back again where the model knows the way; and the same of the second. Of images that the model is to restore: as
    they were degraded, enlarged by squares; restored; as they are. Of other images each and its translation.

    Raises:
        TypeError: the batch is none of images.
    """
    if isinstance(batch, PairedImages):
        return [batch.source, model.translate(batch.source), batch.target]
    if isinstance(batch, Images) and isinstance(model, Restores):
        degraded = model.degrade(batch.images, torch.Generator().manual_seed(0))
        as_large = functional.interpolate(degraded, batch.images.shape[2:], mode="nearest")
        return [as_large, model.translate(degraded), batch.images]
    if isinstance(batch, Images):
        return [batch.images, model.translate(batch.images)]
    if not isinstance(batch, UnpairedImages | LabelledUnpairedImages):
        raise TypeError(f"a {type(batch).__name__} holds no images to translate")
    if model.directions == ("x_to_y",):
        return [batch.first, model.translate(batch.first)]
    y, x = model.translate(batch.first, "x_to_y"), model.translate(batch.second, "y_to_x")
    return [batch.first, y, model.translate(y, "y_to_x"), batch.second, x, model.translate(x, "x_to_y")]


def tiles_per_translation(model: Translates, batch_type: Any) -> int:
    """Images that ``translations`` gives for each item of such a batch."""
    if issubclass(batch_type, PairedImages) or (issubclass(batch_type, Images) and isinstance(model, Restores)):
        return 3
    return 2 if issubclass(batch_type, Images) or model.directions == ("x_to_y",) else 6


class SampleGrid(pl.Callback):
    """Writes ``samples/epoch-*.png`` and the same picture to TensorBoard every ``every_n_epochs`` and after the last.

    Of a model of text it writes ``samples/epoch-*.txt`` and TensorBoard's text instead, 4 texts at most.

    The seed is always 0, so the pictures of one run show the same samples as they become clear. Networks whose weights
    are averaged draw with the averages.

    Args:
        every_n_epochs: epochs between two pictures.
        num_samples: images in the picture.
    """

    def __init__(self, every_n_epochs: int, num_samples: int) -> None:
        if every_n_epochs < 1 or num_samples < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs} and num_samples={num_samples} must be at least 1")
        self.every_n_epochs = every_n_epochs
        self.num_samples = num_samples
        self.last_picture: Path | None = None
        """Of samples or, if the model draws none, of translations or reconstructions."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        is_last = trainer.fit_loop.done
        if trainer.is_global_zero and (epoch % self.every_n_epochs == 0 or is_last):
            self.draw(trainer, pl_module, f"epoch-{epoch:04d}")

    @torch.no_grad()
    def draw(self, trainer: pl.Trainer, model: pl.LightningModule, name: str) -> None:
        """Writes one picture of each kind that the model can give; models of tables give none."""
        was_training = model.training
        model.eval()
        with exchanged(model, kept_by(trainer)):
            pictures = self.pictures(trainer, model, name)
        self.last_picture = pictures[0] if pictures else None
        model.train(was_training)

    def pictures(self, trainer: pl.Trainer, model: pl.LightningModule, name: str) -> list[Path]:
        pictures: list[Path] = []
        if isinstance(model, TakesText | RewritesText):
            texts = texts_for_show(model, dataset_of(trainer), min(self.num_samples, TEXTS))
            pictures.append(self.write_texts(trainer, texts, name))
        elif isinstance(model, Samples):
            samples = model.sample(self.num_samples, None, torch.Generator().manual_seed(0))
            if samples.ndim == 4:
                if torch.equal(samples, samples[:1].expand_as(samples)):  # the one picture that the model is of
                    samples = samples[:1]
                pictures.append(self.write(trainer, samples, "samples", name, columns=8))
        if isinstance(model, Translates):
            tiles = tiles_per_translation(model, dataset_of(trainer).batch_type)
            if (batch := self.held_out(trainer, tiles)) is not None:
                parts = [part.float() for part in translations(model, batch)]
                rows = torch.stack(parts, dim=1).flatten(0, 1)
                pictures.append(self.write(trainer, rows, "translations", name, columns=max(1, 8 // tiles) * tiles))
        elif isinstance(model, Reconstructs):
            tiles = tiles_per_image(model)
            batch = self.held_out(trainer, tiles)
            if isinstance(batch, Images):
                shown = reconstructions(model, batch.images, len(batch.images))
                pictures.append(self.write(trainer, shown, "reconstructions", name, columns=8 // tiles * tiles))
        return pictures

    def held_out(self, trainer: pl.Trainer, tiles: int) -> Any:
        """As many validation items as make ``num_samples`` images of so many tiles, or None if there are none."""
        source = dataset_of(trainer).sources.get("validation")
        if source is None:
            return None
        items = mixed_items(len(source), max(1, self.num_samples // tiles))
        batch = trainer.strategy.batch_to_device(source.__getitems__(Chosen(-1, items)))
        return trainer.precision_plugin.convert_input(batch)

    def write_texts(self, trainer: pl.Trainer, texts: str, name: str) -> Path:
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.txt"
        path.write_text(texts, encoding="utf-8")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("samples", f"```\n{texts}```", max(trainer.global_step - 1, 0))
        return path

    def write(self, trainer: pl.Trainer, images: Tensor, kind: str, name: str, columns: int) -> Path:
        grid = image_grid(images, columns)
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}{'' if kind == 'samples' else f'-{kind}'}.png"
        save_image(grid, path)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # Loggers count batches from 0, so the batch that was just trained has this number.
                logger.experiment.add_image(kind, grid, max(trainer.global_step - 1, 0))
        return path
