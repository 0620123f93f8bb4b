"""Rehearsals of a training: some real steps in a process of their own, which tell its time and memory."""

import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.flop_counter import FlopCounterMode

from genlab.config.devices import num_cores
from genlab.ending import seconds_of
from genlab.errors import GenlabError, ResourceError
from genlab.processes import fresh_processes, processes_here
from genlab.run import Run

UNTIMED = 2
"""Steps before the clock counts: the first ones find their memory and their kernels."""

ENOUGH = 12
"""Timed steps at most."""

MARGIN = 0.9
"""Of the memory, which may be used."""


class Clock(pl.Callback):
    """Times each step of a rehearsal, counts the operations of the first, and writes all into ``path`` at the end."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.steps: list[float] = []
        self.flops = 0
        self.started = self.ended = 0.0
        self.counter: FlopCounterMode | None = None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        synchronize(pl_module.device)
        self.ended = time.perf_counter()
        self.steps.append(self.ended - self.started)
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            self.flops, self.counter = self.counter.get_total_flops(), None

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        is_gpu = pl_module.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() if is_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        unit = 1 if is_gpu or sys.platform == "darwin" else 1024  # Linux counts kilobytes
        timed = self.steps[UNTIMED:] or self.steps
        measured = {"seconds_per_step": statistics.mean(timed), "flops_per_step": self.flops, "peak": peak * unit}
        measured |= {"seconds_after_epoch": time.perf_counter() - self.ended}
        measured["parameters"] = sum(weight.numel() for weight in pl_module.parameters())
        checkpoint = max(trainer_checkpoints(trainer), default=0)
        self.path.write_text(json.dumps(measured | {"checkpoint_bytes": checkpoint}), encoding="utf-8")


def trainer_checkpoints(trainer: Any) -> list[int]:
    """Bytes of the checkpoints that the rehearsal has written."""
    return [path.stat().st_size for path in Path(trainer.default_root_dir, "checkpoints").glob("*.ckpt")]


def synchronize(device: torch.device) -> None:
    """Waits for the work that a GPU was given."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


