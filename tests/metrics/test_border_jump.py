"""The edge that pasting leaves, by its definition and on the compositions."""

from typing import Any

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.datasets.batches import PairedImages
from genlab.datasets.composites import cutouts_on_photographs, photographs_on_photographs
from genlab.metrics.border_jump import border_jump, measure, unfit
from genlab.models.base import GenerativeModel
from genlab.networks.gaussian_poisson import blend_upwards


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


def evaluated(model: GenerativeModel, channels: int = 3) -> Any:
    return evaluation(model, Splits(train=torch.zeros(2, channels, 8, 8)))


def test_the_jump_is_the_mean_over_pairs_across_the_border() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[0, :, 1, 1] = torch.tensor([0.3, 0.6, 0.9])
    images[1, 0, 3, 3] = 1.0  # far from the border
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[:, :, 1, 1] = True
    torch.testing.assert_close(border_jump(images, mask), torch.tensor([0.6, 0.0]))
    mask[0, :, 1, 2] = True  # six pairs now, three of them beside the bright pixel
    torch.testing.assert_close(border_jump(images, mask)[0], torch.tensor(0.3))


def test_pasting_leaves_all_of_it_and_the_equation_at_most_a_third() -> None:
    assert [score.value for score in measure(evaluated(Pastes()))] == pytest.approx([1, 1])
    scores = measure(evaluated(Solves()))
    assert [score.name for score in scores] == ["border_jump_cutouts", "border_jump_photographs"]
    assert [score.how["num_compositions"] for score in scores] == [29, 8]
    assert all(score.value is not None and score.value <= 0.35 for score in scores)
    assert all(score.how["blended"] < score.how["pasted"] for score in scores)


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
