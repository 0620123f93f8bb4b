"""Faults of YAML files, found before Hydra reads them, with their lines."""

from pathlib import Path


def check_files(folder: Path) -> None:
    """Refuses what a YAML file of ours must not hold.

    Raises:
        UsageError: names the file and line.
    """
