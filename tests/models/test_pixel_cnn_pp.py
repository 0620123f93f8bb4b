"""PixelCNN++: its parameters, what a pixel sees, its first step, and that drawing needs each position once."""

import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from game import without_trainer
from pixels import (
    assert_all_images_have_probability_1,
    assert_cached_equals_naive,
    assert_nothing_later_is_seen,
    some_images,
)

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.losses.categorical import images_of
from genlab.losses.mixture import discretized_logistic_mixture, num_parameters
from genlab.models.capabilities import TakesLabels
from genlab.models.pixel_cnn_pp import PixelCNNPP
from genlab.training import build_model

LEVEL = 2 / 255
LABELS = torch.tensor([2, 0, 1])


def small(image_shape: tuple[int, int, int], num_levels: int = 5, num_classes: int = 0, **changes: Any) -> Any:
    """With scales and biases of random images, since those of the start say the same of all pixels."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 6, "num_blocks": 1, "num_components": 3, "means_from": "zero", "dropout": 0.5}
    sizes |= changes
    binarization: Any = "threshold" if num_levels == 2 else "none"
    optimizer = partial(torch.optim.Adam, lr=1e-3)
    model = PixelCNNPP(image_shape, num_levels, binarization, num_classes, optimizer=optimizer, **sizes)
    model.begin(some_images(model, 16), torch.arange(16) % max(num_classes, 1))
    return model.eval()


@pytest.mark.parametrize(("experiment", "expected"), [("released", 53_659_080), ("paper", 77_244_104)])
def test_parameters_of_the_published_networks(experiment: str, expected: int) -> None:
    config = compose("train", [f"+experiment=pixel_cnn_pp_{experiment}"]).config
    with torch.device("meta"):
        model = build_model(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert (config["model"]["num_levels"], config["dataset"]["data_shape"]) == (256, [3, 32, 32])


@pytest.mark.parametrize("image_shape", [(1, 5, 4), (3, 3, 4)])
def test_nothing_later_is_seen(image_shape: tuple[int, int, int]) -> None:
    for means_from in ("zero", "neighbours"):
        assert_nothing_later_is_seen(small(image_shape, means_from=means_from))


@pytest.mark.parametrize(
    ("image_shape", "num_levels", "num_classes"), [((1, 6, 6), 17, 0), ((3, 3, 5), 256, 0), ((3, 4, 2), 2, 3)]
)
def test_drawing_each_position_once_is_drawing_with_the_whole_network(
    image_shape: tuple[int, int, int], num_levels: int, num_classes: int
) -> None:
    for means_from in ("zero", "neighbours"):
        model = small(image_shape, num_levels, num_classes, means_from=means_from)
        for model.temperature in (1.0, 0.6):
            assert_cached_equals_naive(model, LABELS if num_classes else None)


@pytest.mark.parametrize(
    ("image_shape", "num_levels", "num_classes"), [((1, 2, 3), 4, 0), ((3, 1, 2), 4, 0), ((1, 3, 2), 3, 3)]
)
def test_all_images_have_probability_1(image_shape: tuple[int, int, int], num_levels: int, num_classes: int) -> None:
    for means_from in ("zero", "neighbours"):
        model = small(image_shape, num_levels, num_classes, means_from=means_from)
        assert_all_images_have_probability_1(model, LABELS if num_classes else None)


@pytest.mark.parametrize("num_colours", [1, 3])
@torch.no_grad()
def test_means_of_two_thirds_are_differences_from_the_neighbours(num_colours: int) -> None:
    """A component that says "no difference" makes what is as the neighbour likely, whatever couples the colours."""
    model = small((num_colours, 3, 3), 256, means_from="neighbours")
    parameters = torch.randn(2, num_parameters(3, num_colours))
    left, above = torch.rand(2, 2, num_colours) - 0.5
    others = parameters[:, 3:].view(2, num_colours, -1, 3)
    others[:, :, 0] = 0
    others[:, :, 1] = -6  # scales are small
    for component, neighbour in enumerate([left, above]):
        logits = torch.full((2, 3), -50.0)
        logits[:, component] = 0
        parameters[:, :3] = logits
        moved = model.of_pixels(parameters, left, above)
        drawn = model.draw_pixel(moved, torch.full((2, 1 + num_colours), 0.5), slice(0, num_colours))
        torch.testing.assert_close(drawn, neighbour, atol=2 * LEVEL, rtol=0)


def test_thirds_need_three_components() -> None:
    with pytest.raises(ValueError, match="num_components=2: means_from=neighbours needs 3 at least"):
        small((1, 3, 3), num_components=2, means_from="neighbours")


@torch.no_grad()
def test_draws_have_the_probabilities_of_the_likelihood() -> None:
    """All 27 images of three pixels in three levels, over 20,000 draws."""
    model = small((1, 1, 3), 3)
    every = images_of(torch.tensor(list(itertools.product(range(3), repeat=3))), 3).view(-1, 1, 1, 3)
    expected = model.log_likelihood(every).double().exp()
    draws = model.sample(20_000, None, torch.Generator().manual_seed(0))
    places = ((draws[:, 0, 0] + 1) @ torch.tensor([9.0, 3.0, 1.0])).long()
    found = torch.bincount(places, minlength=27).double() / len(draws)
    assert ((found - expected).abs() < 5 * (expected / len(draws)).sqrt() + 1e-4).all()


@torch.no_grad()
def test_completion_keeps_what_is_known_and_goes_on_from_it() -> None:
    model = small((3, 6, 6), 256).double()
    images = some_images(model).double()
    known = torch.zeros(3, 1, 6, 6).bool()
    known[:, :, :3] = True
    first, second = (model.complete(images, known, None, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(first[:, :, :3], images[:, :, :3])
    assert not torch.equal(first[:, :, 3:], second[:, :, 3:])
    others = images.clone()
    others[:, :, 3:] = 0  # unknown, and so of no account
    assert torch.equal(first, model.complete(others, known, None, torch.Generator().manual_seed(0)))


@torch.no_grad()
def test_next_to_no_temperature_leaves_nothing_to_chance() -> None:
    model = small((3, 4, 4), 256)
    draws = []
    for model.temperature in (1.0, 1e-6):
        draws.append([model.sample(2, None, torch.Generator().manual_seed(seed)) for seed in (0, 1)])
    assert not torch.equal(*draws[0])
    assert torch.equal(*draws[1])


def test_only_a_model_with_classes_takes_labels_and_each_class_has_images_of_its_own() -> None:
    assert not isinstance(small((1, 4, 4)), TakesLabels)
    model = small((1, 4, 4), num_classes=3)
    assert isinstance(model, TakesLabels)
    images = some_images(model)
    of_classes = torch.stack([model.log_likelihood(images, torch.full((3,), label)) for label in range(3)])
    assert not torch.allclose(of_classes[0], of_classes[1])
    torch.testing.assert_close(model.log_likelihood(images), of_classes.logsumexp(0) - math.log(3))


def test_the_first_images_give_every_parameter_of_the_mixture_mean_0_and_deviation_1() -> None:
    torch.manual_seed(0)
    model = PixelCNNPP((3, 8, 8), 256, "none", 0, 6, 1, 3, "zero", 0.0, torch.optim.Adam)
    images = some_images(model, 16)
    assert not model.has_begun
    model.begin(images, torch.zeros(16))
    assert model.has_begun
    outputs = model.predict(images)
    torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.std((0, 2, 3), correction=0), torch.ones(30), atol=1e-4, rtol=0)


def test_a_training_step_descends_the_mean_of_the_negative_log_likelihood() -> None:
    model = without_trainer(small((3, 6, 6), 256, dropout=0.0))
    images = some_images(model, 8)
    before = -model.log_likelihood(images).mean()
    model.training_step(LabelledImages(images + 0.001, torch.zeros(8).long()), 0)  # is brought to the levels
    torch.testing.assert_close(model.said["negative_log_likelihood"], before)
    assert -model.log_likelihood(images).mean() < before


def test_dropout_is_of_training_alone() -> None:
    model = small((1, 6, 6))
    images = some_images(model)
    assert torch.equal(model.log_likelihood(images), model.log_likelihood(images))
    model.train()
    assert not torch.equal(model.log_likelihood(images), model.log_likelihood(images))


@torch.no_grad()
def test_likelihoods_are_computed_in_float32_under_autocast() -> None:
    model = small((3, 6, 6), 256)
    images = some_images(model)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model.log_likelihood(images)
    assert coarse.dtype == torch.float32
    torch.testing.assert_close(coarse, model.log_likelihood(images), rtol=0.02, atol=0)
    loss = -discretized_logistic_mixture(images, model.predict(images), 256)
    torch.testing.assert_close(model.log_likelihood(images), loss)


def test_the_recipe_averages_the_network_whose_weights_begin_with_the_first_images(tmp_path: Path) -> None:
    config = short_config("pixel_cnn_pp", "model.width=4")
    assert config["callbacks"]["averaged_weights"]["networks"] == ["network"]
    state = trained(tmp_path / "run", config)["state_dict"]
    assert state["has_begun"]
    assert not (state["network.output.parametrizations.weight.original0"] == 1).all()


def test_two_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="2 colours; the mixture couples 3, or has 1"):
        small((2, 4, 4))


@pytest.mark.slow
def test_three_epochs_learn_digits_in_17_levels(tmp_path: Path) -> None:
    words = ["trainer.max_epochs=3", "trainer.limit_train_batches=1.0", "dataset.batch_size=64"]
    config = short_config("pixel_cnn_pp", *words)
    likelihood = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert likelihood > -100  # the histogram of each pixel has -108, equally likely levels have -181
