"""Pairs stay together, domains do not."""

import pytest
import torch

from genlab.datasets.images import ImagesInMemory
from genlab.datasets.loader import Chosen
from genlab.datasets.pairs import Paired, Unpaired


def numbered(size: int, flip_seed: int | None = None) -> ImagesInMemory:
    """Images that say their number, and mirrored another."""
    images = torch.arange(size)[:, None, None, None].expand(-1, 1, 1, 2).clone().byte()
    images[..., 1] += 100
    return ImagesInMemory(images, torch.zeros(size, dtype=torch.int64), flip_seed=flip_seed)


def numbers(images: torch.Tensor) -> list[int]:
    return ((images[:, 0, 0, 0] + 1) * 255 / 2).round().int().tolist()


def test_pairs_are_mirrored_together() -> None:
    source = Paired(numbered(50, flip_seed=4), numbered(50, flip_seed=4))
    batch = source.__getitems__(Chosen(3, torch.arange(50)))
    assert torch.equal(batch.source, batch.target)
    assert 10 < sum(number >= 100 for number in numbers(batch.source)) < 40


def test_unequal_numbers_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="3 sources and 4 targets"):
        Paired(numbered(3), numbered(4))


def test_every_image_of_the_larger_domain_comes_once_an_epoch_and_no_other_much_oftener() -> None:
    source = Unpaired(numbered(5), numbered(12), seed=1)
    assert len(source) == 12
    batch = source.__getitems__(Chosen(0, torch.arange(12)))
    assert sorted(numbers(batch.second)) == list(range(12))
    counts = [numbers(batch.first).count(number) for number in range(5)]
    assert sorted(counts) == [2, 2, 2, 3, 3]


def test_other_images_meet_in_every_epoch_and_the_same_in_evaluation() -> None:
    source = Unpaired(numbered(40), numbered(40), seed=1)
    met = [numbers(source.__getitems__(Chosen(epoch, torch.arange(40))).second) for epoch in (0, 1)]
    assert met[0] != met[1]
    assert met[0] == numbers(
        Unpaired(numbered(40), numbered(40), seed=1).__getitems__(Chosen(0, torch.arange(40))).second
    )
    still = source.__getitems__(Chosen(-1, torch.arange(40)))
    assert numbers(still.first) == numbers(still.second) == list(range(40))
