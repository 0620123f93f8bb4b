"""What may be set, where the class that owns a value does not say it itself."""

from typing import Annotated, Any, Literal

OURS = (
    *("accelerator", "devices", "num_nodes", "strategy", "precision", "callbacks", "logger", "plugins", "profiler"),
    *("default_root_dir", "use_distributed_sampler", "enable_model_summary", "enable_checkpointing", "inference_mode"),
    *("reload_dataloaders_every_n_epochs", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches"),
    *(
        "barebones",
        "fast_dev_run",
        "overfit_batches",
        "val_check_interval",
        "sync_batchnorm",
        "min_epochs",
        "min_steps",
    ),
)
"""Arguments of Lightning's Trainer that are other keys of ours, or that manual optimization and exact resume forbid."""


GIVEN = {"optimizer": ("params",), "schedule": ("optimizer", "last_epoch")}
"""Groups whose nodes are factories, and the arguments that these are called with."""


def ranges() -> dict[str, dict[str, Any]]:
    """Types where the class that owns a value does not say them itself, by node."""
    from pydantic import Field

    count, some = Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]
    part = Annotated[float, Field(ge=0, le=1)]
    some_part = Annotated[float, Field(gt=0, le=1)]
    unit = Annotated[float, Field(ge=0, lt=1)]
    return {
        "trainer": {
            "max_epochs": Annotated[int, Field(ge=-1)],
            "max_steps": Annotated[int, Field(ge=-1)],
            "max_time": Annotated[str, Field(pattern=r"^\d\d:\d\d:\d\d:\d\d$")] | None,
            "log_every_n_steps": some,
            "check_val_every_n_epoch": some,
            "limit_train_batches": some | some_part,
            "limit_val_batches": count | part,
            "num_sanity_val_steps": count,
            "enable_progress_bar": bool,
        },
        "checkpoint": {
            "every_n_minutes": Annotated[float, Field(gt=0)],
            "every_n_epochs": some,
            "keep": count,
        },
        "accelerator": {
            "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps"],
            "devices": Literal["auto"] | int | list[int],
            "num_nodes": some,
            "strategy": Literal["auto", "ddp_find_unused_parameters_true"] | dict[str, Any],
        },
        "optimizer": {"lr": Annotated[float, Field(gt=0)], "alpha": unit, "rho": unit},
        "schedule": {
            "T_max": count,
            "eta_min": Annotated[float, Field(ge=0)],
            "start_factor": some_part,
            "end_factor": part,
            "total_iters": count,
            "milestones": Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)],
            "gamma": Annotated[float, Field(gt=0)],
        },
    }
