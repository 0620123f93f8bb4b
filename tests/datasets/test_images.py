"""Images in memory: brought to one shape, scaled to [-1, 1], mirrored by chance."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.datasets.images import ImagesInMemory, check_channels, fit
from genlab.datasets.loader import Chosen


def random_images(*shape: int, levels: int = 255) -> torch.Tensor:
    return torch.randint(levels + 1, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_images_that_fit_are_left_as_they_are() -> None:
    images = random_images(5, 8, 8, levels=16)
    fitted, levels = fit(images, 16, (1, 8, 8), "pad")
    assert levels == 16
    assert torch.equal(fitted, images[:, None])


@pytest.mark.parametrize(("side", "before", "after"), [(32, 2, 2), (29, 0, 1)])
def test_a_border_of_background_surrounds_smaller_images(side: int, before: int, after: int) -> None:
    images = random_images(3, 28, 28).clamp(min=1)
    fitted, levels = fit(images, 255, (1, side, side), "pad")
    assert (fitted.shape, levels) == ((3, 1, side, side), 255)
    assert torch.equal(fitted[:, 0, before : side - after, before : side - after], images)
    assert (fitted == 0).sum() == 3 * (side**2 - 28**2)


def test_smaller_images_are_means_of_areas() -> None:
    images = random_images(4, 28, 28)
    fitted, levels = fit(images, 255, (1, 14, 14), "pad")
    means = images.reshape(4, 14, 2, 14, 2).double().mean((2, 4))
    assert levels == 255
    assert (fitted[:, 0].double() - means).abs().max() <= 0.5


def test_averaging_stretches_few_levels_to_255() -> None:
    fitted, levels = fit(torch.full((1, 8, 8), 16, dtype=torch.uint8), 16, (1, 4, 4), "pad")
    assert levels == 255
    assert (fitted == 255).all()


def test_one_side_may_shrink_while_the_other_grows() -> None:
    fitted, _ = fit(torch.full((2, 20, 40), 200, dtype=torch.uint8), 255, (1, 30, 30), "pad")
    assert (fitted[:, :, 5:25] == 200).all()
    assert (fitted[:, :, :5] == 0).all()
    assert (fitted[:, :, 25:] == 0).all()


def test_enlarging_by_interpolation_is_what_pillow_does() -> None:
    image = random_images(8, 8)
    fitted, _ = fit(image[None], 255, (1, 20, 20), "resize")
    by_pillow = np.asarray(Image.fromarray(image.numpy()).resize((20, 20), Image.Resampling.BILINEAR))
    assert np.abs(fitted[0, 0].numpy().astype(int) - by_pillow).max() <= 1


def test_colours_become_the_grey_of_pillow_and_grey_three_equal_colours() -> None:
    images = random_images(2, 3, 6, 6)
    grey, _ = fit(images, 255, (1, 6, 6), "pad")
    by_pillow = np.asarray(Image.fromarray(images[1].permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(grey[1, 0].numpy().astype(int) - by_pillow).max() <= 1
    colours, _ = fit(grey, 255, (3, 6, 6), "pad")
    assert colours.shape == (2, 3, 6, 6)
    assert all(torch.equal(colours[:, channel], grey[:, 0]) for channel in range(3))


def test_no_images_stay_no_images() -> None:
    assert fit(torch.zeros(0, 28, 28, dtype=torch.uint8), 255, (1, 14, 14), "pad")[0].shape == (0, 1, 14, 14)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"has {channels} channels; images have 1 or 3"):
        check_channels((channels, 8, 8))


@pytest.mark.parametrize("levels", [16, 255])
def test_a_batch_is_float32_from_minus_one_to_one_with_int64_labels(levels: int) -> None:
    images = torch.arange(levels + 1, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    source = ImagesInMemory(images, torch.arange(levels + 1), levels)
    batch = source.__getitems__(Chosen(0, torch.tensor([0, levels])))
    assert batch.images.dtype == torch.float32
    assert batch.images.flatten().tolist() == [-1, 1]
    assert batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == [0, levels]


def test_half_of_the_images_are_mirrored_others_each_epoch_and_none_in_evaluation() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).expand(2000, 1, 1, 2)
    source = ImagesInMemory(images, torch.zeros(2000, dtype=torch.int64), flip_seed=7)

    def mirrored(epoch: int, source: ImagesInMemory = source) -> torch.Tensor:
        return source.__getitems__(Chosen(epoch, torch.arange(2000))).images[:, 0, 0, 0] == 1

    again = ImagesInMemory(images, torch.zeros(2000, dtype=torch.int64), flip_seed=7)
    assert mirrored(0).float().mean() == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(mirrored(0), mirrored(1))
    assert torch.equal(mirrored(0), mirrored(0, again))
    assert not mirrored(-1).any()


def test_mirroring_does_not_touch_the_images_in_memory() -> None:
    images = random_images(50, 1, 4, 4)
    before = images.clone()
    source = ImagesInMemory(images, torch.zeros(50, dtype=torch.int64), flip_seed=0)
    for epoch in range(3):
        source.__getitems__(Chosen(epoch, torch.arange(50)))
    assert torch.equal(images, before)
