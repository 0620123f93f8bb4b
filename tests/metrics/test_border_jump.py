"""The edge that pasting leaves, by its definition and on the compositions."""

from typing import Any

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.datasets.batches import PairedImages
from genlab.datasets.composites import cutouts_on_photographs, photographs_on_photographs
from genlab.metrics.border_jump import border_jump, interior_correlation, measure, unfit
from genlab.models.base import GenerativeModel
from genlab.networks.gaussian_poisson import blend_upwards, resized


class Pastes(GenerativeModel):
    """Blends nothing."""

    batch_type = PairedImages

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask, source, destination)


class Solves(GenerativeModel):
    """Has a blurred composite in place of a network."""

    batch_type = PairedImages

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        colours = interpolate(torch.where(mask, source, destination), (16, 16), mode="area")
        return blend_upwards(colours, source, destination, mask, 1.0)


class Leaves(GenerativeModel):
    """Pastes nothing at all, which leaves no edge."""

    batch_type = PairedImages

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        return destination


class Untrained(GenerativeModel):
    """Solves the equation with the colours of the composite at 8x8."""

    batch_type = PairedImages

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        return blend_upwards(resized(torch.where(mask, source, destination), (8, 8)), source, destination, mask, 1.0)


def evaluated(model: GenerativeModel, channels: int = 3) -> Any:
    return evaluation(model, Splits(train=torch.zeros(2, channels, 8, 8)))


@pytest.fixture(scope="module")
def of_pasting() -> Any:
    return measure(evaluated(Pastes()))


def test_the_jump_is_the_mean_over_pairs_across_the_border() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[0, :, 1, 1] = torch.tensor([0.3, 0.6, 0.9])
    images[1, 0, 3, 3] = 1.0  # far from the border
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[:, :, 1, 1] = True
    torch.testing.assert_close(border_jump(images, mask), torch.tensor([0.6, 0.0]))
    mask[0, :, 1, 2] = True  # six pairs now, three of them beside the bright pixel
    torch.testing.assert_close(border_jump(images, mask)[0], torch.tensor(0.3))


def test_pasting_leaves_all_of_it_and_the_equation_at_most_a_third(of_pasting: Any) -> None:
    assert [score.value for score in of_pasting] == pytest.approx([1, 1])
    scores = measure(evaluated(Solves()))
    assert [score.name for score in scores] == ["border_jump_cutouts", "border_jump_photographs"]
    assert [score.how["num_compositions"] for score in scores] == [29, 8]
    assert all(score.value is not None and score.value <= 0.35 for score in scores)
    assert all(score.how["blended"] < score.how["pasted"] for score in scores)


def test_what_leaves_the_source_out_is_told_by_its_interior(of_pasting: Any) -> None:
    for pasted, left in zip(of_pasting, measure(evaluated(Leaves())), strict=True):
        assert left.value is not None
        assert left.value < 0.25
        assert left.how["blended"] == left.how["of_destination"] == pasted.how["of_destination"]
        assert abs(left.how["interior_correlation"]) < 0.1
        assert pasted.how["interior_correlation"] == pytest.approx(1, abs=1e-4)


def test_the_equation_without_a_network_stands_beside_the_score() -> None:
    for score in measure(evaluated(Untrained())):
        assert score.how["blended"] == pytest.approx(score.how["without_network"], rel=1e-6)
        assert score.how["interior_correlation"] > 0.9


def test_the_interior_is_that_of_the_differences_within_the_mask() -> None:
    source = torch.rand(4, 3, 10, 12, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(4, 1, 10, 12, dtype=torch.bool)
    mask[:, :, 2:7, 3:9] = True
    images = torch.where(mask, source, 5.0)
    images[1] = 0.3 * images[1] + 0.2  # another brightness and contrast
    images[2] *= -1
    images[3] = 1.0
    torch.testing.assert_close(interior_correlation(images, source, mask), torch.tensor([1.0, 1.0, -1.0, 0.0]))
    images[0, :, 2:7, 3:9] += torch.arange(5)[:, None] % 2  # ten times as strong as what the source has
    assert 0 < interior_correlation(images, source, mask)[0] < 0.9


def test_every_composition_has_a_border() -> None:
    for compose in (cutouts_on_photographs, photographs_on_photographs):
        source, destination, mask = compose(256)
        jumps = border_jump(torch.where(mask, source, destination), mask)
        assert jumps.isfinite().all()
        assert (jumps > 0.05).all()


def test_models_that_do_not_blend_and_grey_images_are_left_out() -> None:
    assert unfit(evaluated(Silent())) == "Silent blends no images"
    assert unfit(evaluated(Pastes(), channels=1)) == "the compositions have colours, 'tiny' has none"
    assert unfit(evaluated(Pastes())) is None
