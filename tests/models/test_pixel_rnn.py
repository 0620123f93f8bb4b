"""Facts of PixelRNN: what a pixel sees, that it is a distribution, and that its sampler draws from it."""

from itertools import product
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from pixels import (
    assert_all_images_have_probability_1,
    assert_cached_equals_naive,
    assert_nothing_later_is_seen,
    assert_sums_and_logits_are_float32_under_autocast,
    earlier,
    seen_by,
)

from genlab.config import check, compose
from genlab.models.pixel_rnn import PixelRNN
from genlab.networks.pixel_lstm import Layer
from genlab.training import build_model

LAYERS: tuple[Layer, ...] = ("row_lstm", "diagonal_bilstm")


def small(layer: Layer, image_shape: tuple[int, int, int], num_levels: int = 2, **changes: Any) -> PixelRNN:
    """Far from its start, where all images are nearly alike likely."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 6, "num_layers": 2, "first_kernel": 3, "head_width": 9, "skip": True}
    settings |= {"optimizer": torch.optim.Adam} | changes
    model = PixelRNN(image_shape, num_levels, "threshold" if num_levels == 2 else "none", layer, **settings)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model.eval()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("image_shape", "num_levels"), [((1, 5, 6), 2), ((1, 6, 5), 2), ((3, 3, 4), 4), ((3, 4, 3), 2)]
)
def test_nothing_later_is_seen(layer: Layer, image_shape: tuple[int, int, int], num_levels: int) -> None:
    assert_nothing_later_is_seen(small(layer, image_shape, num_levels))


def test_a_diagonal_bilstm_sees_everything_before_but_the_last_pixel_of_the_row_above() -> None:
    model = small("diagonal_bilstm", (1, 9, 9), first_kernel=5)
    for row, column in ((4, 4), (8, 5), (1, 0), (4, 6), (8, 8), (0, 8), (8, 0)):
        expected = earlier(model.image_shape, row, column, 0)
        if row and column + 2 < 8:  # as far as the first convolution does not reach it
            expected[0, row - 1, 8] = False
        assert torch.equal(seen_by(model, row, column, 0), expected), (row, column)
    assert seen_by(model, 4, 4, 0).sum() == 39


def test_a_colour_sees_the_colours_before_it_and_all_of_earlier_pixels_but_one() -> None:
    model = small("diagonal_bilstm", (3, 4, 5))
    for colour in range(3):
        expected = earlier(model.image_shape, 2, 2, colour)
        expected[2, 1, 4] = False  # the last pixel of the row above: its own green sees red, its blue both
        assert torch.equal(seen_by(model, 2, 2, colour), expected), colour


def test_a_row_lstm_sees_a_triangle() -> None:
    model = small("row_lstm", (1, 6, 13), num_layers=1)
    expected = torch.zeros(1, 6, 13, dtype=torch.bool)
    expected[0, 5, 4:6] = True  # one pixel to the left by the first convolution, one more by the input of the gates
    for above in range(1, 6):
        expected[0, 5 - above, max(0, 4 - above) : 6 + above + 1] = True
    assert torch.equal(seen_by(model, 5, 6, 0), expected)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 3, 3), 2), ((3, 1, 2), 3), ((1, 2, 3), 4)])
def test_all_images_have_probability_1(layer: Layer, image_shape: tuple[int, int, int], num_levels: int) -> None:
    assert_all_images_have_probability_1(small(layer, image_shape, num_levels))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 6, 5), 2), ((1, 5, 1), 3), ((3, 4, 5), 3)])
def test_drawing_with_states_kept_is_drawing_with_the_whole_network(
    layer: Layer, image_shape: tuple[int, int, int], num_levels: int
) -> None:
    for skip in (True, False):
        assert_cached_equals_naive(small(layer, image_shape, num_levels, skip=skip))


@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_completion_draws_the_rest_given_what_is_known(layer: Layer) -> None:
    """The known pixels come first, so the probabilities of what may follow are in proportion to those of images."""
    model, num_images = small(layer, (1, 3, 3)), 20_000
    given = torch.tensor([1.0, -1, -1, 1])
    images = torch.cat([given.expand(num_images, 4), torch.zeros(num_images, 5)], 1).view(-1, 1, 3, 3)
    known = (torch.arange(9) < 4).view(1, 1, 3, 3).expand(num_images, -1, -1, -1)
    drawn = model.complete(images, known, None, torch.Generator().manual_seed(0)).flatten(1)
    assert torch.equal(drawn[:, :4], images.flatten(1)[:, :4])
    rest = torch.tensor(list(product((-1.0, 1.0), repeat=5)))
    possible = torch.cat([given.expand(len(rest), 4), rest], 1).view(-1, 1, 3, 3)
    probability = model.log_likelihood(possible).softmax(0)
    counted = (drawn[:, None, 4:] == rest).all(2).float().mean(0)
    torch.testing.assert_close(counted, probability, rtol=0, atol=0.015)


@torch.no_grad()
def test_a_low_temperature_draws_the_likeliest_level() -> None:
    model = small("diagonal_bilstm", (1, 4, 4), 3)
    model.temperature = 1e-4
    drawn = model.sample(5, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, model.predict(drawn).argmax(1, keepdim=True) - 1.0)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [("row_lstm_paper", 9_618_176), ("diagonal_bilstm_paper", 8_837_888), ("pixel_rnn_mnist_paper", 65_793)],
)
def test_recipes_of_the_paper_have_its_sizes(recipe: str, size: int) -> None:
    composed = compose("train", [f"+experiment={recipe}"])
    check(composed)
    weights = dict(build_model(composed.config).named_parameters())
    assert sum(weight.numel() for name, weight in weights.items() if not name.endswith("initial_state")) == size


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_a_few_epochs_learn_digits(layer: Layer, tmp_path) -> None:
    words = [
        f"model.layer={layer}",
        "model.width=16",
        "trainer.max_epochs=3",
        "trainer.limit_train_batches=1.0",
        "dataset.batch_size=32",
    ]
    config = short_config("pixel_rnn", *words)
    likelihood = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert likelihood > -21  # independent pixels have -25.4, one bit a pixel is -44.4


def test_logits_are_float32_under_autocast() -> None:
    model = small("row_lstm", (3, 5, 5), 256)
    assert_sums_and_logits_are_float32_under_autocast(model, model.network.head[-1])
