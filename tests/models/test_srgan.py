"""Facts of Ledig et al.'s adversarial game."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from alone import alone, changed, sgd, weights

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.models.srgan import SRGAN
from genlab.training import build_model


def at_epoch(epoch: int, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[SRGAN, dict[str, float]]:
    torch.manual_seed(0)
    chosen = {"content": "mse", "adversarial_weight": 1e-3} | settings
    model = SRGAN(
        (3, 16, 16), 2, 4, 1, False, "bicubic", 2, **chosen, pretrain_epochs=2, pretrain_lr=0.5, optimizer=sgd
    )
    monkeypatch.setattr(SRGAN, "current_epoch", epoch)
    return alone(model)


def batch() -> LabelledImages:
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return LabelledImages(images, torch.zeros(4, dtype=torch.int64))


def test_the_well_known_numbers_of_parameters() -> None:
    with torch.device("meta"):
        model = build_model(compose("train", ["+experiment=srgan_paper"]).config)
    sizes = [
        sum(weight.numel() for weight in network.parameters()) for network in (model.generator, model.discriminator)
    ]
    assert sizes == [1_549_462, 23_565_505]


def test_first_epochs_train_the_generator_on_pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, reported = at_epoch(1, monkeypatch)
    before = weights(model.generator), weights(model.discriminator)
    model.training_step(batch(), 0)
    assert list(reported) == ["squared_error"]
    assert changed(model.generator, before[0])
    assert not changed(model.discriminator, before[1])


def test_then_both_networks_take_a_step_with_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, reported = at_epoch(2, monkeypatch)
    before = weights(model.generator), weights(model.discriminator)
    model.training_step(batch(), 0)
    assert changed(model.generator, before[0])
    assert changed(model.discriminator, before[1])
    assert reported["discriminator"] == pytest.approx(2 * math.log(2), rel=0.3)  # it knows nothing yet


def test_pretraining_has_a_learning_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = at_epoch(0, monkeypatch)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in model.configure_optimizers()]
    assert rates == [0.1, 0.1, 0.5]


def test_without_its_weight_the_discriminator_does_not_move_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for weight, judge in ((0.0, 0), (0.0, 1), (10.0, 0), (10.0, 1)):
        model, _ = at_epoch(2, monkeypatch, adversarial_weight=weight)
        torch.manual_seed(judge)
        for parameter in model.discriminator.parameters():
            torch.nn.init.normal_(parameter, 0, 0.3)
        model.training_step(batch(), 0)
        found.append(weights(model.generator)["first.0.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[2], found[3])


def test_a_run_without_epochs_for_the_game_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = at_epoch(0, monkeypatch)
    monkeypatch.setattr(model, "_trainer", SimpleNamespace(max_epochs=2))
    with pytest.warns(UserWarning, match=r"model.pretrain_epochs=2 of trainer.max_epochs=2: no epoch is left for the"):
        model.on_fit_start()


def test_the_perceptual_distance_chooses_the_best_and_no_weights_of_vgg_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, _ = at_epoch(0, monkeypatch, content="vgg54")
    assert SRGAN.best_by == ("val/perceptual_distance", "min")
    logged: dict[str, Any] = {}
    monkeypatch.setattr(model, "log_dict", lambda values, **_: logged.update(values))
    with torch.no_grad():
        model.eval().validation_step(batch(), 0)
    assert 0 < logged["val/perceptual_distance"] < 2
    assert {name.split(".")[0] for name in model.state_dict()} == {"generator", "discriminator"}
