"""Facts of Ledig et al.'s residual network."""

from functools import partial

import pytest
import torch
from alone import alone, sgd
from conftest import short_config
from torch.nn.functional import mse_loss

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.losses.perceptual import Content
from genlab.models.srresnet import SRResNet
from genlab.training import build_model


def batch(count: int = 4) -> LabelledImages:
    """Discs of other sizes, whose edges bicubic interpolation blurs."""
    places = torch.arange(16.0) - 7.5
    distance = (places[:, None] ** 2 + places**2).sqrt()
    discs = torch.stack([(distance < radius).float() * 2 - 1 for radius in torch.linspace(3, 7, count)])
    return LabelledImages(discs[:, None].expand(-1, 3, -1, -1) * 0.9, torch.zeros(count, dtype=torch.int64))


@pytest.mark.parametrize(("name", "scale"), [("srresnet_paper", 4), ("srresnet_x4", 4)])
def test_recipes_enlarge_four_times(name: str, scale: int) -> None:
    config = compose("train", [f"+experiment={name}"]).config
    assert config["model"]["scale"] == scale
    with torch.device("meta"):
        generator = build_model(config).generator
    if name == "srresnet_paper":
        assert sum(weight.numel() for weight in generator.parameters()) == 1_549_462


@pytest.mark.parametrize("content", ["mse", "vgg22"])
def test_the_loss_is_of_the_enlarged_and_the_original(content: Content) -> None:
    torch.manual_seed(0)
    model, reported = alone(SRResNet((3, 16, 16), 2, 4, 1, False, "none", content, sgd))
    images = batch().images
    before = model.content(model.generator(model.degrade(images)), images).item()
    if content == "mse":
        assert before == pytest.approx(mse_loss(model.generator(model.degrade(images)), images).item())
    model.training_step(batch(), 0)
    assert reported["content"] == pytest.approx(before, rel=1e-5)


def test_it_learns_to_draw_sharper_discs_than_bicubic_interpolation() -> None:
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=3e-3)
    model, _ = alone(SRResNet((3, 16, 16), 2, 8, 1, False, "bicubic", "mse", adam))
    for step in range(100):
        model.training_step(batch(), step)
    degraded = model.degrade(batch().images)
    learned, bicubic = (mse_loss(made(degraded), batch().images) for made in (model.translate, model.baseline))
    assert learned < 0.5 * bicubic


def test_nothing_of_vgg_is_trained_or_kept() -> None:
    config = short_config("srresnet", "model.content=vgg22")
    assert build_model(config).state_dict().keys() == build_model(short_config("srresnet")).state_dict().keys()
