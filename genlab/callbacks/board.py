"""What a run shows in TensorBoard."""

from collections.abc import Mapping
from typing import Any

import yaml
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from genlab.run import Run


class Board(TensorBoardLogger):
    """Curves, pictures, the configuration as text, and settings beside final values in the table of runs.

    Args:
        resumed_step: batches done at the checkpoint that training goes on from: later points are dropped.
    """

    def __init__(self, run: Run, resumed_step: int | None) -> None:
        super().__init__(run.folder, name="", version="tensorboard", default_hp_metric=False, purge_step=resumed_step)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """All but Lightning's ``epoch``, whose curve says nothing."""
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def write_config(self, config: dict[str, Any]) -> None:
        self.experiment.add_text("config", f"```yaml\n{yaml.safe_dump(config, sort_keys=False)}```")

    def write_result(self, config: dict[str, Any]) -> None:
        """The settings of a line of the table of runs, which shows the last values of the curves beside them.

        Without a list of all settings, which torch would write too, the table begins with those in which runs differ.
        """
        compared = {key: config[key] for key in ("seed", "precision", "dataset", "optimizer", "model")}
        settings = {
            key: value
            for key, value in flat(compared).items()
            if not key.endswith("_") and not key.startswith("model.optimizer.")
        }
        _, start, end = hparams(settings, {})
        for summary in (start, end):
            self.experiment._get_file_writer().add_summary(summary)
        self.save()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; lists as text, which TensorBoard's table has no other form for."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return found
