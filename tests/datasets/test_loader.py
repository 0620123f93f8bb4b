"""The order of the data: decided by seed and epoch alone, the same with any number of workers and processes."""

import os
import signal
from itertools import chain

import pytest
import torch
from torch import Tensor

from genlab.datasets.loader import BatchOrder, Chosen, Loader, WorkerLoader, augmentation, mixed_items, mixed_seed
from genlab.errors import DataError, ResourceError

SIZE, BATCH = 53, 10


class Numbers:
    """Items that are their own numbers, with the chances of the epoch; item 13 may be unreadable or deadly."""

    def __init__(self, at_13: str = "") -> None:
        self.at_13 = at_13

    def __len__(self) -> int:
        return SIZE

    def __getitems__(self, chosen: Chosen) -> tuple[Tensor, Tensor]:
        if self.at_13 and 13 in chosen.items:
            if self.at_13 == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise DataError("13.png is damaged")
        chances = augmentation(4, chosen.epoch, SIZE) if chosen.epoch >= 0 else torch.zeros(SIZE, 3)
        return chosen.items, chances[chosen.items]


def order(seed: int | None = 1, epoch: int = 0, **options: int) -> list[list[int]]:
    batches = BatchOrder(SIZE, BATCH, seed, **options)
    batches.set_epoch(epoch)
    return [chosen.items.tolist() for chosen in batches]


def test_an_epoch_has_each_item_once_and_ends_with_a_smaller_batch() -> None:
    batches = order()
    assert [len(batch) for batch in batches] == [10] * 5 + [3]
    assert len(BatchOrder(SIZE, BATCH, 1)) == 6
    assert sorted(chain(*batches)) == list(range(SIZE))


def test_the_order_follows_from_seed_and_epoch() -> None:
    assert order(seed=1, epoch=2) == order(seed=1, epoch=2)
    different = [order(seed=seed, epoch=epoch) for seed in (1, 2) for epoch in (0, 1, 2)]
    assert all(a != b for place, a in enumerate(different) for b in different[:place])


def test_evaluation_keeps_the_order_and_leaves_nothing_to_chance() -> None:
    batches = list(BatchOrder(SIZE, BATCH, None))
    assert torch.cat([chosen.items for chosen in batches]).tolist() == list(range(SIZE))
    assert {chosen.epoch for chosen in batches} == {-1}


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_processes_share_each_batch_of_the_single_process(world_size: int) -> None:
    shares = [order(rank=rank, world_size=world_size) for rank in range(world_size)]
    for alone, *parts in zip(order(), *shares, strict=True):
        assert sorted(chain(*parts)) == sorted(alone)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_no_process_is_without_items_in_evaluation() -> None:
    shares = [[chosen.items.tolist() for chosen in BatchOrder(21, 10, None, rank, 2)] for rank in range(2)]
    assert [len(batch) for batch in shares[0]] == [5, 6]
    assert [len(batch) for batch in shares[1]] == [5, 5]
    assert sorted(chain(*shares[0], *shares[1])) == list(range(21))


def test_resuming_gives_the_rest_of_the_epoch_and_then_whole_ones() -> None:
    batches = BatchOrder(SIZE, BATCH, 1, start=(3, 4))
    for _ in range(2):  # Lightning begins an epoch twice
        batches.set_epoch(3)
        assert [chosen.items.tolist() for chosen in batches] == order(epoch=3)[4:]
    batches.set_epoch(4)
    assert [chosen.items.tolist() for chosen in batches] == order(epoch=4)


def test_resuming_ignores_an_epoch_that_is_over() -> None:
    batches = BatchOrder(SIZE, BATCH, 1, start=(3, 0))
    batches.set_epoch(2)  # Lightning names it once more
    assert [chosen.items.tolist() for chosen in batches] == order(epoch=3)


def test_two_workers_give_the_same_batches_as_none() -> None:
    loaders = [Loader(Numbers(), BatchOrder(SIZE, BATCH, 1)), WorkerLoader(Numbers(), BatchOrder(SIZE, BATCH, 1), 2)]
    for epoch in (0, 1):
        for loader in loaders:
            loader.batch_sampler.set_epoch(epoch)
        alone, by_workers = (list(loader) for loader in loaders)
        assert len(alone) == len(by_workers) == len(loaders[0]) == len(loaders[1])
        for (items, chances), (same_items, same_chances) in zip(alone, by_workers, strict=True):
            assert torch.equal(items, same_items)
            assert torch.equal(chances, same_chances)


def test_an_unreadable_item_is_the_same_error_from_a_worker() -> None:
    for loader in (
        Loader(Numbers("raise"), BatchOrder(SIZE, BATCH, 1)),
        WorkerLoader(Numbers("raise"), BatchOrder(SIZE, BATCH, 1), 1),
    ):
        with pytest.raises(DataError) as caught:
            list(loader)
        assert str(caught.value) == "13.png is damaged"


def test_a_killed_worker_is_named_and_does_not_hang() -> None:
    with pytest.raises(ResourceError, match=r"(?s)worker that reads data was killed.*dataset\.num_workers=0"):
        list(WorkerLoader(Numbers("kill"), BatchOrder(SIZE, BATCH, 1), 1))


def test_chances_are_uniform_and_differ_between_epochs_and_seeds() -> None:
    chances = augmentation(1, 0, 10_000)
    assert chances.shape == (10_000, 3)
    assert 0 <= chances.min() < 0.001
    assert 0.999 < chances.max() < 1
    assert torch.equal(chances, augmentation(1, 0, 10_000))
    assert not torch.equal(chances, augmentation(1, 1, 10_000))
    assert not torch.equal(chances, augmentation(2, 0, 10_000))


def test_near_seeds_are_far_apart() -> None:
    seeds = [mixed_seed(seed, "order", epoch) for seed in range(30) for epoch in range(30)]
    assert len(set(seeds)) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mixed_seed(1, 11) != mixed_seed(11, 1)


def test_mixed_items_are_of_everywhere_and_fewer_are_their_beginning() -> None:
    items = mixed_items(1500, 500)
    assert len(set(items.tolist())) == 500
    assert torch.bincount(items // 300, minlength=5).min() > 70  # of five classes, one after another
    assert torch.equal(mixed_items(1500, 20), items[:20])
    assert sorted(mixed_items(7, 9).tolist()) == list(range(7))
