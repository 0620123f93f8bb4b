"""The plain lines of a training."""

from types import SimpleNamespace
from typing import Any

from genlab.callbacks.progress import TrainingProgress


def test_a_run_that_goes_on_within_an_epoch_has_a_rate_of_its_own() -> None:
    progress = TrainingProgress()
    trainer: Any = SimpleNamespace(is_global_zero=False)  # draws nothing
    model: Any = None
    progress.on_train_start(trainer, model)
    progress.items = 100
    # Counted from the start of the computer it would be next to nothing.
    assert progress.rate() > 50
