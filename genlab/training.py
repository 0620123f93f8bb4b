"""From a configuration to a trained model: what ``train`` and ``resume`` share."""

import ctypes
import logging
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from rich.console import Console
from torch import nn

from genlab.callbacks.averaged_weights import AveragedWeights
from genlab.callbacks.board import Board
from genlab.callbacks.checkpoints import Checkpoints
from genlab.callbacks.csv_log import CSVLog
from genlab.callbacks.exact_state import ExactState
from genlab.callbacks.progress import TrainingProgress, finite, reported, validated
from genlab.callbacks.sample_grid import SampleGrid
from genlab.callbacks.schedule import Schedule
from genlab.callbacks.watchdog import Watchdog
from genlab.checkpoint import AtomicCheckpointIO
from genlab.config import build
from genlab.config.devices import cpu_bf16, num_cores
from genlab.datasets.base import Dataset
from genlab.ending import conclude
from genlab.errors import GenlabError, ResourceError, UsageError
from genlab.models.base import GenerativeModel
from genlab.processes import lost_process, processes_here
from genlab.run import CONVERGED, TIME_IS_OVER, Run


def build_model(config: dict[str, Any]) -> GenerativeModel:
    """The untrained model; the same seed gives the same weights.

    With ``precision=64-true`` it is double from the start: Lightning would load a checkpoint before it makes it so.
    """
    torch.manual_seed(config["seed"])
    model = build(config["model"], "model")
    assert isinstance(model, GenerativeModel)
    return model.double() if config["precision"] == "64-true" else model


def resolve_threads(threads: int | str, processes: int = 1) -> int:
    """How many threads torch computes with.

    ``auto`` is what OMP_NUM_THREADS says; else this process's share of all cores on an idle machine and one beside
    other work, because threads that spin at barriers make a shared machine 10 to 20 times slower.

    Args:
        processes: that train one model on this computer.
    """
    if isinstance(threads, int):
        return threads
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    cores = num_cores()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, cores // processes) if busy < cores / 2 else 1


def choose_device(name: str) -> torch.device:
    """Where to compute without training: ``auto`` is a GPU if there is one.

    Raises:
        ResourceError: it is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    chosen = next(kind for kind, is_there in there.items() if is_there) if name == "auto" else name
    if not there[chosen]:
        available = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise ResourceError(f"device={name}: this computer has none that torch can use\navailable: {available}")
    return torch.device(chosen)


def keep_freed_memory() -> None:
    """Lets glibc keep large freed blocks: returning them to the system costs a page fault per 4 kB at the next use.

    PixelCNN-sized activations train 1.3 times faster, small models the same; elsewhere than on glibc nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        # The numbers are malloc.h's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD.
        for option, value in ((-3, 2**31 - 1), (-1, 2**31 - 1), (-2, 64 << 20)):
            libc.mallopt(option, value)


def answer_device_checks_quickly() -> None:
    """Undoes a setting of Lightning's import that makes each of torch's checks for a GPU load NVML anew.

    torch's optimizers check at every step: 42 µs instead of 1, more than one per cent of a small model's step.
    """
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


def native_bf16(accelerator: pl.accelerators.Accelerator) -> str | None:
    """What computes bf16 natively on the device in use, or None."""
    if isinstance(accelerator, pl.accelerators.CUDAAccelerator):
        return "GPU" if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if isinstance(accelerator, pl.accelerators.CPUAccelerator) and (unit := cpu_bf16()):
        return f"CPU ({unit})"
    return None


