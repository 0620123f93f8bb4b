"""Facts of Pathak et al.'s context encoder: its holes, its loss and what it fills."""

from typing import Any

import pytest
import torch
from alone import alone, changed, weights
from torch import Tensor

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.datasets.images import centred
from genlab.models.capabilities import Restores
from genlab.models.context_encoder import CELLS, FILL, ContextEncoder, smooth, widened
from genlab.training import build_model


def adam(weights: Any, lr: float = 2e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=lr)


def model(region: Any = "center", side: int = 32, channels: int = 3, **settings: Any) -> ContextEncoder:
    torch.manual_seed(0)
    chosen = {"overlap": 2, "overlap_weight": 10.0, "adversarial_weight": 0.001, "skip": "none"} | settings
    return ContextEncoder((channels, side, side), 4, 8, region, 0.25, **chosen, generator_lr=2e-2, optimizer=adam)


def images(count: int = 4, height: int = 32, width: int = 32) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_well_known_numbers_of_parameters() -> None:
    with torch.device("meta"):
        paper = build_model(compose("train", ["+experiment=context_encoder_paper"]).config)
    sizes = [
        sum(weight.numel() for weight in network.parameters()) for network in (paper.generator, paper.discriminator)
    ]
    assert sizes == [71_124_544, 2_765_568]
    rates = [optimizer.param_groups[0]["lr"] for optimizer in paper.configure_optimizers()]
    assert rates == pytest.approx([2e-3, 2e-4])


def test_the_central_hole_is_half_the_side_less_the_overlap_that_stays_visible() -> None:
    """Of the paper's 128 pixels 64 are predicted, of which 4 at each side are seen."""
    encoder = model(side=128, overlap=4)
    hole = encoder.holes(images(1, 128, 128), torch.zeros(1, CELLS, CELLS))
    assert hole.sum().item() == 56**2
    assert hole[0, 0, 36:92, 36:92].all()
    assert encoder.crop(images(1, 128, 128)).shape == (1, 3, 64, 64)


def test_random_holes_cover_their_share_and_differ() -> None:
    encoder = model("random")
    holes = encoder.holes(images(), torch.rand(4, CELLS, CELLS, generator=torch.Generator().manual_seed(2)))
    assert (holes.flatten(1).float().mean(1) - 0.25).abs().max() < 0.01
    assert not torch.equal(holes[0], holes[1])


@pytest.mark.parametrize("region", ["center", "random"])
@torch.no_grad()
def test_it_undoes_its_holes_and_touches_nothing_else(region: str) -> None:
    encoder = model(region).eval()
    assert isinstance(encoder, Restores)
    seen = encoder.degrade(images(), torch.Generator().manual_seed(3))
    hole = encoder.hole(seen)
    colour = torch.tensor(FILL).view(1, 3, 1, 1) / 127.5 - 1
    torch.testing.assert_close(seen, torch.where(hole, colour, images()))
    for made in (encoder.translate(seen), encoder.baseline(seen)):
        assert torch.equal(made.masked_fill(hole, 0), images().masked_fill(hole, 0))
        assert ((made - seen).abs().amax(1, keepdim=True) > 0)[hole].float().mean() > 0.99
    assert torch.equal(encoder.translate(seen)[1:2], encoder.translate(seen[1:2]))
    assert torch.equal(seen, encoder.degrade(images(), torch.Generator().manual_seed(3)))


@torch.no_grad()
def test_a_random_hole_is_found_again_in_a_file_of_8_bits() -> None:
    encoder = model("random").eval()
    seen = encoder.degrade(images())
    levels = ((seen + 1) * 127.5).round().byte()
    assert torch.equal(encoder.hole(centred(levels)), encoder.hole(seen))


def grey_levels(count: int) -> Tensor:
    """Of 8 bits from 110 to 119, so that a tenth of the pixels are of the level next to the grey of holes."""
    return torch.randint(110, 120, (count, 1, 32, 32), generator=torch.Generator().manual_seed(6)).byte()


