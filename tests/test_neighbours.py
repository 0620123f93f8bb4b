"""Nearest training images: the same as by brute force, in blocks of any size."""

import pytest
import torch

from genlab import neighbours
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen
from genlab.neighbours import nearest


class Images:
    """A source of images in memory; notes the most that were asked for at a time."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.most = 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        self.most = max(self.most, len(chosen.items))
        return LabelledImages(self.images[chosen.items], torch.zeros(len(chosen.items), dtype=torch.int64))


@pytest.fixture
def source() -> Images:
    return Images(torch.rand(103, 2, 3, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1)


@pytest.mark.parametrize("in_block", [1, 10, 103, 1000])
def test_they_are_the_nearest_whatever_the_block(
    in_block: int, source: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_NUMBERS", 18 * in_block)
    images = torch.rand(6, 2, 3, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    distances, items = nearest(images, source, 4)
    pairwise = (images[:, None] - source.images).flatten(2).norm(dim=2)
    expected = pairwise.sort(dim=1)
    assert torch.equal(items, expected.indices[:, :4])
    torch.testing.assert_close(distances, expected.values[:, :4])
    assert source.most == min(in_block, 103)


def test_a_copy_is_at_distance_0_and_a_step_of_one_pixel_at_its_size(source: Images) -> None:
    copy, changed = source.images[50:51], source.images[70:71].clone()
    changed[0, 0, 0, 0] += 0.25
    distances, items = nearest(torch.cat([copy, changed]), source, 1)
    assert items.flatten().tolist() == [50, 70]
    torch.testing.assert_close(distances.flatten(), torch.tensor([0, 0.25]), atol=1e-5, rtol=0)
