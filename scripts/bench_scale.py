"""Prints how a step slows down with more processes: measured on this computer, and predicted for clusters.

    python scripts/bench_scale.py                # about 5 minutes on 2 cores that do nothing else
    python scripts/bench_scale.py --rounds 1
    python scripts/bench_scale.py --predict      # half a minute: what docs/scale.md says of GPUs

Every process has one thread and a whole batch of the recipe (weak scaling). A figure is the median over the rounds, in
each of which all numbers of processes have their turn.
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import distributed
from torch.utils.flop_counter import FlopCounterMode

from genlab.config import compose
from genlab.config.targets import resolve_target
from genlab.models.base import GenerativeModel
from genlab.planning import UNTIMED
from genlab.run import Run
from genlab.training import build_model, fit, prepare

MEASURED = {
    "vae": ["model=vae"],
    "dcgan": ["model=dcgan", "model.width=16"],
    "gated_pixel_cnn": ["model=gated_pixel_cnn"],
}
PROCESSES = (1, 2, 4)
STEPS = 20
NUMBERS = 4_000_000
"""That are exchanged to find the bandwidth."""

PREDICTED = ("dcgan_paper", "pix2pix_paper", "srresnet_paper", "denoiser_paper", "sngan_32")
GPUS = (1, 8, 16, 64, 256)


@dataclass(frozen=True)
class Cluster:
    """Computers of equal GPUs.

    Args:
        flops: that a GPU does in a second of these networks.
        within: bytes a second between the GPUs of a computer.
        between: bytes a second between two computers.
        gpus: of a computer.
    """

    name: str
    flops: float
    within: float
    between: float
    gpus: int = 8


CLUSTERS = (
    Cluster("NVLink and InfiniBand", 40e12, 200e9, 20e9),
    Cluster("PCIe and 10 Gbit Ethernet", 40e12, 12e9, 1e9),
)
"""A quarter of what an A100 does in TF32, and what an all-reduce gets of 600, 25, 32 and 1.25 GB/s."""


def exchange(parameters: int, processes: int, bandwidth: float) -> float:
    """Seconds of a ring's all-reduce of 4 bytes each (Patarasuk & Yuan, 2009, doi:10.1016/j.jpdc.2008.09.002)."""
    return 2 * (processes - 1) / processes * 4 * parameters / bandwidth


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def in_processes(count: int, work: Callable[..., None], *words: Any) -> None:
    """Runs ``work(rank, *words)`` in as many processes as torchrun starts them."""
    os.environ |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "bench", "GROUP_RANK": "0"}
    os.environ |= {"OMP_NUM_THREADS": "1"}
    started = []
    for rank in range(count):
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        started.append(multiprocessing.get_context("spawn").Process(target=work, args=(rank, *words)))
        started[-1].start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        raise SystemExit("a process failed; its error stands above")


def train(rank: int, config: dict[str, Any], folder: Path) -> None:
    """Some steps of a training; ``genlab.planning.Clock`` writes what they take."""
    clock = {"_target_": "genlab.planning.Clock", "path": str(folder / f"{rank}.json")}
    run = Run.create(folder / "run") if rank == 0 else Run(folder / "run")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        fit(run, config | {"callbacks": {"clock": clock}}, *prepare(config))


def reduce(rank: int, file: Path) -> None:
    """The seconds of one all-reduce, the median of some."""
    distributed.init_process_group("gloo")
    numbers, seconds = torch.ones(NUMBERS), []
    for _ in range(7):
        distributed.barrier()
        started = time.perf_counter()
        distributed.all_reduce(numbers)
        seconds.append(time.perf_counter() - started)
    if rank == 0:
        file.write_text(str(statistics.median(seconds)), encoding="utf-8")
    distributed.destroy_process_group()


def seconds_of_exchange(processes: int) -> float:
    """Of ``NUMBERS`` numbers between processes of this computer."""
    with tempfile.TemporaryDirectory() as folder:
        in_processes(processes, reduce, Path(folder) / "seconds")
        return float((Path(folder) / "seconds").read_text(encoding="utf-8"))


