"""The plain lines of a training."""

from typing import Any

from genlab.callbacks.progress import TrainingProgress


class Trainer:
    is_global_zero = True


def test_a_run_that_goes_on_within_an_epoch_has_a_rate_of_its_own() -> None:
    progress, trainer = TrainingProgress(), Trainer()
    nothing: Any = None
    progress.live = False
    progress.on_train_start(trainer, nothing)  # type: ignore[arg-type]
    progress.items = 100
    # Counted from the start of the computer it would be next to nothing.
    assert progress.rate() > 50
