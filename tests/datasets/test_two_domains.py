"""Two domains without pairs."""

import torch

from genlab.datasets.batches import UnpairedImages
from genlab.datasets.loader import Chosen
from genlab.datasets.two_domains import Halves, TwoDomains, transformed


def test_a_negative_is_minus_the_image_and_its_own_inverse() -> None:
    images = torch.rand(2, 1, 5, 5) * 2 - 1
    assert torch.equal(transformed(images, "negative"), -images)


def test_edges_of_a_square_are_its_outline() -> None:
    image = torch.full((1, 1, 7, 7), -1.0)
    image[..., 1:6, 1:6] = 1
    outline = image.clone()
    outline[..., 2:5, 2:5] = -1
    assert torch.equal(transformed(image, "edges"), outline)


def test_no_image_is_in_both_domains() -> None:
    dataset = TwoDomains("optdigits", "optdigits", "negative", (1, 8, 8), 16, 200, 0)
    dataset.setup()
    assert dataset.sizes() == {"train": 618, "validation": 100, "test": 180}
    source = dataset.sources["train"]
    assert isinstance(source, Halves)
    batch = source.__getitems__(Chosen(0, torch.arange(618)))
    assert isinstance(batch, UnpairedImages)
    images = source.source.images.float() / 8 - 1
    torch.testing.assert_close(batch.first, images[:618])
    torch.testing.assert_close(dataset.counterpart(batch.second), images[618:1236])
