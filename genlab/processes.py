"""Processes beside this one: those that train one model with it, and what it means if one is gone; and fresh ones."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from typing import Any

import pytorch_lightning as pl
import torch

from genlab.errors import ResourceError


def is_main_process() -> bool:
    """Whether this is the one process that writes, among those that train one model."""
    rank = next((os.environ[name] for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), "0")
    return rank == "0"


def launched_from_outside() -> bool:
    """Whether torchrun or SLURM started this process together with others of the same run."""
    return any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS"))


def processes_here(accelerator: Mapping[str, Any]) -> int:
    """How many train one model on this computer.

    Args:
        accelerator: the node of that name of a configuration.
    """
    devices = accelerator["devices"]
    if devices == "auto":
        return max(1, torch.cuda.device_count()) if accelerator["accelerator"] in ("auto", "gpu", "cuda") else 1
    return len(devices) if isinstance(devices, list) else devices


def fresh_processes() -> ForkServerContext:
    """Of processes that have nothing of this one; a server imports for all of them once, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["genlab.training", "genlab.loaded_run"])
    return context


def lost_process(error: BaseException, trainer: pl.Trainer) -> ResourceError | None:
    """What it means if an exchange with other processes broke: one is gone, and which one, as far as is known."""
    if trainer.world_size == 1 or not isinstance(error, RuntimeError):
        return None
    if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
        return None
    gone = "another process of this training is gone, or did not answer in time; what it said, if any, is above"
    launcher: Any = trainer.strategy.launcher
    for rank, process in enumerate(getattr(launcher, "procs", []), start=1):
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
        if code:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            gone = f"process {rank} of 0 to {trainer.world_size - 1}, PID {process.pid}, {how}"
            break
    return ResourceError(
        f"{gone}\nall others have stopped; `genlab resume {trainer.default_root_dir}` goes on from the last checkpoint"
    )
