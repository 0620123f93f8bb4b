"""Facts of Li & Wand's optimized pictures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from game import count, sgd, without_trainer
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from genlab.datasets.batches import LabelledImages
from genlab.datasets.photos import photographs
from genlab.errors import DataError, UsageError
from genlab.models.mdan import MDAN, content_picture, covering, roughness

ANY: Any = None
"""A data set: none is looked at."""


def mdan(**settings: Any) -> MDAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "image_shape": (3, 16, 16),
        "picture_size": (16, 24),
        "features": "vgg16",
        "layers": ["relu1_1", "relu2_1"],
        "width": 4,
        "content": None,
        "content_layer": "relu2_2",
        "content_weight": 1.0,
        "smoothness_weight": 1e-4,
        "picture_lr": 0.1,
        "optimizer": sgd,
    }
    return MDAN(**(defaults | settings))


def batch(size: int = 4) -> LabelledImages:
    """Coarse stripes."""
    rows = torch.arange(16)[:, None].div(4, rounding_mode="floor").remainder(2).float() * 1.6 - 0.8
    return LabelledImages(rows.expand(size, 3, 16, 16).contiguous(), torch.zeros(size, dtype=torch.int64))


def test_the_papers_discriminator_has_its_size() -> None:
    paper = mdan(image_shape=(3, 64, 64), picture_size=(64, 64), layers=["relu3_1"], width=256)
    assert count(paper.discriminator) == 606_977


def test_picture_and_discriminator_move_in_turn() -> None:
    model = without_trainer(mdan())
    picture = model.picture.detach().clone()
    losses = []
    descend = model.descend

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        before = [weight.detach().clone() for weight in model.parameters()]
        descend(optimizer, loss, name)
        moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
        assert moved[0] == (name == "picture")
        assert any(moved[1:]) == (name == "discriminator")
        losses.append(name)

    model.descend = spy
    model.training_step(batch(), 0)
    assert losses == ["discriminator", "picture"]
    assert not torch.equal(picture, model.picture)


def test_the_picture_takes_on_the_statistics_of_the_texture() -> None:
    def adam(weights: Any, lr: float = 2e-3) -> torch.optim.Optimizer:
        return torch.optim.Adam(weights, lr, betas=(0.5, 0.999))

    model = without_trainer(mdan(optimizer=adam, picture_lr=0.05))

    def distance() -> float:
        with torch.no_grad():
            found, wanted = (
                model.features(images, ["relu2_1"])["relu2_1"].mean((0, 2, 3))
                for images in (model.picture, batch().images)
            )
        return (found - wanted).norm().item()

    before = distance()
    for _ in range(40):
        model.training_step(batch(), 0)
    assert distance() < before / 2
    assert model.picture.abs().max() <= 1


def test_samples_are_the_picture_and_none_of_them_can_change_it() -> None:
    model = mdan()
    samples = model.sample(3)
    assert samples.shape == (3, 3, 16, 24)
    assert torch.equal(samples[2], model.picture[0])
    samples.zero_()
    assert model.picture.any()


def test_the_content_is_where_the_picture_begins_and_what_it_is_held_by() -> None:
    model = without_trainer(mdan(content="chelsea"))
    model.check_data(ANY)
    wanted = covering(content_picture("chelsea", 3), 16, 24)
    assert torch.equal(model.picture, wanted)
    assert torch.equal(model.state_dict()["kept"], wanted)
    maps = model.features(model.picture, ["relu2_2"])["relu2_2"]
    assert model.content_loss(maps).item() == 0
    assert model.content_loss(torch.zeros_like(maps)).item() == pytest.approx(1)
    plain = mdan()
    plain.check_data(ANY)
    assert plain.picture.abs().max() <= 0.1


def test_the_weight_of_the_content_counts() -> None:
    losses = []
    for weight in (0.0, 5.0):
        model = without_trainer(mdan(content="chelsea", content_weight=weight))
        model.check_data(ANY)
        with torch.no_grad():
            model.picture.mul_(0.5)
            lost = model.content_loss(model.features(model.picture, ["relu2_2"])["relu2_2"]).item()
        model.training_step(batch(), 0)
        losses.append(model.said["picture"].item() - weight * lost)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_content_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no photograph 'chelse' and no such file\ngenlab's own: .*chelsea"):
        content_picture("chelse", 3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png .*\nset another with model\.content=FILE"):
        content_picture(str(tmp_path / "broken.png"), 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_is_cut_to_its_middle(tmp_path: Path, channels: int) -> None:
    image = Image.new("RGB", (40, 10), (255, 255, 255))
    image.paste((0, 0, 0), (10, 0, 30, 10))
    image.save(tmp_path / "wide.png")
    picture = content_picture(str(tmp_path / "wide.png"), channels)
    assert picture.shape == (1, channels, 10, 40)
    middle = covering(picture, 20, 40)
    assert middle.shape == (1, channels, 20, 40)
    assert (middle < -0.99).float().mean() > 0.9
    assert content_picture("chelsea", channels).shape[1] == channels


def test_roughness_is_the_mean_square_of_both_differences() -> None:
    images = torch.tensor([[0.0, 1.0], [0.0, 3.0]]).view(1, 1, 2, 2)
    assert roughness(images).item() == pytest.approx((0 + 4) / 2 + (1 + 9) / 2)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"patches of 8x8 features of relu3_1 have 32 pixels, so sides are at least tha"
    ):
        mdan(layers=["relu3_1"])
    with pytest.raises(UsageError, match=r"vgg16_hed has no layer relu5_1"):
        mdan(content="chelsea", content_layer="relu5_1").check_data(ANY)


def test_a_grey_photograph_is_the_same_by_its_name_and_from_a_file(tmp_path: Path) -> None:
    name, photograph = next(iter(photographs("train").items()))
    to_pil_image(photograph).save(tmp_path / "photo.png")
    by_name, from_file = content_picture(name, 1), content_picture(str(tmp_path / "photo.png"), 1)
    assert (by_name - from_file).abs().max() <= 1.01 / 127.5
