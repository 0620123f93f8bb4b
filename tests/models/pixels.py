"""What holds for every model that predicts pixel by pixel."""

import itertools
from typing import Any

import torch
from torch import Tensor

from genlab.losses.categorical import images_of
from genlab.models.from_pixels import FromPixels, fill


def some_images(model: FromPixels, num_images: int = 3, seed: int = 0) -> Tensor:
    """``(N, C, H, W)``, random levels."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(model.num_levels, (num_images, *model.image_shape), generator=generator)
    return images_of(levels, model.num_levels)


def seen_by(model: Any, row: int, column: int, colour: int, labels: Tensor | None = None) -> Tensor:
    """Which sub-pixels what is said of one depends on, ``(C, H, W)`` bool, by the gradient."""
    images = some_images(model).double().requires_grad_()
    predicted = model.double().predict(images, labels)
    per_colour = predicted.shape[1] // model.image_shape[0]
    part = predicted[:, colour * per_colour : (colour + 1) * per_colour, row, column]
    # Squares: a sum of logits alone might have gradients that cancel.
    (gradient,) = torch.autograd.grad(part.square().sum() + part.sum(), images)
    return gradient.abs().sum(0) > 0


def earlier(shape: tuple[int, int, int], row: int, column: int, colour: int) -> Tensor:
    """Which sub-pixels come before one in raster order, red before green before blue, ``(C, H, W)`` bool."""
    colours, height, width = shape
    place = torch.arange(height * width * colours).view(height, width, colours).permute(2, 0, 1)
    return place < (row * width + column) * colours + colour


def assert_nothing_later_is_seen(model: Any, labels: Tensor | None = None) -> None:
    """At every place: the gradient with respect to itself and all later ones is exactly 0."""
    colours, height, width = model.image_shape
    for colour, row, column in itertools.product(range(colours), range(height), range(width)):
        leaks = seen_by(model, row, column, colour, labels) & ~earlier(model.image_shape, row, column, colour)
        assert not leaks.any(), f"({row}, {column}), colour {colour} sees {leaks.nonzero().tolist()}"


@torch.no_grad()
def assert_cached_equals_naive(model: Any, labels: Tensor | None = None) -> None:
    """With the same uniform numbers the two ways to compute p(pixel | all before it) draw the same images."""
    model.double().eval()
    num_images, (_, height, width) = 3, model.image_shape
    uniforms = torch.rand(num_images, model.num_uniforms, height, width, generator=torch.Generator().manual_seed(1))
    nothing = torch.zeros(num_images, *model.image_shape, dtype=torch.float64)
    *_, cached = fill(model, nothing, nothing[:, :1].bool(), labels, uniforms.double())
    naive = nothing.clone()
    for row, column, colours, parameters in model.pixel_by_pixel(cached.clone(), labels):
        predicted = model.predict(naive, labels)[:, :, row, column]
        per_colour = predicted.shape[1] // len(range(model.image_shape[0])[colours])
        if parameters.shape != predicted.shape:  # one colour of all
            per_colour = parameters.shape[1]
            predicted = predicted[:, colours.start * per_colour :][:, :per_colour]
        torch.testing.assert_close(parameters, predicted, rtol=1e-9, atol=1e-9)
        naive[:, colours, row, column] = model.draw_pixel(predicted, uniforms[:, :, row, column].double(), colours)
    torch.testing.assert_close(cached, naive, rtol=0, atol=1e-9)


@torch.no_grad()
def assert_all_images_have_probability_1(model: Any, labels: Tensor | None = None) -> None:
    """Summed over every image there is."""
    places = torch.Size(model.image_shape).numel()
    levels = torch.tensor(list(itertools.product(range(model.num_levels), repeat=places)))
    images = images_of(levels.view(-1, *model.image_shape), model.num_levels).double()
    labels = None if labels is None else labels[:1].expand(len(images))
    total = model.double().eval().log_likelihood(images, labels).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


@torch.no_grad()
def assert_sums_and_logits_are_float32_under_autocast(model: Any, last: torch.nn.Module) -> None:
    """``last`` gives the logits; what it is given are sums of residuals, or comes right after them."""
    images, seen = some_images(model), []
    hook = last.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model.predict(images)
    hook.remove()
    assert seen == [(torch.float32, torch.float32)]
    torch.testing.assert_close(coarse, model.predict(images), rtol=0.1, atol=0.05)
