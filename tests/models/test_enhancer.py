"""Facts of the enhancer: what spoils a photograph, each alone, and that it learns to mend it."""

from typing import Any

import numpy as np
import pytest
import torch
from alone import alone, changed, weights
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.fidelity import signal_to_noise
from genlab.models.capabilities import Restores
from genlab.models.enhancer import NUM_CHANCES, QUANTIZATION, Enhancer, blocked, blurred, faded, unfaded
from genlab.networks.unet import of_each

MOST = {"max_darkness": 1.0, "max_fading": 0.5, "max_blur": 1.5, "max_noise": 15.0, "max_blocks": 1.0}


def adam(weights: Any, lr: float = 2e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=lr, betas=(0.5, 0.999))


def model(skip: Any = "input", **most: float) -> Enhancer:
    torch.manual_seed(0)
    settings: dict[str, Any] = dict.fromkeys(MOST, 0.0) | most
    return Enhancer((3, 16, 16), 8, 2, 1, "instance", 100.0, skip, **settings, optimizer=adam)


def images(count: int = 2, height: int = 16, width: int = 16) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_darkness_and_fading_in_closed_form() -> None:
    values = torch.tensor([0.0, 0.25, 1.0])
    found = faded(values, torch.tensor(1.0), torch.tensor(0.5))
    torch.testing.assert_close(found, torch.tensor([0.25, 0.28125, 0.75]))
    torch.testing.assert_close(faded(values, torch.tensor(0.0), torch.tensor(0.0)), values)
    torch.testing.assert_close(unfaded(found, 1.0, 0.5), values)
    assert torch.equal(unfaded(torch.tensor([0.1, 0.9]), 1.0, 0.5), torch.tensor([0.0, 1.0]))


def test_the_baseline_undoes_the_mean_darkness_and_fading_and_nothing_else() -> None:
    spoilt = faded((images() + 1) / 2, torch.tensor(0.5), torch.tensor(0.25)) * 2 - 1
    torch.testing.assert_close(model(**MOST).baseline(spoilt), images(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(max_noise=15.0, max_blur=1.5).baseline(spoilt), spoilt)


def test_blur_is_a_gaussian_of_each_images_own_width() -> None:
    point = torch.zeros(3, 2, 21, 21)
    point[:, :, 10, 10] = 1
    found = blurred(point, torch.tensor([0.0, 0.8, 1.2]))
    torch.testing.assert_close(found[0], point[0])
    places = torch.arange(21.0) - 10
    for image, deviation in zip(found[1:], (0.8, 1.2), strict=True):
        torch.testing.assert_close(image.sum((1, 2)), torch.ones(2))
        variance = (image[0].sum(0) * places**2).sum()
        assert variance.sqrt().item() == pytest.approx(deviation, rel=0.02)
    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(blurred(flat, torch.tensor([1.5])), flat)


def test_blocks_have_the_frequencies_that_jpeg_would_keep() -> None:
    values = (images(1, 16, 8)[:, :1] + 1) / 2
    found = blocked(values, torch.tensor([1.0]))
    index = np.arange(8)
    cosines = np.cos(np.pi / 8 * index[:, None] * (index + 0.5)) / 2
    cosines[0] /= np.sqrt(2)
    assert np.allclose(cosines @ cosines.T, np.eye(8))
    for top in (0, 8):
        block, original = (each[0, 0, top : top + 8].double().numpy() * 255 - 128 for each in (found, values))
        steps = np.array(QUANTIZATION)
        assert np.allclose(
            cosines @ block @ cosines.T, np.round(cosines @ original @ cosines.T / steps) * steps, atol=1e-2
        )


def test_fine_blocks_change_less_than_a_grey_level_or_two_at_any_size() -> None:
    values = (images(2, 13, 9) + 1) / 2
    found = blocked(values, torch.zeros(2))
    assert found.shape == values.shape
    assert 0 < (found - values).abs().max() < 3 / 255


def test_nothing_at_most_is_nothing_but_grey_levels() -> None:
    spoilt = model().degrade(images())
    assert (spoilt - images()).abs().max() < 6 / 255
    assert model().degradation == ""
    assert model(**MOST).degradation == "darkness to 1, fading to 0.5, blur to 1.5, noise to 15, blocks to 1"


@pytest.mark.parametrize("name", sorted(MOST))
def test_each_spoils_the_image_by_its_share_of_the_most(name: str) -> None:
    enhancer = model(**{name: MOST[name]})
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    none, half, most = (
        (enhancer.spoilt(images(), torch.full((2, NUM_CHANCES), share), noise) - images()).square().mean().item()
        for share in (0.0, 0.5, 1.0)
    )
    assert none < 1e-4
    assert none < half < most


def test_a_seed_spoils_an_image_alike_whatever_the_batch() -> None:
    enhancer = model(**MOST)
    generator = torch.Generator().manual_seed(5)
    whole = enhancer.degrade(images(3), generator)
    generator = torch.Generator().manual_seed(5)
    parts = torch.cat([enhancer.degrade(part, generator) for part in images(3).split(1)])
    torch.testing.assert_close(whole, parts)
    assert not torch.equal(whole[0] - images(3)[0], whole[1] - images(3)[1])


@torch.no_grad()
def test_it_mends_any_size_that_is_a_multiple_of_its_stride() -> None:
    enhancer = model(**MOST).eval()
    assert isinstance(enhancer, Restores)
    assert enhancer.stride == 4
    spoilt = enhancer.degrade(images(3, 24, 12))
    mended = enhancer.translate(spoilt)
    assert mended.shape == spoilt.shape
    torch.testing.assert_close(mended[1:2], enhancer.translate(spoilt[1:2]))
    assert enhancer.baseline(spoilt).shape == spoilt.shape


@torch.no_grad()
def test_with_the_skip_the_network_is_what_differs_from_the_spoilt_image() -> None:
    uniform = of_each([torch.Generator()])
    plain, skipping = (model(skip).mended(images(1), uniform) for skip in ("none", "input"))
    torch.testing.assert_close(skipping - plain, images(1))


def test_both_networks_take_a_step_with_each_batch() -> None:
    enhancer, reported = alone(model(**MOST))
    before = weights(enhancer.generator), weights(enhancer.discriminator)
    enhancer.training_step(LabelledImages(images(4), torch.zeros(4, dtype=torch.int64)), 0)
    assert changed(enhancer.generator, before[0])
    assert changed(enhancer.discriminator, before[1])
    assert set(reported) == {"discriminator", "generator", "l1"}


def test_it_learns_to_brighten() -> None:
    enhancer, _ = alone(model(max_darkness=1.0))
    torch.manual_seed(1)
    truth = torch.nn.functional.interpolate(images(8, 4, 4), (16, 16), mode="bilinear")
    for step in range(120):
        enhancer.training_step(LabelledImages(truth, torch.zeros(8, dtype=torch.int64)), step)
    with torch.no_grad():
        spoilt = enhancer.degrade(truth)
        before, after = (signal_to_noise(each, truth, 0).mean() for each in (spoilt, enhancer.eval().translate(spoilt)))
    assert after > before + 2


def test_sides_that_are_no_multiples_of_the_stride_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image_shape=\[3, 18, 16\]: sides must be multiples of 4, as depth=2"):
        Enhancer((3, 18, 16), 8, 2, 1, "none", 100.0, "none", **MOST, optimizer=adam)
