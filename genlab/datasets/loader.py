"""The order of the data, a pure function of seed and epoch, and the loaders that follow it."""

import hashlib
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from genlab.errors import DataError, ResourceError


def mixed_seed(*parts: object) -> int:
    """A 63-bit seed from numbers and words; near inputs give unrelated seeds."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


def augmentation(seed: int, epoch: int, size: int) -> Tensor:
    """What chance does to each item in an epoch, ``(size, 3)`` in [0, 1): how far down and right a crop lies, a mirror.

    The same in every process and worker; images are mirrored where the last number is below one half.
    """
    generator = torch.Generator().manual_seed(mixed_seed(seed, "augmentation", epoch))
    return torch.rand(size, 3, generator=generator)


class Chosen(NamedTuple):
    """The items of one batch on one process.

    ``items`` is ``(n,)`` int64, in the order of the batch. The epoch goes with it because workers that outlive an
    epoch could not know it otherwise, and augmentation depends on it.
    """

    epoch: int
    items: Tensor


class Source(Protocol):
    """Items that are read a batch at a time; ``epoch`` is -1 where nothing random may happen to them."""

    def __len__(self) -> int: ...

    def __getitems__(self, chosen: Chosen) -> Any: ...


class BatchOrder(Sampler[Chosen]):
    """Which items make up each batch.

    Args:
        size: number of items.
        batch_size: items of a batch over all processes; the last batch of an epoch may be smaller.
        seed: of the shuffle, which differs every epoch; None keeps the items in their order.
        rank: this process takes every ``world_size``-th item of each batch, from ``rank`` on.
        world_size: number of processes.
        start: ``(epoch, batch)`` to begin at. It stays with that epoch, however often the epoch is begun, because
            Lightning makes an iterator that it does not use.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int | None,
        rank: int = 0,
        world_size: int = 1,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.start = start
        self.epoch = start[0]
        self.edges = [*range(0, size, batch_size), size]
        if seed is None and len(self.edges) > 2 and self.edges[-1] - self.edges[-2] < world_size:
            # Evaluation is the same however it is cut, so no process need go without items.
            del self.edges[-2]

    @property
    def sampler(self) -> "BatchOrder":
        """Itself: Lightning calls ``set_epoch`` on the batch sampler's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Names the epoch that comes next.

        Lightning, resuming a checkpoint from the end of an epoch, first names the epoch that is over.
        """
        self.epoch = max(epoch, self.start[0])

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.edges) - 1

    def __iter__(self) -> Iterator[Chosen]:
        done = self.start[1] if self.epoch == self.start[0] else 0
        if self.seed is None:
            for first, end in pairwise(self.edges[done:]):
                yield Chosen(-1, torch.arange(first + self.rank, end, self.world_size))
            return
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, "order", self.epoch))
        order = torch.randperm(self.edges[-1], generator=generator)
        for first, end in pairwise(self.edges[done:]):
            yield Chosen(self.epoch, order[first:end][self.rank :: self.world_size])


def some_items(size: int, count: int) -> Tensor:
    """At most ``count`` of ``range(size)``, ascending, by torch's generator; memory does not grow with ``size``."""
    if size <= count:
        return torch.arange(size)
    seed = int(torch.randint(2**62, ()))
    return torch.tensor(sorted(random.Random(seed).sample(range(size), count)))


def mixed_items(size: int, count: int) -> Tensor:
    """At most ``count`` of ``range(size)``, in an order that is always the same: files often lie sorted by class."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(0))[:count]


class Loader:
    """Batches of a source, read in this process."""

    def __init__(self, dataset: Source, batch_sampler: BatchOrder) -> None:
        self.dataset = dataset
        self.batch_sampler = batch_sampler

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        for chosen in self.batch_sampler:
            yield self.dataset.__getitems__(chosen)


def _as_read(batch: Any) -> Any:
    return batch


class _FromWorker:
    """A source whose errors travel from a worker as values: raised there, they would arrive as a traceback."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, chosen: Chosen) -> Any:
        try:
            return self.source.__getitems__(chosen)
        except DataError as error:
            return error


class WorkerLoader(DataLoader):
    """Batches of a source, read by ``num_workers`` processes, the same as ``Loader`` gives.

    Raises:
        DataError: an item cannot be read.
        ResourceError: a worker was killed.
    """

    def __init__(self, dataset: Source, batch_sampler: BatchOrder, num_workers: int) -> None:
        items: Any = _FromWorker(dataset)  # read by __getitems__ only
        order: Any = batch_sampler  # which gives what __getitems__ takes
        super().__init__(
            items,
            batch_sampler=order,
            num_workers=num_workers,
            collate_fn=_as_read,
            pin_memory=torch.cuda.is_available(),
        )

    def __iter__(self) -> Any:
        batches = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise ResourceError(
                    "a worker that reads data was killed, most often for want of memory "
                    f"({str(error).splitlines()[0]})\n"
                    "use fewer of them: dataset.num_workers=0"
                ) from error
            if isinstance(batch, DataError):
                raise batch
            yield batch
