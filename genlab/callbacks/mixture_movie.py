"""How a mixture of items in the plane moves while it is fitted."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_warn

from genlab.datasets.base import dataset_of
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError
from genlab.models.base import HasComponents


class MixtureMovie(pl.Callback):
    """Writes ``samples/frames/epoch-*.png`` after each pass and ``samples/mixture.gif`` of them all at the end.

    Of models that are no mixture, or of items that have more than two columns, it writes nothing.

    Args:
        max_frames: later passes than so many are drawn only if they are the last.
    """

    def __init__(self, max_frames: int) -> None:
        if max_frames < 1:
            raise ValueError(f"max_frames={max_frames} must be at least 1")
        self.max_frames = max_frames
        self.is_possible = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        is_last = epoch == trainer.max_epochs or trainer.should_stop
        if not trainer.is_global_zero or not self.is_possible or (epoch > self.max_frames and not is_last):
            return
        dataset = dataset_of(trainer)
        if not isinstance(pl_module, HasComponents) or tuple(dataset.data_shape) != (2,):
            self.is_possible = False
            return
        from genlab.plots import mixture_frame

        source = dataset.sources["train"]
        items = source.__getitems__(Chosen(-1, torch.arange(0, len(source), max(1, len(source) // 2000))))[0]
        frames = Path(trainer.default_root_dir) / "samples" / "frames"
        frames.mkdir(parents=True, exist_ok=True)
        path = frames / f"epoch-{epoch:04d}.png"
        try:
            mixture_frame(items, pl_module.components(), pl_module.log_likelihood, f"after pass {epoch}", path)
        except UsageError as error:
            rank_zero_warn(f"no picture of the mixture: {error}")
            self.is_possible = False
            return
        if is_last:
            pictures = [Image.open(path) for path in sorted(frames.glob("epoch-*.png"))]
            lasting = [200] * (len(pictures) - 1) + [2000]
            pictures[0].save(
                frames.parent / "mixture.gif", save_all=True, append_images=pictures[1:], duration=lasting, loop=0
            )