def plan(config: dict[str, Any], available: int, bandwidth: float, where: Path) -> dict[str, Any]:
    """What a training takes.

    Args:
        available: bytes of memory.
        bandwidth: bytes a second between processes.
        where: a folder on the disk that runs are written to.

    Raises:
        ResourceError: it does not fit into the memory.
        GenlabError: it cannot start.
    """
    batch_size, processes = config["dataset"]["batch_size"], number_of_processes(config)
    own = max(1, batch_size // processes)
    small, large = max(1, own // 4), max(2, own // 2)
    with tempfile.TemporaryDirectory(prefix="genlab-plan-") as folder:
        peaks = [rehearse(config, Path(folder) / str(size), size, False)["peak"] for size in (small, large)]
        an_item = max(0.0, (peaks[1] - peaks[0]) / (large - small))
        constant = peaks[0] - small * an_item
        largest = int((MARGIN * available - constant) / an_item) if an_item else None
        if constant + own * an_item > MARGIN * available:
            fits = (
                f"dataset.batch_size={max(0, largest or 0) * processes} would" if (largest or 0) > 0 else "none would"
            )
            raise ResourceError(
                f"dataset.batch_size={batch_size} needs about {(constant + own * an_item) / 1e9:.2f} GB of memory a "
                f"process, and {MARGIN:.0%} of {available / 1e9:.2f} GB may be used\nof the batch sizes, {fits} fit"
            )
        measured = rehearse(config, Path(folder) / "whole", own, True)
    steps, items = steps_per_epoch(config)
    exchange = 2 * (processes - 1) / processes * 4 * measured["parameters"] / bandwidth
    step = measured["seconds_per_step"] * crowding(config) + exchange
    return {
        "parameters": measured["parameters"],
        "flops_per_step": measured["flops_per_step"],
        "seconds_per_step": step,
        "seconds_of_exchange": exchange,
        "items_per_second": min(batch_size, items) / step,
        "steps_per_epoch": steps,
        "seconds_after_epoch": measured["seconds_after_epoch"],
        "total_seconds": total_seconds(config["trainer"], steps, step, measured["seconds_after_epoch"]),
        "peak_memory_bytes": max(measured["peak"], *peaks),
        "available_memory_bytes": available,
        "batch_size": batch_size,
        "largest_batch_size": min(items, (largest or items) * processes),
        "disk_bytes": (config["checkpoint"]["keep"] + 2) * measured["checkpoint_bytes"],
        "free_disk_bytes": shutil.disk_usage(where).free,
        "processes": processes,
    }


def total_seconds(trainer: dict[str, Any], steps_per_epoch: int, step: float, after_epoch: float) -> float | None:
    """Until the first of ``max_epochs``, ``max_steps`` and ``max_time`` is used up; None if there is none of them.

    Args:
        step: seconds of one.
        after_epoch: seconds between two epochs.
    """
    steps = [trainer["max_epochs"] * steps_per_epoch] if trainer["max_epochs"] != -1 else []
    steps += [trainer["max_steps"]] if trainer["max_steps"] != -1 else []
    limits = [min(steps) * step + min(steps) // max(1, steps_per_epoch) * after_epoch] if steps else []
    limits += [seconds_of(trainer["max_time"])] if trainer["max_time"] else []
    return min(limits, default=None)


def number_of_processes(config: dict[str, Any]) -> int:
    """Of the whole training, on all computers."""
    return processes_here(config["accelerator"]) * config["accelerator"]["num_nodes"]


def crowding(config: dict[str, Any]) -> float:
    """How many threads of the processes on this computer share a core; 1 where there are enough, and of GPUs."""
    if config["accelerator"]["accelerator"] != "cpu":
        return 1.0
    return max(1.0, processes_here(config["accelerator"]) * config["threads"] / num_cores())


def steps_per_epoch(config: dict[str, Any]) -> tuple[int, int]:
    """Batches of an epoch, and training items."""
    from genlab.config import build

    dataset = build(config["dataset"], "dataset")
    dataset.setup()
    batches, limit = len(dataset.train_dataloader()), config["trainer"]["limit_train_batches"]
    steps = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return steps, dataset.sizes()["train"]


def rehearse(config: dict[str, Any], folder: Path, batch_size: int, is_whole: bool) -> dict[str, Any]:
    """Trains a little in a new process, with one device; gives what ``Clock`` measured.

    Args:
        is_whole: with as many steps as the clock needs, validation, pictures and checkpoints; else with two steps.

    Raises:
        GenlabError: as the training would.
    """
    single = config["accelerator"] | {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    steps = UNTIMED + ENOUGH if is_whole else 2
    limits = {"max_epochs": 1, "max_steps": -1, "limit_train_batches": steps, "enable_progress_bar": False}
    if not is_whole:
        limits["limit_val_batches"] = 0
    measured = folder.with_suffix(".json")
    clock = {"clock": {"_target_": f"{__name__}.Clock", "path": str(measured)}}
    shorter = {
        "trainer": config["trainer"] | limits,
        "dataset": config["dataset"] | {"batch_size": batch_size},
        "accelerator": single,
        "callbacks": clock | ((config["callbacks"] or {}) if is_whole else {}),
    }
    print(f"some steps with batches of {batch_size} …", file=sys.stderr, flush=True)
    process = fresh_processes().Process(target=train_quietly, args=(config | shorter, folder))
    process.start()
    process.join()
    failed = folder.with_suffix(".failed")
    if failed.is_file():
        code, reason = json.loads(failed.read_text(encoding="utf-8"))
        error = GenlabError(reason)
        error.exit_code = code
        raise error
    if not measured.is_file():
        raise ResourceError(f"a rehearsal with dataset.batch_size={batch_size} was killed, as for want of memory")
    return json.loads(measured.read_text(encoding="utf-8"))


def train_quietly(config: dict[str, Any], folder: Path) -> None:
    """What the process of a rehearsal does; an error of a user's is left in a file beside the folder."""
    from genlab.training import fit, prepare

    warnings.simplefilter("ignore")  # they are of the rehearsal, not of the training
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            fit(Run.create(folder), config, *prepare(config))
        except GenlabError as error:
            folder.with_suffix(".failed").write_text(json.dumps([error.exit_code, str(error)]), encoding="utf-8")


def free_memory(config: dict[str, Any]) -> int:
    """Bytes that a new process could have: of the GPU if it computes there, else of this computer or its container."""
    if config["accelerator"]["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    lines = Path("/proc/meminfo")
    if not lines.is_file():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parts = (line.partition(":") for line in lines.read_text().splitlines())
    free = {name: int(value.split()[0]) * 1024 for name, _, value in parts}
    limit = Path("/sys/fs/cgroup/memory.max")
    of_container = limit.read_text().strip() if limit.is_file() else "max"
    return min(free["MemAvailable"], int(of_container) if of_container.isdigit() else sys.maxsize)
