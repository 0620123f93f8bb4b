"""How a model of items in the plane learns: the components of a mixture move, samples find the data."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.datasets.base import dataset_of
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError
from genlab.models.capabilities import HasComponents, Samples


class PlaneMovie(pl.Callback):
    """Writes ``samples/frames/epoch-*.png`` after each pass and a GIF of them all at the end.

    It is ``samples/mixture.gif`` of a mixture and ``samples/learning.gif`` of other models that draw samples. Of items
    that have more than two columns it writes nothing.

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
        is_last = trainer.fit_loop.done
        if not trainer.is_global_zero or not self.is_possible or (epoch > self.max_frames and not is_last):
            return
        dataset = dataset_of(trainer)
        is_mixture = isinstance(pl_module, HasComponents)
        if not (is_mixture or isinstance(pl_module, Samples)) or tuple(dataset.data_shape) != (2,):
            self.is_possible = False
            return
        from genlab.plots import mixture_frame, samples_frame

        source = dataset.sources["train"]
        items = source.__getitems__(Chosen(-1, torch.arange(0, len(source), max(1, len(source) // 2000))))[0]
        frames = Path(trainer.default_root_dir) / "samples" / "frames"
        frames.mkdir(parents=True, exist_ok=True)
        path = frames / f"epoch-{epoch:04d}.png"
        try:
            if isinstance(pl_module, HasComponents):
                mixture_frame(items, pl_module.components(), pl_module.log_likelihood, f"after pass {epoch}", path)
            else:
                samples_frame(items, self.samples(pl_module), f"after step {trainer.global_step}", path)
        except UsageError as error:
            rank_zero_warn(f"no picture of the plane: {error}")
            self.is_possible = False
            return
        if is_last:
            pictures = [Image.open(path) for path in sorted(frames.glob("epoch-*.png"))]
            lasting = [200] * (len(pictures) - 1) + [2000]
            pictures[0].save(
                frames.parent / f"{'mixture' if is_mixture else 'learning'}.gif",
                save_all=True,
                append_images=pictures[1:],
                duration=lasting,
                loop=0,
            )

    @torch.no_grad()
    def samples(self, model: pl.LightningModule) -> Tensor:
        """2,000 points, the same latents in every frame."""
        assert isinstance(model, Samples)
        was_training = model.training
        model.eval()
        drawn = model.sample(2000, None, torch.Generator().manual_seed(0)).cpu()
        model.train(was_training)
        return drawn
