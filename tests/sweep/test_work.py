"""A run is carried out once, however often it is asked for."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from child import TRAIN, genlab

from genlab.run import Run
from genlab.sweep.work import Work


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """As by a training that has outlived its sweep."""
    file = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of every training that would be started."""
    words: list[list[str]] = []

    def start(given: list[str], *_: object) -> object:
        words.append(given)
        raise RuntimeError("started")

    monkeypatch.setattr("genlab.sweep.work.start", start)
    return words


def test_a_run_that_has_ended_well_is_left_as_it_is(tmp_path: Path, started: list[list[str]]) -> None:
    assert genlab(*TRAIN, "trainer.max_steps=1", "run_dir=run", folder=tmp_path)[0] == 0
    assert Work(["model=vae"], tmp_path / "run")({}) == 0
    assert started == []


def test_a_run_that_has_begun_goes_on_and_a_new_one_begins(tmp_path: Path, started: list[list[str]]) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.yaml").write_text("model: {}\n")
    for folder in (tmp_path / "new", tmp_path / "begun"):
        with pytest.raises(RuntimeError, match="started"):
            Work(["model=vae"], folder)({})
    new, begun = (f"'{tmp_path}/{name}'" for name in ("new", "begun"))
    assert started == [["train", "model=vae", f"run_dir={new}"], ["resume", f"run={begun}"]]


def test_a_training_that_has_outlived_its_sweep_is_waited_for(tmp_path: Path, started: list[list[str]]) -> None:
    run = Run.create(tmp_path / "run")
    codes: list[int] = []
    work = Work(["model=vae"], run.folder)
    with held(run.folder):
        waiting = threading.Thread(target=lambda: codes.append(work({})))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        (run.folder / "metrics.json").write_text("{}")
        run.write_status(state="finished")
    waiting.join()
    assert codes == [0]
    assert started == []


def test_a_cluster_that_cancels_ends_the_training_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals: list[int] = []

    class Training:
        def poll(self) -> int | None:
            if not signals:
                raise KeyboardInterrupt
            return 143

        def send_signal(self, number: int) -> None:
            signals.append(number)

    monkeypatch.setattr("genlab.sweep.work.start", lambda *_: Training())
    assert Work(["model=vae"], tmp_path / "run")({}) == 143
    assert signals == [signal.SIGTERM]


def test_who_waits_can_be_stopped(tmp_path: Path, started: list[list[str]]) -> None:
    work = Work(["model=vae"], tmp_path / "run")
    with held(tmp_path / "run"):
        work.stop(signal.SIGINT)
        assert work({}) == 130
    assert started == []
