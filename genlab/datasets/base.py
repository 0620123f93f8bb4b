"""The one base of all data sets: splits, loaders, exact resume, and what every set must be checked for."""

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from genlab.datasets.loader import BatchOrder, Loader, Source, WorkerLoader
from genlab.errors import DataError, UsageError

SPLIT_SEED = 20
"""Fixed, so that the validation and test items of a data set are the same in every run, whatever its seed."""


class Dataset(pl.LightningDataModule):
    """Training, validation and test items of one source.

    Args:
        name: as it is called in ``conf/dataset``.
        data_shape: ``(C, H, W)`` that images are brought to, or ``(D,)`` of vectors.
        batch_size: items of one optimization step over all processes; each takes its share.
        num_validation: items held out of the training items.
        seed: of the shuffle and of random crops and flips.
        num_workers: processes that read; 0 reads in the training process.
    """

    batch_type: ClassVar[Any]
    num_classes: int | None = None
    class_names: list[str] | None = None
    features: str | None = None
    """Which of the embedded classifiers knows these images, ``digit`` or ``fashion``; it serves Fréchet distances."""

    has_anomalies: bool = False
    """True: only normal items, label 0, are trained on; test items are labelled 0, normal, or 1, anomalous."""

    test_masks: Tensor | None = None
    """``(N, 1, H, W)`` bool, aligned with the test items: which pixels are anomalous; None where nobody knows."""

    has_counterparts: bool = False
    """Of two domains: whether test items in one place show the same thing, which training items never do."""

    is_shuffled: bool = True
    """False: training items come in the order they are stored in, every epoch."""

    def __init__(
        self,
        name: str,
        data_shape: tuple[int, ...],
        batch_size: int,
        num_validation: int,
        seed: int,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.name: str = name
        self.data_shape = data_shape
        self.batch_size = batch_size
        self.num_validation = num_validation
        self.seed = seed
        self.num_workers = num_workers
        self.sources: dict[str, Source] = {}
        self._start = (0, 0)
        self._fingerprint: str | None = None

    @property
    def column_names(self) -> list[str]:
        """Of vectors that have names; else none."""
        return []

    @abstractmethod
    def load(self) -> dict[str, Source]:
        """The sources ``train``, ``validation`` and ``test``; the last two may be missing.

        Raises:
            DataError: they cannot be read.
        """

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over what is trained on; computed after ``load`` and once."""

    def setup(self, stage: str | None = None) -> None:
        """Loads once.

        Raises:
            DataError: the data are missing, damaged or of another layout.
            UsageError: a batch, or a process's share of it, would be empty.
        """
        self.load_once()
        self._check_batches()

    def load_once(self) -> None:
        """Fills ``sources`` with the parts that are not empty."""
        if not self.sources:
            self.sources = {split: source for split, source in self.load().items() if len(source) > 0}

    def train_dataloader(self) -> Loader | WorkerLoader:
        return self._loader("train", self.seed if self.is_shuffled else None, self._start)

    def val_dataloader(self) -> Loader | WorkerLoader | list[Any]:
        return self._loader("validation") if "validation" in self.sources else []

    def test_dataloader(self) -> Loader | WorkerLoader | list[Any]:
        return self._loader("test") if "test" in self.sources else []

    def resume_at(self, epoch: int, batch: int) -> None:
        """Training goes on with this batch of this epoch's order; to be called before the loader is made."""
        self._start = (epoch, batch)

    def fingerprint(self) -> str:
        """SHA-256 that changes when the data do; see ``digest`` of each set for what it covers."""
        if self._fingerprint is None:
            self._fingerprint = self.digest()
        return self._fingerprint

    def sizes(self) -> dict[str, int]:
        """Items of each split there is."""
        return {split: len(source) for split, source in self.sources.items()}

    def smallest_batch(self, processes: int = 1) -> int:
        """Training items of the smallest batch that a process gets: of the last batch, if that is a smaller one.

        Batch norm cannot train on one; ``setup`` has to come first.
        """
        return smallest_share(len(self.sources["train"]), self.batch_size, processes)

    def nearest_batch_size(self, least: int, processes: int = 1) -> int:
        """The batch size nearest to the one that is set, with which no process gets fewer than ``least`` items."""
        size = len(self.sources["train"])
        fitting = (other for other in range(1, size + 1) if smallest_share(size, other, processes) >= least)
        return min(fitting, key=lambda other: (abs(other - self.batch_size), other), default=size)

    def check(self) -> list[str]:
        """Reads everything once; what is wrong with the data, one line or paragraph each."""
        try:
            self.load_once()
            for split in self.sources:
                for _ in self._loader(split):
                    pass
        except (DataError, UsageError) as error:
            return [str(error)]
        return []

    def _loader(self, split: str, seed: int | None = None, start: tuple[int, int] = (0, 0)) -> Loader | WorkerLoader:
        rank, world_size = self._rank()
        source = self.sources[split]
        order = BatchOrder(len(source), self.batch_size, seed, rank, world_size, start)
        return WorkerLoader(source, order, self.num_workers) if self.num_workers else Loader(source, order)

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _check_batches(self) -> None:
        size, batch, processes = len(self.sources["train"]), self.batch_size, self._rank()[1]
        if size < batch:
            raise UsageError(
                f"the data set '{self.name}' has {size} training items, fewer than one batch of {batch}\n"
                f"give at most that many: dataset.batch_size={size}"
            )
        for split, held in self.sizes().items():
            if held < processes:
                raise UsageError(
                    f"the {split} part of '{self.name}' has {held} items for {processes} processes\n"
                    "hold out more items (dataset.num_validation) or use fewer processes"
                )
        if self.smallest_batch(processes) < 1:
            raise UsageError(
                f"{size} training items in batches of {batch} leave a batch with fewer items than the {processes} "
                f"processes\nchoose another batch size: dataset.batch_size={self.nearest_batch_size(1, processes)}"
            )


def smallest_share(size: int, batch_size: int, processes: int) -> int:
    """Items of the smallest batch that one of the processes gets, when ``size`` items are cut into batches."""
    return min(batch_size, size % batch_size or batch_size) // processes


def held_out(size: int, num_validation: int, num_test: int, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Splits ``range(size)`` into training, validation and test items, always the same way; each part is sorted.

    Raises:
        UsageError: nothing would be left to train on.
    """
    if num_validation + num_test >= size:
        held = f"dataset.num_validation={num_validation}" + (f" with dataset.num_test={num_test}" if num_test else "")
        raise UsageError(f"{held} leaves nothing of the {size} items of '{name}' to train on")
    order = torch.randperm(size, generator=torch.Generator().manual_seed(SPLIT_SEED))
    test, validation, train = order.split([num_test, num_validation, size - num_test - num_validation])
    return train.sort().values, validation.sort().values, test.sort().values


def check_labels(labels: Tensor, num_classes: int, where: str, names: list[str] | None = None) -> None:
    """Labels must be ``0 .. num_classes - 1``, each used; if all are the same, a warning is enough.

    Raises:
        DataError: a label is out of range, or a class has no item.
    """
    if len(labels) == 0:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(f"{where}: labels from {low} to {high}, expected 0 to {num_classes - 1}")
    counts = torch.bincount(labels.long(), minlength=num_classes).tolist()
    unused = [names[label] if names else str(label) for label, count in enumerate(counts) if not count]
    if low == high:
        warnings.warn(f"{where}: all {len(labels)} items have the label {names[low] if names else low}", stacklevel=2)
    elif unused:
        raise DataError(
            f"{where}: no item has the label {', '.join(unused[:10])}{' …' if len(unused) > 10 else ''}, "
            f"expected each of {num_classes} labels"
        )


def dataset_of(trainer: Any) -> Dataset:
    """What a trainer was given to train on; Lightning sets it in ``fit``, and its type does not declare it."""
    dataset = trainer.datamodule
    assert isinstance(dataset, Dataset)
    return dataset