def quieten() -> None:
    """Leaves of Lightning's start-up chatter only what a user can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # What it says when one of several processes dies, before it ends the others.
    logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script").setLevel(logging.INFO)
    for message in (
        ".*does not have many workers.*",
        ".*configure_optimizers` returned `None`.*",
        ".*your dataloader is not resumable.*",  # ours are: resume_at
        ".*`training_step` returned `None`.*",
        ".*smaller than the logging interval.*",
        ".*isinstance.*LeafSpec.*",
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*Total length of `list` across ranks is zero.*",  # no validation items
    ):
        warnings.filterwarnings("ignore", message)


def prepare(config: dict[str, Any]) -> tuple[GenerativeModel, Dataset]:
    """The untrained model and its loaded data: all that can be wrong with them is found before a run folder is made.

    Raises:
        DataError: the data are missing, damaged or of another layout.
        UsageError: model and data do not go together.
    """
    torch.set_num_threads(config["threads"])
    processes = processes_here(config["accelerator"])
    if processes > 1:  # else Lightning says how many
        os.environ.setdefault("OMP_NUM_THREADS", str(config["threads"]))
    dataset = build(config["dataset"], "dataset")
    assert isinstance(dataset, Dataset)
    dataset.setup()
    model = build_model(config)
    model.check_data(dataset)
    for name, node in (config["callbacks"] or {}).items():
        if isinstance(callback := build(node, f"callbacks.{name}"), AveragedWeights):
            callback.check_model(model)
    processes *= config["accelerator"]["num_nodes"]
    has_batch_norm = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if has_batch_norm and 0 < dataset.smallest_batch(processes) < model.least_batch:
        raise UsageError(
            f"{dataset.sizes()['train']} training items in batches of {dataset.batch_size} leave a last batch of one, "
            f"which the batch norm of {type(model).__name__} cannot normalize\n"
            f"choose another batch size: dataset.batch_size={dataset.nearest_batch_size(2, processes)}"
        )
    return model, dataset


def fit(
    run: Run,
    config: dict[str, Any],
    model: GenerativeModel,
    dataset: Dataset,
    checkpoint: Path | None = None,
    resumed_step: int = 0,
) -> None:
    """Trains in a run folder, from the start or from a checkpoint of it, and reports.

    Args:
        resumed_step: batches done at the checkpoint.

    Raises:
        GenlabError: whatever stopped it; status.json says so too.
    """
    quieten()
    keep_freed_memory()
    answer_device_checks_quickly()
    console = Console()
    pictures = {name: build(node, f"callbacks.{name}") for name, node in (config["callbacks"] or {}).items()}
    checkpoints = Checkpoints(run, model.best_by, **config["checkpoint"])
    board = Board(run, resumed_step if checkpoint else None)
    trainer = build(
        config["trainer"],
        "trainer",
        **config["accelerator"],
        precision=config["precision"],
        callbacks=[
            ExactState(config),
            Watchdog(config["seed"]),
            *([Schedule(build(config["schedule"], "schedule"))] if config["schedule"] else []),
            *([TrainingProgress()] if config["trainer"]["enable_progress_bar"] else []),
            *pictures.values(),
            checkpoints,
        ],
        logger=[board, CSVLog(run.folder / "log.csv", resumed_step)],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=run.folder,
        use_distributed_sampler=False,  # the loaders cut each batch by rank themselves
        enable_model_summary=False,
        enable_progress_bar=False,  # Lightning's own: ours is among the callbacks
    )
    if trainer.is_global_zero:
        about = f"{type(model).__name__} on {config['dataset']['name']} in {run.folder}"
        console.print(about, soft_wrap=True, highlight=False, markup=False)
        has_convolutions = any(isinstance(module, nn.modules.conv._ConvNd) for module in model.modules())
        if has_convolutions and config["precision"] == "32-true" and (unit := native_bf16(trainer.accelerator)):
            console.print(
                f"This {unit} computes in bf16: precision=bf16-mixed trains convolutions about 2 times faster"
            )
        if checkpoint is None:
            board.write_config(config)
        run.write_status(state="running", reason=None, pruned=None)  # of an earlier end
    try:
        trainer.fit(model, datamodule=dataset, ckpt_path=checkpoint, weights_only=True)
        if trainer.global_step == 0:
            checkpoints.save(trainer, model, best=True)  # a budget of nothing still gives a model
    except BaseException as error:
        found = lost_process(error, trainer) or error
        if trainer.is_global_zero:
            why = str(found) if isinstance(found, GenlabError) else repr(found)
            stopped = isinstance(found, KeyboardInterrupt) or getattr(found, "exit_code", 1) > 128
            run.write_status(state="interrupted" if stopped else "failed", reason=why)
        if found is error:
            raise
        raise found from error
    if trainer.is_global_zero:
        grids = [callback for callback in pictures.values() if isinstance(callback, SampleGrid)]
        metrics = finite(reported(model) | validated(trainer))
        timer = next((callback for callback in trainer.callbacks if isinstance(callback, Timer)), None)
        # Lightning counts an epoch that was broken off, too.
        done, epochs = trainer.global_step // int(trainer.num_training_batches), trainer.max_epochs
        reason = None
        is_late = timer is not None and (timer.time_remaining() or 0) <= 0
        if is_late and done != epochs:
            reason = TIME_IS_OVER
            of = f"{done} of {epochs}" if epochs != -1 else f"{done}"
            console.print(f"{TIME_IS_OVER}, with {of} epochs done", highlight=False)
        elif trainer.should_stop and not is_late and run.status.get("pruned") is None:
            reason = CONVERGED
            console.print(f"converged after epoch {done}", highlight=False)
        picture = grids[0].last_picture if grids else None
        conclude(run, config, board, metrics, picture, reason, has_held_out=len(dataset.sources) > 1)
