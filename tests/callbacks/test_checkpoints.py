"""Signals: none is lost, whenever it comes."""

import signal
from pathlib import Path

import pytest

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
