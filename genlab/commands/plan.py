"""What a training would take, from a few real steps of it, before anything is spent."""

import json as json_format
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genlab.config import Composed
from genlab.errors import ResourceError
from genlab.run import BUDGET

Amount = Annotated[float, Field(gt=0)]


def main(composed: Composed, memory_gb: Amount | None, bandwidth_gb: Amount, json: bool, **settings: Any) -> None:
    """Prints what ``genlab train`` with the same words would take; nothing is kept.

    Args:
        memory_gb: of each process; None is what is free here.
        bandwidth_gb: gigabytes a second between processes. Several are planned for from one that has its share of the
            batch: to its step is added the time of a ring all-reduce of the gradients, 2 (N - 1) / N times their bytes.
        json: prints ``{"parameters", "flops_per_step", "seconds_per_step", "steps_per_epoch", "total_seconds",
            "peak_memory_bytes", "available_memory_bytes", "largest_batch_size", "disk_bytes", "free_disk_bytes", …}``.

    Raises:
        ResourceError: the training cannot fit into the memory or on the disk; says the largest batch that does.
        GenlabError: the training could not start.
    """
    from genlab.planning import free_memory, plan
    from genlab.processes import processes_here
    from genlab.training import resolve_threads

    config = {key: value for key, value in composed.config.items() if key not in ("memory_gb", "bandwidth_gb", "json")}
    config |= {"threads": resolve_threads(config["threads"], processes_here(config["accelerator"])), "run_dir": None}
    available = free_memory(config) if memory_gb is None else int(memory_gb * 1e9)
    planned = plan(config, available, bandwidth_gb * 1e9, Path.cwd())
    if json:
        print(json_format.dumps(planned, indent=2))
    else:
        show(planned, config)
    if planned["disk_bytes"] > planned["free_disk_bytes"]:
        raise ResourceError("the disk is too small for its checkpoints: checkpoint.keep=0 keeps fewer")


def show(planned: dict[str, Any], config: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    processes = planned["processes"]
    trainer, total = config["trainer"], planned["total_seconds"]
    budget = ", ".join(f"{key}={trainer[key]}" for key in BUDGET if trainer[key] not in (-1, None))
    table = Table("", "", "", box=None, show_header=False)
    for name, value, note in (
        ("parameters", f"{planned['parameters']:,}", ""),
        ("FLOPs a step", f"{planned['flops_per_step']:.3g}", "of each process" if processes > 1 else ""),
        ("seconds a step", f"{planned['seconds_per_step']:.3g}", f"{planned['items_per_second']:,.0f} items/s"),
        ("an epoch", f"{planned['steps_per_epoch']:,} steps", f"and {planned['seconds_after_epoch']:.3g} s after them"),
        ("total time", "no end" if total is None else duration(total), budget),
        ("peak memory", decimal(planned["peak_memory_bytes"]), f"of {decimal(planned['available_memory_bytes'])}"),
        (
            "largest batch",
            f"{planned['largest_batch_size']:,}",
            f"that fits; dataset.batch_size={planned['batch_size']}",
        ),
        ("disk", decimal(planned["disk_bytes"]), f"of {decimal(planned['free_disk_bytes'])}"),
    ):
        table.add_row(name, value, note)
    if processes > 1:
        table.add_row("processes", str(processes), f"{planned['seconds_of_exchange']:.3g} s a step for gradients")
    Console(soft_wrap=True).print(table, highlight=False)


def duration(seconds: float) -> str:
    """``1 h 05 min``, ``3 min 20 s`` or ``12 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