def seconds_of_step(words: list[str], processes: int) -> tuple[float, int]:
    """Of a step of the slowest process, and the model's parameters."""
    batch_size = compose("train", words).config["dataset"]["batch_size"]
    settings = [f"dataset.batch_size={batch_size * processes}", "accelerator=ddp_cpu", "threads=1"]
    settings += [f"accelerator.devices={processes}", f"trainer.limit_train_batches={UNTIMED + STEPS}"]
    settings += ["trainer.limit_val_batches=0", "trainer.max_epochs=1", "trainer.enable_progress_bar=false"]
    with tempfile.TemporaryDirectory() as folder:
        in_processes(processes, train, compose("train", [*words, *settings]).config, Path(folder))
        clocks = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).glob("*.json")]
    return max(clock["seconds_per_step"] for clock in clocks), clocks[0]["parameters"]


def measure(rounds: int) -> Table:
    """Steps of one, two and four processes, and what one process and the bandwidth lead to expect."""
    steps: dict[tuple[str, int], list[float]] = {}
    reduced: dict[int, list[float]] = {}
    parameters = {}
    for _ in range(rounds):
        for processes in PROCESSES:
            if processes > 1:
                reduced.setdefault(processes, []).append(seconds_of_exchange(processes))
            for name, words in MEASURED.items():
                seconds, parameters[name] = seconds_of_step(words, processes)
                steps.setdefault((name, processes), []).append(seconds)
    cores = len(os.sched_getaffinity(0))
    table = Table(
        "model", "parameters", "processes", "ms a step", "expected", "efficiency", "measured : expected", box=None
    )
    for (name, processes), of_rounds in steps.items():
        found, alone = statistics.median(of_rounds), statistics.median(steps[name, 1])
        expected = alone * max(1, processes / cores)
        if processes > 1:
            bandwidth = exchange(NUMBERS, processes, 1) / statistics.median(reduced[processes])
            expected += exchange(parameters[name], processes, bandwidth)
        row = [f"{1e3 * found:.1f}", f"{1e3 * expected:.1f}", f"{alone / found:.2f}", f"{found / expected:.2f}"]
        table.add_row(name, f"{parameters[name]:,}", str(processes), *row)
    return table


def flops_of(model: GenerativeModel, config: dict[str, Any]) -> int:
    """Operations of a training step, counted without doing them."""
    dataset: Any = resolve_target(config["dataset"]["_target_"], "dataset")
    images = torch.empty(config["dataset"]["batch_size"], *config["dataset"]["data_shape"], device="meta")
    of_kind = {"labels": torch.empty(len(images), dtype=torch.int64, device="meta")}
    batch = dataset.batch_type(**{field: of_kind.get(field, images) for field in dataset.batch_type._fields})
    optimizers: Any = model.configure_optimizers()
    stubs: dict[str, Any] = {
        "optimizers": lambda: optimizers,
        "draw": lambda sampler, *shape: sampler(*shape, device="meta"),
        "report": lambda **values: None,
        "descend": lambda optimizer, loss, name: loss.backward(),
    }
    for name, stub in stubs.items():
        setattr(model, name, stub)
    with FlopCounterMode(display=False) as counter:
        model.training_step(batch, 0)
    return counter.get_total_flops()


def predict() -> Table:
    """What part of the GPUs' time is not spent waiting for each other, if nothing of the exchange overlaps."""
    table = Table("recipe", "parameters", "GFLOP a step", "cluster", *map(str, GPUS), box=None)
    for name in PREDICTED:
        config = compose("train", [f"+experiment={name}"]).config
        with torch.device("meta"):
            model = build_model(config)
        parameters, flops = sum(weight.numel() for weight in model.parameters()), flops_of(model, config)
        for cluster in CLUSTERS:
            alone, parts = flops / cluster.flops, []
            for gpus in GPUS:
                bandwidth = cluster.within if gpus <= cluster.gpus else cluster.between
                parts.append(f"{alone / (alone + exchange(parameters, gpus, bandwidth)):.0%}")
            table.add_row(name, f"{parameters:,}", f"{flops / 1e9:,.0f}", cluster.name, *parts)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--predict", action="store_true")
    options = parser.parse_args()
    Console().print(predict() if options.predict else measure(options.rounds))


if __name__ == "__main__":
    main()
