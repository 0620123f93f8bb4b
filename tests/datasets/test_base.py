"""What every data set promises: splits that never mix, batches that are never empty, labels that make sense."""

import re
import warnings
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genlab.datasets.base import Dataset, check_labels, held_out, smallest_share
from genlab.datasets.batches import Vectors
from genlab.datasets.loader import BatchOrder, Source
from genlab.datasets.vectors import VectorsInMemory
from genlab.errors import DataError, UsageError


class Counted(Dataset):
    """Vectors that are their own numbers."""

    batch_type = Vectors

    def __init__(self, size: int, batch_size: int, num_validation: int = 0, num_test: int = 0, seed: int = 0) -> None:
        super().__init__("counted", (1,), batch_size, num_validation, seed)
        self.size, self.num_test = size, num_test

    def load(self) -> dict[str, Source]:
        parts = held_out(self.size, self.num_validation, self.num_test, self.name)
        named = zip(("train", "validation", "test"), parts, strict=True)
        return {split: VectorsInMemory(part[:, None].float()) for split, part in named}

    def digest(self) -> str:
        return str(self.size)


def on_processes(dataset: Dataset, rank: int, world_size: int) -> Dataset:
    on: Any = dataset
    on.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
    return dataset


def rows(loader: Any) -> list[list[float]]:
    return [batch.vectors[:, 0].tolist() for batch in loader]


def test_the_parts_are_always_the_same_ones_and_never_overlap() -> None:
    train, validation, test = held_out(1000, 100, 50, "x")
    assert [len(part) for part in (train, validation, test)] == [850, 100, 50]
    assert sorted(torch.cat([train, validation, test]).tolist()) == list(range(1000))
    assert all(torch.equal(a, b) for a, b in zip(held_out(1000, 100, 50, "y"), (train, validation, test), strict=True))
    assert train.tolist() == sorted(train.tolist())
    assert [part.tolist() for part in held_out(10, 2, 3, "x")] == [[0, 3, 6, 7, 8], [4, 5], [1, 2, 9]]


def test_the_test_items_do_not_depend_on_how_many_are_held_out_for_validation() -> None:
    assert torch.equal(held_out(1000, 100, 50, "x")[2], held_out(1000, 300, 50, "x")[2])


def test_the_parts_do_not_depend_on_the_seed_of_a_run() -> None:
    parts = []
    for seed in (0, 1):
        dataset = Counted(100, 10, 20, 5, seed)
        dataset.setup()
        parts.append([sorted(chain(*rows(loader()))) for loader in (dataset.val_dataloader, dataset.test_dataloader)])
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("num_validation", "num_test", "named"),
    [(50, 0, "dataset.num_validation=50 "), (20, 30, "dataset.num_validation=20 with dataset.num_test=30")],
)
def test_something_must_be_left_to_train_on(num_validation: int, num_test: int, named: str) -> None:
    with pytest.raises(UsageError, match=f"{named}.*leaves nothing of the 50 items of 'x'"):
        held_out(50, num_validation, num_test, "x")


def test_parts_without_items_have_no_loader() -> None:
    dataset = Counted(30, 10)
    dataset.setup()
    assert dataset.sizes() == {"train": 30}
    assert dataset.val_dataloader() == []
    assert dataset.test_dataloader() == []


def test_the_seed_decides_the_training_order_only() -> None:
    orders = []
    for seed in (0, 0, 1):
        dataset = Counted(30, 10, 10, seed=seed)
        dataset.setup()
        orders.append((rows(dataset.train_dataloader()), rows(dataset.val_dataloader())))
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[2][0]
    assert orders[0][1] == orders[2][1]


def test_two_processes_share_the_batches_of_one() -> None:
    alone = Counted(53, 10)
    alone.setup()
    shares = []
    for rank in range(2):
        dataset = on_processes(Counted(53, 10), rank, 2)
        dataset.setup()
        shares.append(rows(dataset.train_dataloader()))
    for whole, first, second in zip(rows(alone.train_dataloader()), *shares, strict=True):
        assert sorted(first + second) == sorted(whole)


