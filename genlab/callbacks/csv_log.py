"""Every logged value in one table."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only


class CSVLog(Logger):
    """Writes ``log.csv``: one row a logged step, one column a value; ``step`` counts batches from 1.

    Args:
        path: the file.
        resumed_step: batches done at the checkpoint that training goes on from: later rows are dropped, so that the
            curve of a killed and resumed run has neither a gap nor a double.
    """

    def __init__(self, path: Path, resumed_step: int) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = ["step"]
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or self.columns)
                self.rows = [row for row in reader if row["step"].isdigit() and int(row["step"]) <= resumed_step]
        self.rewrite()

    @property
    def name(self) -> str:
        return "log"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Hyperparameters are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": (step or 0) + 1} | {name: f"{float(value):.9g}" for name, value in metrics.items()}
        self.rows.append(row)
        if new := [name for name in row if name not in self.columns]:
            self.columns += new
            self.rewrite()
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(row)

    @rank_zero_only
    def rewrite(self) -> None:
        """Writes the whole table: at the start, and when a value of a new name comes."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.path)
