"""Scores of restored images in closed form."""

from typing import Any

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.fidelity import brightness, structural_similarity
from genlab.losses.perceptual import Content, ContentLoss, perceptual_distance
from genlab.metrics import restoration
from genlab.models.base import GenerativeModel
from genlab.networks.vgg import VGG16Features

IMAGES = torch.rand(6, 1, 25, 22, generator=torch.Generator().manual_seed(3)) - 0.5


class Brightens(GenerativeModel):
    """Images are made darker by 0.4; it makes them brighter by 0.3, and the baseline by nothing."""

    batch_type = LabelledImages
    directions = ("x_to_y",)
    scale = 1
    stride = 4
    degradation = "darker by 0.4"
    baseline_name = "the darker image"

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return images - 0.4

    def baseline(self, degraded: Tensor) -> Tensor:
        return degraded

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        assert images.shape[2:] == (24, 20)
        return images + 0.3


class Repairs(Brightens):
    """Gives the original."""

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None) -> Tensor:
        return images + 0.4


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def splits(images: Tensor = IMAGES) -> Splits:
    return Splits(train=images[:1], test=images)


def test_psnr_is_of_the_part_that_the_model_can_take() -> None:
    psnr, ssim, distance = restoration.measure(evaluation(Brightens(), splits()))
    assert psnr.name == "psnr"
    assert psnr.value == pytest.approx(-20 * torch.tensor(0.05).log10().item(), abs=1e-4)
    assert psnr.how["baseline_is"] == "the darker image"
    assert psnr.how["baseline"] == pytest.approx(-20 * torch.tensor(0.2).log10().item(), abs=1e-4)
    assert psnr.how["border"] == 4
    assert psnr.how["num_images"] == 6
    assert ssim.value is not None
    assert ssim.how["baseline"] < ssim.value < 1
    made, truth = (brightness(images, 4) for images in (IMAGES[:, :, :24, :20] - 0.1, IMAGES[:, :, :24, :20]))
    assert ssim.value == pytest.approx(structural_similarity(made, truth).mean().item(), rel=1e-5)
    assert distance.value is not None
    assert 0 < distance.value < distance.how["baseline"]


def test_the_perceptual_distance_names_its_network() -> None:
    *_, distance = restoration.measure(evaluation(Brightens(), splits()))
    assert distance.name == "perceptual_distance_vgg16_hed"
    assert distance.how["network"] == "vgg16_hed"
    part = IMAGES[:, :, :24, :20]
    expected = perceptual_distance(VGG16Features(), part - 0.1, part).double().mean().item()
    assert distance.value == pytest.approx(expected, rel=1e-5)
    assert "content_loss" not in distance.how


@pytest.mark.parametrize(("content", "said"), [("mse", "pixels"), ("vgg54", "relu4_3 of vgg16_hed, the same network")])
def test_what_the_model_was_trained_to_be_near_stands_beside_the_distance(content: Content, said: str) -> None:
    model = Brightens()
    model.content = ContentLoss(content)
    psnr, _, distance = restoration.measure(evaluation(model, splits()))
    assert distance.how["content_loss"] == said
    assert "content_loss" not in psnr.how


def test_no_error_is_told_as_if_crops_of_one_photograph_were_independent() -> None:
    assert all("standard_error" not in score.how for score in restoration.measure(evaluation(Brightens(), splits())))


def test_the_batch_size_changes_nothing() -> None:
    found = [restoration.measure(evaluation(Brightens(), splits(), batch_size=size)) for size in (1, 4)]
    for one, four in zip(*found, strict=True):
        assert one.value == pytest.approx(four.value, rel=1e-5)


def test_images_without_any_error_are_left_out_of_the_mean() -> None:
    scores = {score.name: score for score in restoration.measure(evaluation(Repairs(), splits(IMAGES.round())))}
    assert scores["psnr"].value is None
    assert scores["psnr"].how["undefined"] == "no image has an error"
    assert scores["ssim"].value == pytest.approx(1)
    others = {"baseline": torch.tensor([20.0, 9.0, 22.0])}
    score = restoration.beside("psnr", torch.tensor([30.0, torch.inf, 40.0]), others, {})
    assert (score.value, score.how["baseline"], score.how["left_out_without_error"]) == (35, 21, 1)


def test_what_it_cannot_be_measured_of() -> None:
    assert restoration.unfit(evaluation(Brightens(), splits())) is None
    assert restoration.unfit(evaluation(Silent(), splits())) == "Silent restores nothing"
    small = "images of 'tiny' are smaller than 19x19, a window of SSIM within the border"
    assert restoration.unfit(evaluation(Brightens(), splits(IMAGES[:, :, :, :19]))) == small
    assert restoration.unfit(evaluation(Brightens(), splits(torch.zeros(4, 2)))) == "'tiny' holds no single images"
