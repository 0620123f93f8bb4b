"""What every model promises, tested for every YAML in ``conf/model``: a new model needs nothing here.

Each model trains two epochs of three batches on its own default data set.
"""

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import composed, differences, short_config, trained
from ranks import train_by

from genlab.callbacks.exact_state import ExactState
from genlab.config import check, compose, config_dir
from genlab.datasets.base import Dataset
from genlab.drawing.seeds import sampled
from genlab.errors import NumericError, UsageError
from genlab.loaded_run import load_model
from genlab.models.base import GenerativeModel
from genlab.models.capabilities import Samples, Translates
from genlab.training import build_model

BatchNorm = torch.nn.modules.batchnorm._BatchNorm
MODELS = sorted(path.stem for path in (config_dir() / "model").glob("*.yaml"))


# All tests of a model in one process, which trains it once for several of them.
@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in MODELS])
def model_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def recipe(model_name: str) -> dict[str, Any]:
    text = (config_dir() / "model" / f"{model_name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["model"]


@pytest.fixture(scope="module")
def model_class(recipe: dict[str, Any]) -> type[GenerativeModel]:
    module, name = recipe["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


@pytest.fixture(scope="module")
def uninterrupted(model_name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp(model_name) / "uninterrupted"
    return folder, trained(folder, short_config(model_name))


def test_one_name(model_name: str, recipe: dict[str, Any]) -> None:
    assert recipe["_target_"].rsplit(".", 1)[0] == f"genlab.models.{model_name}"
    assert (Path(__file__).parent / "models" / f"test_{model_name}.py").is_file()


def test_recipe_gives_exactly_the_constructor_arguments(
    recipe: dict[str, Any], model_class: type[GenerativeModel]
) -> None:
    parameters = inspect.signature(model_class).parameters
    assert set(recipe) - {"_target_"} == set(parameters)
    assert all(parameter.default is parameter.empty for parameter in parameters.values())


def test_module_names_its_paper(model_class: type[GenerativeModel]) -> None:
    source = inspect.getsourcefile(model_class)
    assert source is not None
    docstring = ast.get_docstring(ast.parse(Path(source).read_text(encoding="utf-8"))) or ""
    assert "arXiv:" in docstring or "doi:" in docstring
    assert "Differs from the paper:" in (model_class.__doc__ or "")


def test_it_is_one_shallow_class(model_class: type[GenerativeModel]) -> None:
    *parts, base = model_class.__bases__
    assert base is GenerativeModel
    # Parts such as FromLatents add methods, and are no models.
    assert not any(issubclass(part, GenerativeModel) for part in parts)


def test_checkpoint_holds_plain_data_and_finite_weights(uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    _, checkpoint = uninterrupted  # it was read with weights_only=True
    assert checkpoint["genlab"]["step"] == 6
    assert checkpoint["global_step"] == 6
    for name, tensor in checkpoint["state_dict"].items():
        assert torch.isfinite(tensor.double()).all(), name


def test_stopped_and_resumed_three_times_equals_never_stopped(
    model_name: str, uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    for step in (1, 3, 5):  # step 3 ends an epoch
        trained(tmp_path / "stopped", short_config(model_name, max_steps=step))
    resumed = trained(tmp_path / "stopped", short_config(model_name))
    assert differences(uninterrupted[1], resumed) == []
    logs = [(folder / "log.csv").read_text() for folder in (uninterrupted[0], tmp_path / "stopped")]
    assert logs[0] == logs[1]


def test_same_seed_gives_the_same_bits_with_and_without_validation_pictures_and_logging(
    model_name: str, uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    config = short_config(model_name, limit_val_batches=0, log_every_n_steps=100, enable_progress_bar=True)
    del config["callbacks"]["sample_grid"]
    bare = trained(tmp_path / "bare", config)
    assert differences(uninterrupted[1]["state_dict"], bare["state_dict"]) == []


def test_every_parameter_gets_a_gradient(model_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = short_config(model_name)
    model: Any
    model, batch = model_and_batch(config)
    if not list(model.parameters()):
        return  # fitted without gradients
    optimizers: Any = model.configure_optimizers() or []
    optimizers = [optimizers] if isinstance(optimizers, torch.optim.Optimizer) else optimizers
    model.optimizers = lambda use_pl_optimizer=True: optimizers[0] if len(optimizers) == 1 else optimizers
    model.report = lambda **values: None
    monkeypatch.setattr(GenerativeModel, "is_due", True)
    model.draw = lambda sampler, *shape: sampler(*shape)
    touched: set[int] = set()

    def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        assert torch.isfinite(loss), name
        optimizer.zero_grad()
        loss.backward()
        mine = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        touched.update(id(parameter) for parameter in mine if parameter.grad is not None and parameter.grad.any())

    model.descend = descend
    model.train()
    # A generator may have its turn with every fifth batch only, an encoder after the last epoch of the game.
    for epoch, step in [*((0, step) for step in range(5)), (10**6, 5)]:
        monkeypatch.setattr(type(model), "current_epoch", property(lambda self, epoch=epoch: epoch))
        monkeypatch.setattr(type(model), "global_step", property(lambda self, step=step: step))
        model.training_step(batch, 0)
    missed = [name for name, parameter in model.named_parameters() if id(parameter) not in touched]
    # Both scores of a Wasserstein critic move alike with its last biases, which their difference does not see.
    assert all(name.startswith("critic.") and name.endswith(".bias") for name in missed), missed


def test_two_samples_with_one_seed_are_equal_whatever_the_batch(uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    model = load_model(str(uninterrupted[0])).model
    if not isinstance(model, Samples):
        pytest.skip("draws no samples")

    def draw(*counts: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            return torch.cat([model.sample(count, None, generator) for count in counts])

    whole = draw(7)
    assert torch.equal(whole, draw(7))
    torch.testing.assert_close(whole, draw(3, 4), rtol=0, atol=2e-5)
    torch.testing.assert_close(whole, draw(*[1] * 7), rtol=0, atol=2e-5)
    assert torch.isfinite(whole).all()
    with torch.no_grad():
        both = sampled(model, range(5), None, 5, 3)
        torch.testing.assert_close(sampled(model, range(2, 5), None, 2, 3), both[2:], rtol=0, atol=2e-5)


def test_two_translations_are_equal_whatever_the_batch(uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    loaded = load_model(str(uninterrupted[0]))
    model = loaded.model
    if not isinstance(model, Translates):
        pytest.skip("translates nothing")
    channels, side = loaded.dataset.data_shape[0], max(model.stride, 16)
    images = torch.rand(3, channels, 2 * side, side, generator=torch.Generator().manual_seed(0))
    for direction in model.directions:

        def translated(*sizes: int, direction: str = direction) -> torch.Tensor:
            generator = torch.Generator().manual_seed(3)
            parts = (images * 2 - 1).split(list(sizes))
            with torch.no_grad():
                return torch.cat([model.translate(part, direction, generator) for part in parts])

        whole = translated(3)
        assert whole.shape[2:] == (images.shape[2] * model.scale, images.shape[3] * model.scale)
        assert torch.equal(whole, translated(3))
        torch.testing.assert_close(whole, translated(1, 2), rtol=0, atol=2e-5)
        assert torch.isfinite(whole).all()


def test_a_data_set_that_does_not_fit_is_refused_with_those_that_do(model_name: str, model_class: Any) -> None:
    fits = {name: issubclass(kind, model_class.batch_type) for name, kind in batch_types().items()}
    assert any(fits.values())
    for name in [name for name, does_fit in fits.items() if not does_fit][:2]:
        with pytest.raises(UsageError, match=next(fitting for fitting, does_fit in fits.items() if does_fit)):
            check(compose("train", [f"model={model_name}", f"dataset={name}"]))


def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_good_checkpoint(
    model_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, some = model_and_batch(short_config(model_name))
    has_tokens = not some[0].is_floating_point()  # which are always finite
    if has_tokens and not list(model.parameters()):
        pytest.skip("counts of tokens are finite")
    trained(tmp_path / "run", short_config(model_name, max_steps=3))
    kept = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    start = ExactState.on_train_batch_start

    def poison(self: ExactState, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        start(self, trainer, module, batch, batch_idx)
        if trainer.global_step == 4:
            (next(module.parameters()).data if has_tokens else batch[0]).fill_(torch.nan)

    monkeypatch.setattr(ExactState, "on_train_batch_start", poison)
    where = "the first such values are in the weight" if has_tokens else "the batch itself holds such values in"
    with pytest.raises(NumericError, match=f"at step 5: {where}"):
        trained(tmp_path / "run", short_config(model_name))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == kept


def test_two_processes_train_as_one(model_name: str, tmp_path: Path) -> None:
    """In double precision: of gradients near 0, Adam makes whole steps of what is rounding."""
    one = short_config(model_name, max_steps=4) | {"precision": "64-true"}
    config = one | {"accelerator": composed("accelerator=ddp_cpu")["accelerator"]}
    assert train_by(2, tmp_path / "run", config) == [0, 0]
    weights = [torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1)]
    assert weights[0].keys() == weights[1].keys()
    model = build_model(config)
    if any(isinstance(module, BatchNorm | torch.nn.Dropout) for module in model.modules()):
        # Each process normalizes by its own share of the batch, and leaves units out of it alone, so only what is
        # trained is the same on both.
        trained_here = [name for name, _ in model.named_parameters()]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in trained_here)
        return
    uninterrupted = trained(tmp_path / "alone", one)
    for name, alone in uninterrupted["state_dict"].items():
        both, other = weights[0][name], weights[1][name]
        assert torch.equal(both, other), name
        torch.testing.assert_close(both, alone, rtol=1e-6, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@cache
def batch_types() -> dict[str, Any]:
    """What each data set gives."""
    found = {}
    for path in sorted((config_dir() / "dataset").glob("*.yaml")):
        module, name = yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"].rsplit(".", 1)
        found[path.stem] = getattr(importlib.import_module(module), name).batch_type
    return found


def model_and_batch(config: dict[str, Any]) -> tuple[GenerativeModel, Any]:
    from genlab.config import build

    dataset = build(config["dataset"], "dataset")
    assert isinstance(dataset, Dataset)
    dataset.setup("fit")
    return build_model(config), next(iter(dataset.train_dataloader()))
