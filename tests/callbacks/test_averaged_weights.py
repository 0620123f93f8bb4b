"""Averaged weights: their values, that a run resumes them to the bit, and where they are used."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import differences, short_config, trained
from torch import Tensor, nn

from genlab.callbacks.averaged_weights import AveragedWeights, exchanged, saved_in
from genlab.callbacks.sample_grid import SampleGrid
from genlab.checkpoint import load
from genlab.config import check, compose
from genlab.errors import UsageError
from genlab.loaded_run import load_model
from genlab.run import Run
from genlab.training import fit, prepare

AVERAGED = ("callbacks=averaged", "dataset=optdigits", "model.width=8", "callbacks.averaged_weights.decay=0.5")


class Weights:
    """Stands in for a model of one network whose only weight and only buffer are set by hand."""

    def __init__(self) -> None:
        self.generator = nn.BatchNorm1d(1)

    def named_children(self) -> list[tuple[str, nn.Module]]:
        return [("generator", self.generator)]

    def get_submodule(self, name: str) -> nn.Module:
        return dict(self.named_children())[name]


def averages(decay: float, values: list[float]) -> dict[str, Tensor]:
    model: Any = Weights()
    callback: Any = AveragedWeights(["generator"], decay)
    callback.setup(None, model, "fit")
    for value in values:
        nn.init.constant_(model.generator.weight, value)
        model.generator.running_mean.fill_(10 * value)
        callback.on_train_batch_end(None, model, None, None, 0)
    return dict(callback.weights["generator"])


def test_the_average_is_the_closed_form_and_begins_with_the_first_batch() -> None:
    found = averages(0.75, [4, 8, 0])
    first, second = 2 / 11, 3 / 12  # decays; (1 + n) / (10 + n) reaches 0.75 after 26 batches
    expected = second * (first * 4 + (1 - first) * 8) + (1 - second) * 0
    torch.testing.assert_close(found["weight"], torch.tensor([expected]))
    torch.testing.assert_close(found["running_mean"], torch.tensor([10 * expected]))  # buffers too


def test_in_the_end_the_decay_is_the_one_that_was_set() -> None:
    found = averages(0.75, [*30 * [1.0], 0.0, 0.0])
    torch.testing.assert_close(found["weight"], torch.tensor([0.75**2]))


def test_without_decay_the_average_is_the_last() -> None:
    assert averages(0.0, [4, 8, 3])["weight"].item() == 3


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("averaged") / "uninterrupted"
    return folder, trained(folder, short_config("dcgan", *AVERAGED))


@pytest.mark.parametrize("step", [1, 4])
def test_stopped_and_resumed_equals_never_stopped(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, step: int
) -> None:
    trained(tmp_path / "stopped", short_config("dcgan", *AVERAGED, f"trainer.max_steps={step}"))
    resumed = trained(tmp_path / "stopped", short_config("dcgan", *AVERAGED))
    assert "AveragedWeights" in resumed["callbacks"]
    assert differences(uninterrupted[1], resumed) == []


def test_it_changes_nothing_of_the_training(uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    without = trained(tmp_path / "without", short_config("dcgan", "dataset=optdigits", "model.width=8"))
    assert differences(uninterrupted[1]["state_dict"], without["state_dict"]) == []
    assert differences(uninterrupted[1]["optimizer_states"], without["optimizer_states"]) == []


def test_a_checkpoint_holds_the_average_of_the_checkpoints_before_it(tmp_path: Path) -> None:
    config = short_config("dcgan", *AVERAGED, "checkpoint.every_n_epochs=1", "trainer.limit_train_batches=1")
    trained(tmp_path / "run", config)
    first, second = (load(tmp_path / "run" / "checkpoints" / f"step-{step:09d}.ckpt") for step in (1, 2))
    name = "generator.1.weight"
    key = name.removeprefix("generator.")
    assert torch.equal(saved_in(first)["generator"][key], first["state_dict"][name])
    expected = torch.lerp(first["state_dict"][name], second["state_dict"][name], 9 / 11)  # decay 2 / 11
    torch.testing.assert_close(saved_in(second)["generator"][key], expected)


def test_a_run_is_loaded_with_its_averages_or_its_last_weights(uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    folder, checkpoint = uninterrupted
    usual, averaged, last = (load_model(str(folder), weights=weights) for weights in (None, "averaged", "last"))
    assert [loaded.weights for loaded in (usual, averaged, last)] == ["averaged", "averaged", "last"]
    assert differences(usual.model.state_dict(), averaged.model.state_dict()) == []
    assert differences(last.model.state_dict(), checkpoint["state_dict"]) == []
    expected = {**checkpoint["state_dict"]}
    for key, tensor in saved_in(checkpoint)["generator"].items():
        expected[f"generator.{key}"] = tensor
    assert differences(averaged.model.state_dict(), expected) == []
    changed = differences(averaged.model.state_dict(), last.model.state_dict())
    assert changed
    assert all(name.startswith(".generator") for name in changed)


def test_pictures_while_training_show_the_averages(uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = uninterrupted
    written = (folder / "samples" / "epoch-0002.png").read_bytes()

    class Trainer:
        callbacks: tuple[()] = ()
        default_root_dir = tmp_path
        loggers: tuple[()] = ()

    grid: Any = SampleGrid(1, 4)
    drawn = {}
    for weights in ("averaged", "last"):
        grid.draw(Trainer(), load_model(str(folder), weights=weights).model, weights)
        drawn[weights] = (tmp_path / "samples" / f"{weights}.png").read_bytes()
    assert drawn["averaged"] == written
    assert drawn["last"] != written


def test_weights_are_taken_out_again_even_after_an_error() -> None:
    model = nn.ModuleDict({"generator": nn.BatchNorm1d(2)})
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    other = {key: tensor + 1 for key, tensor in model["generator"].state_dict().items()}

    def fail() -> None:
        with exchanged(model, {"generator": other}):
            assert differences(dict(model["generator"].state_dict()), other) == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert differences(dict(model.state_dict()), own) == []


def test_averages_of_an_added_network_begin_when_the_run_is_resumed(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(uninterrupted[0], tmp_path / "copy")
    words = (*AVERAGED, "trainer.max_epochs=3", "callbacks.averaged_weights.networks=[discriminator,generator]")
    resumed = trained(tmp_path / "copy", short_config("dcgan", *words))
    counts = {name: state["n_averaged"].item() for name, state in resumed["callbacks"]["AveragedWeights"].items()}
    assert counts == {"discriminator": 3, "generator": 9}


@pytest.mark.parametrize("checkpoint", ["last", "initial"])
def test_averages_that_are_not_there_are_refused(
    checkpoint: str, uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = uninterrupted[0]
    if checkpoint == "last":
        folder = tmp_path / "without"
        trained(folder, short_config("dcgan", "dataset=optdigits", "model.width=8", "trainer.max_steps=1"))
    assert load_model(str(folder), checkpoint).weights == "last"
    with pytest.raises(UsageError, match=rf"weights=averaged: the checkpoint '{checkpoint}' of .* has none"):
        load_model(str(folder), checkpoint, "averaged")


def test_a_network_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    config = short_config("dcgan", *AVERAGED, "callbacks.averaged_weights.networks=[generator,critic]")
    with pytest.raises(UsageError, match=r"DCGAN has no network 'critic'\nit has: generator, discriminator"):
        fit(Run.create(tmp_path / "run"), config, *prepare(config))
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("decay=1.0", "decay=1.0: expected less than 1"),
        ("decay=-0.1", "decay=-0.1: expected at least 0"),
        ("networks=[]", "networks=\\[\\]: expected at least 1 values"),
        ("networks=generator", "networks=generator: expected a list"),
    ],
)
def test_wrong_settings_are_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"callbacks.averaged_weights.{message}"):
        check(compose("train", ["model=dcgan", "callbacks=averaged", f"callbacks.averaged_weights.{word}"]))
