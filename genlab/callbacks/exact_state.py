"""Makes a run a pure function of its configuration: all randomness and the order of data follow from seed and step.

Nothing random has to be saved. Before each batch torch's generator is seeded from (seed, step): validation,
logging and previews cannot change the training, and a resumed run draws what the uninterrupted one would have.
"""

from typing import Any

import pytorch_lightning as pl
import torch

from genlab.callbacks.progress import finite, reported, validated
from genlab.checkpoint import stamp
from genlab.datasets.base import dataset_of
from genlab.datasets.loader import mixed_seed


def seed_torch(*parts: object) -> None:
    """Seeds the generators of the CPU and of all GPUs.

    It is called before every batch: ``torch.manual_seed`` costs 145 µs, a few per cent of a small model's step, because
    it looks for every kind of device; this costs 2 µs on the CPU.
    """
    seed = mixed_seed(*parts)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


class ExactState(pl.Callback):
    """Seeds each step, counts steps in batches, and puts the data loader back where the checkpoint left it.

    Args:
        config: the resolved configuration, written into each checkpoint.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_torch(self.config["seed"], "start")
        loops = trainer.fit_loop, trainer.fit_loop.epoch_loop
        if trainer.fit_loop.restarted_on_epoch_end:
            # Where `max_steps` is set, Lightning takes an epoch that is over for one to go on with, and would skip the
            # next one instead.
            trainer.fit_loop.epoch_progress.increment_completed()
            for loop in loops:
                loop.reset_restart_stage()
                loop._restarting = False  # its setter would leave it True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert trainer.train_dataloader is not None
        trainer.train_dataloader.batch_sampler.set_epoch(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed_torch(self.config["seed"], trainer.global_step)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_torch(self.config["seed"], "validation")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Models call their optimizers themselves, so Lightning's step counter would stay at 0; with one count a batch
        # `max_steps` and `global_step` mean batches for every model, however many optimizers it has.
        trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_completed()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        dataset = dataset_of(trainer)
        checkpoint["genlab"] = stamp(self.config, dataset.fingerprint()) | {
            "step": trainer.global_step,
            "batches": trainer.num_training_batches,
            "should_stop": trainer.should_stop,
            "metrics": finite(reported(pl_module) | validated(trainer)),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        about = checkpoint["genlab"]
        # Of a network that does not take its turn with every batch, the newest value may be older than the checkpoint.
        reported(pl_module).update(
            {name: value for name, value in about["metrics"].items() if name.startswith("train/")}
        )
        epoch, batch = divmod(about["step"], about["batches"])
        dataset_of(trainer).resume_at(epoch, batch)