@torch.no_grad()
def test_no_pixel_of_a_grey_photograph_is_taken_for_a_hole() -> None:
    encoder, photographs = model("random", channels=1), centred(grey_levels(4))
    assert ((photographs - encoder.fill).abs() < 1 / 255).any()
    uniform = torch.rand(4, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(encoder.hole(encoder.degrade(photographs)), encoder.holes(photographs, uniform))
    assert not encoder.hole(photographs).any()


@torch.no_grad()
def test_a_square_in_a_grey_file_of_8_bits_is_a_hole() -> None:
    levels, expected = grey_levels(2), torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    levels[levels == 115] = 114
    levels[:, :, 20, 20:24] = 115
    expected[0, :, 3:12, 7:14] = expected[0, :, :5, 27:] = True
    levels[expected] = 115
    assert torch.equal(model("random", channels=1).hole(centred(levels)), expected)


@torch.no_grad()
def test_the_baseline_is_the_smooth_filling_of_what_is_next_to_the_hole() -> None:
    encoder = model()
    canvas = torch.full((1, 3, 32, 32), 0.9)
    canvas[:, :, 8:24, 8:24] = -0.4  # two pixels around the hole of 12
    made = encoder.baseline(encoder.degrade(canvas))
    torch.testing.assert_close(made[:, :, 10:22, 10:22], torch.full((1, 3, 12, 12), -0.4))
    hole = encoder.holes(images(), torch.zeros(4, CELLS, CELLS))
    degraded = encoder.degrade(images())
    ring = widened(hole, 2) & ~hole
    assert torch.equal(encoder.baseline(degraded), torch.where(hole, smooth(images(), ring), images()))


def test_what_is_seen_of_the_centre_counts_tenfold() -> None:
    for weight in (0.0, 10.0):
        encoder, reported = alone(model(overlap_weight=weight))
        hole = encoder.holes(images(), torch.zeros(4, CELLS, CELLS))
        squares = (encoder.predicted(images(), hole) - encoder.crop(images())).square()
        inner = torch.zeros(16, 16)
        inner[2:-2, 2:-2] = 1
        expected = (squares * (inner + weight * (1 - inner))).mean().item()
        encoder.training_step(LabelledImages(images(), torch.zeros(4, dtype=torch.int64)), 0)
        assert reported["squared_error"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("region", ["center", "random"])
def test_both_networks_take_a_step_with_each_batch(region: str) -> None:
    encoder, _ = alone(model(region))
    before = weights(encoder.generator), weights(encoder.discriminator)
    encoder.training_step(LabelledImages(images(), torch.zeros(4, dtype=torch.int64)), 0)
    assert changed(encoder.generator, before[0])
    assert changed(encoder.discriminator, before[1])


def test_it_learns_what_the_ring_tells() -> None:
    """Flat images: the colour of the hole is that around it."""
    encoder, reported = alone(model())
    generator = torch.Generator().manual_seed(4)
    for step in range(150):
        flat = (torch.rand(16, 3, 1, 1, generator=generator) * 1.6 - 0.8).expand(-1, -1, 32, 32)
        encoder.training_step(LabelledImages(flat, torch.zeros(16, dtype=torch.int64)), step)
    assert reported["squared_error"] < 0.5  # 1.05 of grey images, as the band counts tenfold


@torch.no_grad()
def test_any_unknown_place_is_looked_at_from_the_square_that_has_it_in_its_centre() -> None:
    encoder = model().eval()
    hole = torch.zeros(1, 1, 50, 70, dtype=torch.bool)
    hole[:, :, 30:42, 3:15] = True  # as large as the central hole of 32 pixels, and near the border
    assert encoder.window(hole) == (20, -7, 32, 32)
    image = images(1, 50, 70)
    made = encoder.complete(image, ~hole)
    assert torch.equal(made.masked_fill(hole, 0), image.masked_fill(hole, 0))
    repeated = torch.nn.functional.pad(torch.where(hole, encoder.fill, image), [7, 0, 0, 2], mode="replicate")
    expected = encoder.translate(repeated[:, :, 20:52, :32])[:, :, 10:22, 10:22]
    torch.testing.assert_close(made[:, :, 30:42, 3:15], expected)


@torch.no_grad()
@pytest.mark.parametrize("region", ["center", "random"])
def test_holes_and_images_of_any_size_are_filled(region: str) -> None:
    encoder = model(region).eval()
    image = images(2, 45, 60)
    known = torch.ones(2, 1, 45, 60, dtype=torch.bool)
    known[0, :, 5:40, 20:25] = False
    made = encoder.complete(image, known)
    assert torch.equal(made[1], image[1])
    assert (made[0] != image[0]).any(0)[5:40, 20:25].float().mean() > 0.99
    assert torch.isfinite(made).all()
    assert encoder.translate(encoder.degrade(image)).shape == image.shape


def test_the_smooth_filling_is_the_mean_of_the_ring_by_distance_to_the_power_of_minus_three() -> None:
    pictures = images(2, 9, 12)
    ring = torch.rand(2, 1, 9, 12, generator=torch.Generator().manual_seed(5)) < 0.3
    found = smooth(pictures, ring)
    for row, column in ((0, 0), (4, 7), (8, 11)):
        rows, columns = torch.arange(9.0)[:, None], torch.arange(12.0)
        weights = ((rows - row) ** 2 + (columns - column) ** 2).clamp(min=1) ** -1.5 * ring
        expected = (pictures * weights).sum((2, 3)) / weights.sum((2, 3))
        torch.testing.assert_close(found[:, :, row, column], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_prediction_is_added_to_the_smooth_filling_and_to_what_is_seen() -> None:
    encoder, hole = model(skip="smooth"), model().holes(images(), torch.zeros(4, CELLS, CELLS))
    made = encoder.predicted(images(), hole) - encoder.generator(torch.where(hole, encoder.fill, images()))
    filling = encoder.smoothed(images(), hole)
    torch.testing.assert_close(made, encoder.crop(filling))
    assert torch.equal(encoder.crop(filling)[..., :2], images()[:, :, 8:24, 8:10])


def test_widening_is_by_rows_and_columns() -> None:
    mask = torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    mask[..., 3, 3] = True
    assert widened(mask, 2).sum() == 25
    assert torch.equal(widened(mask, 0), mask)


@pytest.mark.parametrize(("side", "overlap"), [(28, 7), (32, 8), (18, 2)])
def test_a_centre_without_a_hole_is_refused(side: int, overlap: int) -> None:
    with pytest.raises(
        ValueError, match="region=center needs a side that is a multiple of 4 and more than 4 times the"
    ):
        model(side=side, overlap=overlap)
