"""Facts of the multi-scale PixelRNN: both networks together are one distribution, and its sampler draws from it."""

from itertools import product
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from pixels import assert_all_images_have_probability_1, assert_cached_equals_naive, seen_by, some_images

from genlab.losses.categorical import images_of
from genlab.models.multi_scale_pixel_rnn import MultiScalePixelRNN, Upsampler
from genlab.networks.pixel_lstm import Layer

LAYERS: tuple[Layer, ...] = ("row_lstm", "diagonal_bilstm")


def small(
    layer: Layer, image_shape: tuple[int, int, int], num_levels: int = 2, scale: int = 2, **changes: Any
) -> MultiScalePixelRNN:
    """Far from its start, where all images are nearly alike likely."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 6, "num_layers": 2, "first_kernel": 3, "head_width": 9, "skip": False}
    settings |= {"context_channels": 4, "optimizer": torch.optim.Adam} | changes
    binarization = "threshold" if num_levels == 2 else "none"
    model = MultiScalePixelRNN(image_shape, num_levels, binarization, scale, layer, **settings)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model.eval()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("image_shape", "num_levels", "scale"),
    [((1, 3, 3), 2, 2), ((3, 1, 2), 3, 2), ((1, 2, 4), 3, 3), ((1, 3, 3), 2, 5)],
)
def test_all_images_have_probability_1(
    layer: Layer, image_shape: tuple[int, int, int], num_levels: int, scale: int
) -> None:
    assert_all_images_have_probability_1(small(layer, image_shape, num_levels, scale))


@torch.no_grad()
def test_the_likelihood_of_the_small_image_is_that_of_the_first_network() -> None:
    model = small("diagonal_bilstm", (1, 3, 3)).double()
    images, small_images = (
        images_of(torch.tensor(list(product(range(2), repeat=side**2))).view(-1, 1, side, side), 2).double()
        for side in (3, 2)
    )
    joint = model.log_likelihood(images).exp()
    marginal = torch.stack([joint[(model.small(images) == each).flatten(1).all(1)].sum() for each in small_images])
    expected = model.log_likelihood_given(model.unconditional(small_images), small_images).exp()
    torch.testing.assert_close(marginal, expected)


@pytest.mark.parametrize(("height", "width"), [(5, 6), (6, 5)])
def test_a_pixel_sees_those_drawn_before_it_alone(height: int, width: int) -> None:
    model = small("diagonal_bilstm", (1, height, width), first_kernel=5)
    pixels = list(product(range(height), range(width)))
    order = sorted(pixels, key=lambda pixel: (pixel[0] % 2 > 0 or pixel[1] % 2 > 0, pixel))
    for place, (row, column) in enumerate(order):
        seen = seen_by(model, row, column, 0)[0]
        assert not any(seen[later] for later in order[place:]), (row, column)
        if row % 2 or column % 2:  # of the small image it sees what is around, which lies ahead
            ahead = (row + row % 2, column + column % 2)
            assert ahead not in order or seen[ahead], (row, column)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("image_shape", "num_levels", "scale"), [((1, 6, 5), 2, 2), ((1, 5, 5), 3, 4), ((3, 4, 5), 3, 3)]
)
def test_drawing_with_states_kept_is_drawing_with_the_whole_networks(
    layer: Layer, image_shape: tuple[int, int, int], num_levels: int, scale: int
) -> None:
    assert_cached_equals_naive(small(layer, image_shape, num_levels, scale))


@torch.no_grad()
def test_completion_keeps_what_is_known() -> None:
    model = small("diagonal_bilstm", (1, 5, 5))
    images, known = some_images(model, 6), torch.rand(6, 1, 5, 5) < 0.5
    drawn = model.complete(images, known, None, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[known], images[known])
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("scale", [2, 3, 4, 6])
def test_the_context_has_the_size_of_the_image(scale: int) -> None:
    assert Upsampler(1, 4, scale)(torch.zeros(2, 1, 3, 2)).shape == (2, 4, 3 * scale, 2 * scale)


@pytest.mark.slow
def test_a_few_epochs_learn_digits(tmp_path) -> None:
    words = [
        "model.layer=row_lstm",
        "model.width=16",
        "trainer.max_epochs=3",
        "trainer.limit_train_batches=1.0",
        "dataset.batch_size=32",
    ]
    config = short_config("multi_scale_pixel_rnn", *words)
    likelihood = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert likelihood > -21  # independent pixels have -25.4, one bit a pixel is -44.4