def test_training_goes_on_in_the_middle_of_an_epoch() -> None:
    whole, resumed = Counted(53, 10), Counted(53, 10)
    whole.setup()
    resumed.setup()
    resumed.resume_at(2, 3)
    loader = whole.train_dataloader()
    assert isinstance(loader.batch_sampler, BatchOrder)
    loader.batch_sampler.set_epoch(2)
    assert rows(resumed.train_dataloader()) == rows(loader)[3:]


def test_fewer_items_than_a_batch_are_refused() -> None:
    message = "'counted' has 8 training items, fewer than one batch of 10\ngive at most that many: dataset.batch_size=8"
    with pytest.raises(UsageError, match=re.escape(message)):
        Counted(10, 10, 2).setup()


def test_fewer_items_than_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="the validation part of 'counted' has 1 items for 2 processes"):
        on_processes(Counted(21, 10, 1), 0, 2).setup()


def test_a_last_batch_smaller_than_the_number_of_processes_is_refused_with_a_size_that_works() -> None:
    with pytest.raises(UsageError, match=r"(?s)21 training items in batches of 10 .* dataset\.batch_size=9$") as caught:
        on_processes(Counted(21, 10), 0, 2).setup()
    assert "the 2 processes" in str(caught.value)
    on_processes(Counted(21, 9), 0, 2).setup()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_smallest_batch_is_that_of_the_order(processes: int) -> None:
    for size in range(1, 30):
        for batch_size in range(1, size + 1):
            shares = [
                len(chosen.items)
                for rank in range(processes)
                for chosen in BatchOrder(size, batch_size, 0, rank, processes)
            ]
            assert smallest_share(size, batch_size, processes) == min(shares)


def test_a_last_batch_of_one_is_seen_and_another_size_found() -> None:
    dataset = Counted(13, 4)
    dataset.setup()
    assert dataset.smallest_batch() == 1
    assert dataset.nearest_batch_size(2) == 5  # 3 leaves one item too
    assert dataset.smallest_batch(processes=2) == 0
    assert dataset.nearest_batch_size(2, processes=2) == 7  # 7 and 6: each process gets 3 at least
    fine = Counted(12, 4)
    fine.setup()
    assert (fine.smallest_batch(), fine.nearest_batch_size(2)) == (4, 4)


def test_labels_must_be_in_range_and_each_be_used() -> None:
    with pytest.raises(DataError, match=r"^here: labels from -1 to 2, expected 0 to 2$"):
        check_labels(torch.tensor([-1, 0, 1, 2]), 3, "here")
    with pytest.raises(DataError, match=r"^here: labels from 0 to 3, expected 0 to 2$"):
        check_labels(torch.tensor([0, 1, 2, 3]), 3, "here")
    with pytest.raises(DataError, match=r"^here: no item has the label 1, 3, expected each of 5 labels$"):
        check_labels(torch.tensor([0, 2, 4]), 5, "here")
    with pytest.raises(DataError, match="no item has the label cat, expected"):
        check_labels(torch.tensor([0, 2]), 3, "here", ["ape", "cat", "dog"])


def test_labels_that_are_all_the_same_are_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"^here: all 3 items have the label 2$"):
        check_labels(torch.tensor([2, 2, 2]), 10, "here")
    with warnings.catch_warnings(action="error"):
        check_labels(torch.tensor([1, 0, 2]), 3, "here")
        check_labels(torch.tensor([], dtype=torch.int64), 3, "here")


def test_check_reports_what_cannot_be_loaded_and_asks_for_no_full_batch() -> None:
    assert Counted(5, 10).check() == []
    assert Counted(5, 10, 5).check() == [
        "dataset.num_validation=5 leaves nothing of the 5 items of 'counted' to train on"
    ]
