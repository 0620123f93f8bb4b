"""Facts of Taigman et al.'s networks and losses."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import differences, short_config, trained
from game import count, sgd, turns_of, weights, without_trainer
from torch import Tensor

from genlab.datasets.batches import LabelledUnpairedImages
from genlab.errors import UsageError
from genlab.models.capabilities import Translates
from genlab.models.dtn import (
    DTN,
    FROM_X,
    FROM_Y,
    REAL,
    Classifier,
    Discriminator,
    Generator,
    distorted,
    told_as,
    total_variation,
)

NARROW = ["model.width=4", "model.code_dim=8", "model.classifier_epochs=1"]
"""The first of two epochs is the classifier's, the second the game's."""


def small(epoch: int = 1, **changed: float) -> Any:
    torch.manual_seed(0)
    parts: dict[str, Any] = {"constancy_weight": 15.0, "identity_weight": 15.0, "variation_weight": 0.1}
    parts |= {"distortion": 0.0} | changed
    model = without_trainer(DTN((3, 16, 16), 10, 4, 8, 1, optimizer=lambda weights: sgd(weights, 0.01), **parts))
    type(model).current_epoch = property(lambda self: epoch)
    return model


def batch() -> LabelledUnpairedImages:
    first, second = torch.rand(2, 6, 3, 16, 16) * 2 - 1
    return LabelledUnpairedImages(first, torch.arange(6), second)


def test_parameters_of_grey_digits() -> None:
    shape = (1, 32, 32)
    with torch.device("meta"):
        assert count(Classifier(64, 128, 10, (3, 32, 32)).code) == 896_384
        assert count(Generator(64, 128, shape)) == 2_526_977
        # The field's copies tell two kinds apart, with 8,193 parameters for one logit.
        assert count(Discriminator(64, shape)) == 1_486_593 + 2 * 8_193


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_shapes(side: int) -> None:
    images = torch.rand(2, 3, side, side)
    classifier = Classifier(4, 8, 10, (3, side, side))
    assert classifier.code(images).shape == (2, 8, 1, 1)
    assert classifier(images).shape == (2, 10)
    assert Generator(4, 8, (3, side, side))(classifier.code(images)).shape == images.shape
    assert Discriminator(4, (3, side, side))(images).shape == (2, 3)


def test_the_classifier_has_its_epochs_alone_and_the_game_the_others() -> None:
    assert turns_of(small(epoch=0), batch()) == ["classifier"]
    assert turns_of(small(epoch=1), batch()) == ["discriminator", "generator"]


def test_distortion_is_of_the_classifiers_images_alone_and_nothing_moves_without() -> None:
    seen: list[Tensor] = []
    for epoch, distortion in ((0, 0.0), (0, 1.0), (1, 1.0)):
        model, data = small(epoch=epoch, distortion=distortion), batch()
        model.classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        model.classifier.code.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        model.training_step(data, 0)
        of_source = seen[0][: len(data.first)]
        assert torch.equal(of_source, data.first) == (epoch == 1 or distortion == 0)
        seen.clear()


@pytest.mark.parametrize(
    ("amounts", "row", "column"),
    [
        ((0, 0, 0, 0, 0, 0), 3, 10),
        ((6, 0, 0, 0, 0, 0), 5, 3),
        ((0, 0, 0, 0, 1.0417, 0), 3, 9),
    ],
    ids=["nothing", "a quarter turn", "a pixel to the left"],
)
def test_where_a_point_goes(amounts: tuple[float, ...], row: int, column: int) -> None:
    images = torch.zeros(1, 1, 16, 16)
    images[0, 0, 3, 10] = 1
    places = distorted(images, torch.tensor([amounts], dtype=torch.float32)).flatten().topk(1).indices
    assert divmod(places.item(), 16) == (row, column)


def test_the_frozen_classifier_keeps_its_averages_too() -> None:
    model = small().train()
    before = {name: value.clone() for name, value in model.classifier.named_buffers()}
    model.training_step(batch(), 0)
    assert all(torch.equal(before[name], value) for name, value in model.classifier.named_buffers())


def test_the_discriminator_tells_three_kinds_apart_and_both_translations_are_to_look_real() -> None:
    model, data = small(constancy_weight=0.0, identity_weight=0.0, variation_weight=0.0), batch()
    seen: list[Tensor] = []
    model.discriminator.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    losses: dict[str, float] = {}
    model.descend = lambda optimizer, loss, name: losses.__setitem__(name, loss.item())
    torch.nn.init.zeros_(model.discriminator[-2].weight)
    model.discriminator[-2].bias.data = torch.tensor([1.0, 2.0, 4.0])
    model.training_step(data, 0)
    fake_x, fake_y, real, again_x, again_y = seen
    assert torch.equal(real, data.second)
    assert torch.equal(fake_x, again_x)
    assert torch.equal(fake_y, again_y)
    assert not torch.equal(fake_x, fake_y)
    log_sum = math.log(math.exp(1) + math.exp(2) + math.exp(4))
    assert losses["discriminator"] == pytest.approx(3 * log_sum - 1 - 2 - 4, rel=1e-5)
    assert losses["generator"] == pytest.approx(2 * (log_sum - 4), rel=1e-5)
    assert sorted([FROM_X, FROM_Y, REAL]) == [0, 1, 2]


def test_constancy_is_of_codes_and_identity_of_the_second_domain() -> None:
    data = batch()
    model = small(constancy_weight=2.0, identity_weight=3.0, variation_weight=5.0)
    losses: dict[str, Tensor] = {}
    model.descend = lambda optimizer, loss, name: losses.__setitem__(name, loss.detach())
    made: list[Tensor] = []
    model.generator.register_forward_hook(lambda module, inputs, output: made.append(output.detach()))
    model.training_step(data, 0)
    (both,) = made
    fake_x, fake_y = both.chunk(2)
    code = model.classifier.code
    constancy = (code(fake_x) - code(data.first)).square().mean()
    identity = (fake_y - data.second).square().mean()
    assert model.said["constancy"].item() == pytest.approx(constancy.item(), rel=1e-4)
    assert model.said["identity"].item() == pytest.approx(identity.item(), rel=1e-4)
    variation = total_variation(fake_x) + total_variation(fake_y)
    rest = losses["generator"] - 2 * constancy - 3 * identity - 5 * variation
    assert rest.item() == pytest.approx(model.said["generator"].item(), rel=1e-3)


def test_variation_is_the_length_of_the_slope_and_flat_images_have_a_gradient() -> None:
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    assert total_variation((3 * rows + 4 * columns)[None, None]).item() == pytest.approx(5)
    flat = torch.zeros(1, 1, 4, 4, requires_grad=True)
    total_variation(flat).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_being_told_rightly_costs_nothing() -> None:
    assert told_as(REAL, torch.tensor([[0.0, 0.0, 100.0]])).item() == pytest.approx(0, abs=1e-6)
    assert told_as(REAL, torch.zeros(2, 3)).item() == pytest.approx(math.log(3))


@torch.no_grad()
def test_a_translation_is_g_of_f_for_each_image_alone_and_larger_ones_too() -> None:
    model = small().eval()
    images = torch.rand(3, 3, 16, 32) * 2 - 1
    made = model.translate(images)
    assert made.shape == images.shape
    assert torch.equal(made, model.generator(model.classifier.code(images)))
    torch.testing.assert_close(model.translate(images[1:2]), made[1:2])
    assert isinstance(model, Translates)


def test_other_numbers_of_classes_are_refused() -> None:
    class Letters:
        name, num_classes = "letters", 26

    with pytest.raises(UsageError, match=r"the first domain of 'letters' has 26 classes\nset model\.num_classes=26"):
        small().check_data(Letters())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("dtn") / "run"
    return folder, trained(folder, short_config("dtn", *NARROW))


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_run_stopped_before_at_or_after_the_change_resumes_to_the_bit(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, step: int
) -> None:
    trained(tmp_path / "run", short_config("dtn", *NARROW, f"trainer.max_steps={step}"))
    assert differences(uninterrupted[1], trained(tmp_path / "run", short_config("dtn", *NARROW))) == []


def test_a_training_of_the_classifier_alone_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"model\.classifier_epochs=1 of trainer\.max_epochs=1: no epoch is left"):
        trained(tmp_path / "run", short_config("dtn", *NARROW, "trainer.max_epochs=1"))


def test_weights_of_the_game_rest_while_the_classifier_learns() -> None:
    model = small(epoch=0)
    before = weights(model.generator)
    model.training_step(batch(), 0)
    assert all(torch.equal(before[name], now) for name, now in weights(model.generator).items())
