"""Whether the devices that a configuration asks for are there."""

import os
from typing import Any

from genlab.errors import ResourceError, UsageError

LAUNCHED = ("WORLD_SIZE", "SLURM_NTASKS", "NODE_RANK", "GROUP_RANK")
"""What torchrun, SLURM or a cluster sets in each of the processes it starts."""


def num_cores() -> int:
    """Of this computer, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_devices(accelerator: dict[str, Any], precision: str) -> None:
    """Refuses a device that this computer does not have; only ``auto`` takes what there is.

    Args:
        accelerator: ``accelerator``, ``devices``, ``num_nodes`` and ``strategy`` of Lightning's Trainer.

    Raises:
        ResourceError: it is not there; says what is.
        UsageError: the number makes no sense, or several processes have no strategy.
    """
    import torch

    kind, devices = accelerator["accelerator"], accelerator["devices"]
    gpus, has_mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if kind == "auto":
        kind = "gpu" if gpus else "mps" if has_mps else "cpu"
    found = _found(gpus, has_mps)
    if kind in ("gpu", "cuda") and not gpus:
        raise ResourceError(f"accelerator={kind}: there is no GPU that torch can use\navailable: {found}")
    if kind == "mps" and not has_mps:
        raise ResourceError(f"accelerator=mps: this is not an Apple computer with a GPU\navailable: {found}")
    if devices != "auto":
        _check_number(kind, devices, gpus, found)
    several = devices not in (1, "auto") and not (isinstance(devices, list) and len(devices) == 1)
    if (several or accelerator["num_nodes"] > 1) and accelerator["strategy"] == "auto":
        raise UsageError(
            f"accelerator.devices={devices}, accelerator.num_nodes={accelerator['num_nodes']}: several processes need "
            f"a way to share the work: take accelerator={'ddp_cpu' if kind == 'cpu' else 'ddp'}\navailable: {found}"
        )
    if accelerator["num_nodes"] > 1 and not any(name in os.environ for name in LAUNCHED):
        raise UsageError(
            f"accelerator.num_nodes={accelerator['num_nodes']}: start the command on every computer with torchrun, "
            "or once with SLURM's srun"
        )
    if "bf16" in precision and kind in ("gpu", "cuda") and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ResourceError(f"precision={precision}: this GPU has no bf16; take precision=32-true\navailable: {found}")
    if "bf16" in precision and kind == "cpu" and not cpu_bf16():
        raise ResourceError(
            f"precision={precision}: this CPU has no bf16 and takes 100 times as long to imitate it; take "
            f"precision=32-true\navailable: {found}"
        )
    if precision == "64-true" and kind == "mps":
        raise ResourceError(
            f"precision=64-true: Apple's GPUs have no float64; take accelerator=cpu\navailable: {found}"
        )


def cpu_bf16() -> str | None:
    """The unit of the CPU that computes in bf16, or None."""
    import torch

    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512" if torch.cpu._is_avx512_bf16_supported() else None


def _check_number(kind: str, devices: int | list[int], gpus: int, found: str) -> None:
    if (isinstance(devices, int) and devices < 1) or devices == []:
        raise UsageError(f"accelerator.devices={devices}: expected at least 1, or auto\navailable: {found}")
    if isinstance(devices, list) and min(devices) < 0:
        raise UsageError(f"accelerator.devices={devices}: expected numbers of GPUs, from 0\navailable: {found}")
    if isinstance(devices, list) and kind == "cpu":
        raise UsageError(f"accelerator.devices={devices}: on the CPU expected a number of processes")
    there = {"cpu": None, "mps": 1}.get(kind, gpus)
    asked = devices if isinstance(devices, int) else max(devices) + 1
    if there is not None and asked > there:
        raise ResourceError(f"accelerator.devices={devices}: more than there are\navailable: {found}")


def _found(gpus: int, has_mps: bool) -> str:
    import torch

    names = [f"gpu {index} ({torch.cuda.get_device_name(index)})" for index in range(gpus)]
    return ", ".join([*names, *(["mps"] if has_mps else []), f"cpu ({os.cpu_count()} cores)"])
