"""A user's own package and YAML files: a tiny model that the tests of the configuration are free to misuse."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
"""Toy model.

Somebody, "A paper", 2020, arXiv:2001.00001.
"""
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt

from genlab.datasets.batches import LabelledImages
from genlab.models.base import GenerativeModel, OptimizerFactory


class Toy(GenerativeModel):
    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        dropout: Annotated[float, Field(ge=0, lt=1)],
        kind: Literal["a", "b"],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if width == 13:
            raise ValueError("width=13 is unlucky; accepted: any other")
        self.image_shape = image_shape
        self.generator = torch.nn.Linear(image_shape[-1], width)
        self.optimizer = optimizer

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.parameters())]
'''

MODEL = """# @package _global_
# A toy
defaults:
  - override /dataset: fashion_mnist
  - override /optimizer: toy_adam

model:
  _target_: toy_models.Toy
  image_shape: ${dataset.data_shape}
  width: 4  # paper: 8
  dropout: 0.5
  kind: a
  optimizer: ${optimizer}

trainer:
  max_epochs: 3
"""

OPTIMIZER = """_target_: torch.optim.Adam
_partial_: true
lr: 1e-3
betas: [0.9, 0.999]
eps: 1e-8
weight_decay: 0.0
"""


def write_toy(folder: Path) -> Path:
    """Writes the package and the YAML files; returns the folder of the latter."""
    package, conf = folder / "package", folder / "conf"
    for path, text in (
        (package / "toy_models" / "__init__.py", MODULE),
        (conf / "model" / "toy.yaml", MODEL),
        (conf / "optimizer" / "toy_adam.yaml", OPTIMIZER),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return conf


@pytest.fixture
def toy(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's YAML files, in use as by ``--config-dir`` and ``--allow``."""
    conf = write_toy(tmp_path_factory.mktemp("toy"))
    monkeypatch.syspath_prepend(str(conf.parent / "package"))
    monkeypatch.delitem(sys.modules, "toy_models", raising=False)
    monkeypatch.setenv("GENLAB_CONFIG_DIR", str(conf))
    monkeypatch.setenv("GENLAB_ALLOW", "toy_models")
    monkeypatch.setenv("PYTHONPATH", str(conf.parent / "package"), prepend=os.pathsep)
    return conf


def genlab(*words: str, python: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """One command line in a process of its own."""
    program = python or "import sys; from genlab.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        timeout=120,
        check=False,
    )
