"""What several test modules need: a configuration from words, and a short training in a folder."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
import yaml

from genlab.checkpoint import load
from genlab.config import build, compose
from genlab.datasets import embedded
from genlab.datasets.avatars import Avatars
from genlab.datasets.base import Dataset
from genlab.run import Run
from genlab.training import fit, prepare

SHORT = [
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "dataset.batch_size=16",
    "callbacks.sample_grid.num_samples=4",
    "callbacks.sample_watch.num_samples=8",
    "accelerator=cpu",
    "threads=1",
]
"""Two epochs of three batches of 16."""

PHASES = ("gan_epochs", "classifier_epochs", "pretrain_epochs")
"""How long the first of a model's two phases is."""

OF_A_RUN = ("batch_size", "num_workers", "_start")
"""Attributes of a data set that do not change what it holds."""

LARGE = 64 * 64
"""Numbers in an item from which it is large."""


LONG = ("test_tutorial", "test_wheel", "test_sweeps_page", "test_config", "test_every_model")
"""Modules with tests, or groups of tests, that take half a minute and more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: at the end no process waits for another's."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _embedded_data_are_read_once() -> Iterator[None]:
    """Unpacking what comes with genlab takes up to seconds, and forks of the tests' process have it too."""
    load_once, loaded = Dataset.load_once, dict[tuple[Any, ...], dict[str, Any]]()
    read_avatars, avatars = Avatars._images, dict[tuple[Any, ...], torch.Tensor]()

    def once(self: Dataset) -> None:
        given = {name: value for name, value in vars(self).items() if name not in OF_A_RUN}
        is_own = not type(self).__module__.startswith("genlab.datasets.")
        if self.sources or is_own or any(isinstance(value, Path) for value in given.values()):
            load_once(self)  # what a test has made
            return
        key = (embedded.ASSETS, type(self), repr(given))
        if key not in loaded:
            load_once(self)
            loaded[key] = {name: value for name, value in vars(self).items() if name not in OF_A_RUN}
        vars(self).update(loaded[key], sources=dict(loaded[key]["sources"]))

    def images(self: Avatars, archive: ZipFile, names: Sequence[str]) -> torch.Tensor:
        key = (*self.shape, *names)
        if key not in avatars:
            avatars[key] = read_avatars(self, archive, names)
        return avatars[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "load_once", once)
        patch.setattr(Avatars, "_images", images)
        build(composed()["dataset"], "dataset").load_once()  # MNIST, which most forks read
        yield


@pytest.fixture(autouse=True, scope="session")
def _a_text_of_yaml_is_parsed_once() -> Iterator[None]:
    """Parsing is half of the time of composing, which most tests do, and forks of the tests' process."""
    parse, parsed = yaml.load, dict[str, Any]()

    def load(stream: Any, *loader: Any, **how: Any) -> Any:
        if loader:  # PyYAML's own, which reads numbers otherwise than OmegaConf's
            return parse(stream, *loader)
        text = stream if isinstance(stream, str) else stream.read()
        if text not in parsed:
            parsed[text] = parse(text, **how)
        return deepcopy(parsed[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "load", load)
        yield


@cache
def composed(*words: str) -> dict[str, Any]:
    """Of ``genlab train``; composing takes longer than many a test."""
    return compose("train", list(words)).config


def small(*words: str) -> list[str]:
    """Words that save time, after those of a model: narrow networks of few blocks, of large images batches of 4."""
    recipe = composed(*words)
    is_large = math.prod(recipe["dataset"].get("data_shape") or []) >= LARGE
    sizes = dict.fromkeys(("width", "discriminator_width", "encoder_width"), 8)
    sizes |= dict.fromkeys(("num_blocks", "enhancer_blocks", "refine_steps"), 1)
    narrow = [f"model.{key}={size}" for key, size in sizes.items() if key in recipe["model"]]
    return narrow + ["dataset.batch_size=4"] * is_large


def short_config(model: str, *words: str, **trainer: Any) -> dict[str, Any]:
    """The configuration of a short training of a model, an epoch of each of its phases.

    Args:
        trainer: settings that nothing else in a configuration follows from.
    """
    recipe = composed(f"model={model}")["model"]
    phases = [f"model.{key}=1" for key in PHASES if key in recipe]
    sizes = small(f"model={model}", *(word for word in words if word.startswith("dataset=")))
    config = deepcopy(composed(f"model={model}", *SHORT, *sizes, *phases, *words))
    config["trainer"] |= trainer
    return config


def trained(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The last checkpoint of a training in ``folder``; goes on where the folder's last checkpoint stands, if any."""
    from genlab.config import save

    new = not (folder / "config.yaml").exists()
    run = Run.create(folder) if new else Run(folder)
    save(config, folder / "config.yaml")
    checkpoint = None if new else run.newest_good()[0]
    step = load(checkpoint)["genlab"]["step"] if checkpoint else 0
    fit(run, config, *prepare(config), checkpoint, step)
    return load(folder / "checkpoints" / "last.ckpt")


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where two checkpoints differ in a bit; the time of saving and the settings that set the budget may differ."""
    if path in (".genlab.saved_at", ".genlab.config", ".loops.fit_loop.epoch_loop.state_dict") or "val_loop" in path:
        return []
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [path]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [f"{path}: {sorted(a.keys() ^ b.keys())}"]
        return [found for key in a for found in differences(a[key], b[key], f"{path}.{key}")]
    if isinstance(a, list | tuple):
        return [found for i, (x, y) in enumerate(zip(a, b, strict=True)) for found in differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [f"{path}: {a!r} is not {b!r}"]


Train = Callable[..., dict[str, Any]]
