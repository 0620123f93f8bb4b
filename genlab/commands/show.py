"""Show a model: its paper, its settings and the size of its networks."""

import io
import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.config import Composed

if TYPE_CHECKING:
    from genlab.models.base import GenerativeModel


def main(composed: Composed, json: bool, **settings: Any) -> None:
    """Prints a model as ``genlab train`` with the same words would build it; no data are read.

    Args:
        json: prints ``{"model", "paper", "networks", "parameters", "checkpoint_bytes", "config"}``.
    """
    from genlab.training import build_model

    config = {key: value for key, value in composed.config.items() if key != "json"}
    model = build_model(config)
    described = describe(model, config)
    if json:
        print(json_format.dumps(described, indent=2, ensure_ascii=False))
        return
    import yaml
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"{described['model']}: {described['paper']}", highlight=False, markup=False)
    table = Table("network", "parameters", box=None)
    for name, parameters in described["networks"].items():
        table.add_row(name, f"{parameters:,}")
    table.add_row("all", f"{described['parameters']:,}")
    console.print(table)
    console.print(f"a checkpoint has {described['checkpoint_bytes']:,} bytes\n", highlight=False)
    print(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), end="")


def describe(model: "GenerativeModel", config: dict[str, Any]) -> dict[str, Any]:
    """What ``show`` tells, as plain data."""
    from genlab.commands.models import docstring
    from genlab.models.capabilities import CountsFreeParameters

    module = sys.modules[type(model).__module__]
    _, paper = docstring(Path(module.__file__ or ""))
    networks = {name: count(child) for name, child in model.named_children() if count(child)}
    if isinstance(model, CountsFreeParameters):
        networks["mixture"] = model.num_free_parameters
    return {
        "model": type(model).__module__.rsplit(".", 1)[-1],
        "paper": paper,
        "networks": networks,
        "parameters": sum(networks.values()),
        "checkpoint_bytes": checkpoint_bytes(model),
        "config": config,
    }


def count(module: Any) -> int:
    """Trainable parameters; those that two layers share count once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def checkpoint_bytes(model: "GenerativeModel") -> int:
    """Weights, buffers and the optimizers' state after their first step; a run adds some kilobytes of its own."""
    import torch

    made: Any = model.configure_optimizers() or []
    optimizers = made if isinstance(made, list | tuple) else [made]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    states = [optimizer.state_dict() for optimizer in optimizers]
    file = io.BytesIO()
    torch.save({"state_dict": model.state_dict(), "optimizer_states": states}, file)
    return file.tell()
