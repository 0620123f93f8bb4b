"""Says where a value that is not finite came from, and that a training has collapsed."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn

from genlab.callbacks.exact_state import seed_torch
from genlab.callbacks.progress import reported
from genlab.errors import CollapseError, NumericError

COLLAPSED = 0.1
"""Nats an image, of all latents together, below which a posterior tells as good as nothing of the image."""


class Watchdog(pl.Callback):
    """Adds to a NumericError the first bad layer, by running the failed step again with every layer watched.

    Warns once if an epoch ends with a posterior that has collapsed to the prior, by the reported ``train/kl``.

    Args:
        seed: of the run; the step is run again with the same random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.batch: Any = None
        self.has_warned = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        kl = reported(pl_module).get("train/kl")
        if kl is not None and kl < COLLAPSED and not self.has_warned:
            self.has_warned = True
            rank_zero_warn(
                f"the posterior has collapsed: after step {trainer.global_step} its KL divergence from the prior is "
                f"{kl:.2g} nats an image, of all latents together, so that the latents say nothing of the image\n"
                "train with a smaller model.beta, or with model.kl_warmup_epochs or model.free_bits"
            )

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, NumericError) and not isinstance(exception, CollapseError):
            seed_torch(self.seed, trainer.global_step)
            where = first_bad(pl_module, self.batch)
            exception.args = (f"{exception.args[0]} at step {trainer.global_step + 1}: {where}",)


def first_bad(model: pl.LightningModule, batch: Any) -> str:
    """The first place with a value that is not finite: the data, a weight, or a layer's output."""
    for name, tensor in batch._asdict().items() if hasattr(batch, "_asdict") else ():
        if _is_bad(tensor):
            return f"the batch itself holds such values in '{name}'"
    for name, tensor in model.named_parameters():
        if _is_bad(tensor):
            return f"the first such values are in the weight '{name}', written by an earlier step"
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and _is_bad(output):
                found.append(f"the first such values come out of the layer '{name}' ({type(module).__name__})")

        return hook

    layers = [(name, layer) for name, layer in model.named_modules() if name and not list(layer.children())]
    handles = [layer.register_forward_hook(watch(name)) for name, layer in layers]
    try:
        model.training_step(batch, 0)
    except NumericError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    # Gradients flow from the loss back, so the one nearest to it is where they went wrong.
    bad = [name for name, weight in model.named_parameters() if _is_bad(weight.grad)]
    if bad:
        return f"every layer's output is finite; the first such gradient is that of the weight '{bad[-1]}'"
    return "every layer's output is finite, so they arise in the loss itself"


def _is_bad(value: Any) -> bool:
    if isinstance(value, tuple | list):  # of recurrent layers
        return any(map(_is_bad, value))
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all())
