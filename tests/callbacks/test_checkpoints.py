"""Signals, of which none is lost whenever it comes, and what is the best."""

import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genlab.callbacks.checkpoints import Checkpoints
from genlab.errors import InterruptedRunError
from genlab.run import Run


def test_a_signal_that_comes_while_a_checkpoint_is_written_is_obeyed_after_the_next_batch(tmp_path: Path) -> None:
    checkpoints = Checkpoints(Run.create(tmp_path / "run"), None, every_n_minutes=5, every_n_epochs=1, keep=2)
    number = checkpoints.signal  # what a batch sees before it saves
    checkpoints.receive(signal.SIGTERM, None)
    checkpoints.obey(number)
    assert checkpoints.signal == signal.SIGTERM
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        checkpoints.obey(checkpoints.signal)
    assert checkpoints.signal == 0


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_never_the_best(odd: float, tmp_path: Path) -> None:
    checkpoints = Checkpoints(Run.create(tmp_path / "run"), ("val/psnr", "max"), 5, 1, 2)
    found = []
    for value in (30.0, odd, 29.0, 31.0):
        trainer: Any = SimpleNamespace(callback_metrics={"val/psnr": torch.tensor(value)})
        found.append(checkpoints.is_better(trainer))
    assert found == [True, False, False, True]
    assert checkpoints.best == 31
