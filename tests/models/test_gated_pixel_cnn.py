"""Gated PixelCNN: no blind spot, nothing later seen, classes, and drawing row by row and pixel by pixel."""

import itertools
from functools import partial
from typing import Any

import pytest
import torch
from pixels import (
    assert_all_images_have_probability_1,
    assert_cached_equals_naive,
    assert_nothing_later_is_seen,
    assert_sums_and_logits_are_float32_under_autocast,
    earlier,
    seen_by,
    some_images,
)

from genlab.losses.categorical import images_of, levels_of, log_probabilities
from genlab.models.capabilities import HasGuidance, TakesLabels
from genlab.models.gated_pixel_cnn import GatedPixelCNN, gate

LABELS = torch.tensor([2, 0, 1])


def gated(image_shape: tuple[int, int, int], num_levels: int = 2, num_classes: int = 0, **changes: Any) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 6, "num_layers": 2, "first_kernel": 5, "kernel": 3, "head_width": 9} | changes
    binarization: Any = "threshold" if num_levels == 2 else "none"
    optimizer = partial(torch.optim.Adam)
    return GatedPixelCNN(image_shape, num_levels, binarization, num_classes, optimizer=optimizer, **sizes)


def test_gate_is_the_tanh_of_one_half_times_the_sigmoid_of_the_other() -> None:
    halves = torch.tensor([[0.5, -1.0, 0.0, 2.0]])
    expected = torch.tensor([[0.46211716, -0.76159416]]) * torch.tensor([[0.5, 0.88079708]])
    torch.testing.assert_close(gate(halves), expected)


@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 5, 4), 2), ((3, 3, 4), 4), ((3, 4, 3), 2)])
def test_nothing_later_is_seen(image_shape: tuple[int, int, int], num_levels: int) -> None:
    assert_nothing_later_is_seen(gated(image_shape, num_levels))


@pytest.mark.parametrize(("first_kernel", "num_layers"), [(3, 2), (5, 3), (7, 1)])
def test_all_earlier_pixels_within_reach_are_seen(first_kernel: int, num_layers: int) -> None:
    radius = first_kernel // 2 + num_layers
    model = gated((1, radius + 3, 2 * radius + 5), first_kernel=first_kernel, num_layers=num_layers)
    row, column = radius + 2, radius + 2
    seen = seen_by(model, row, column, 0)
    assert int(seen.sum()) == radius * (2 * radius + 1) + radius
    is_near = torch.zeros_like(seen)
    is_near[:, row - radius :, column - radius : column + radius + 1] = True
    assert torch.equal(seen, is_near & earlier(model.image_shape, row, column, 0))


@pytest.mark.parametrize(
    ("image_shape", "num_levels", "num_classes"), [((1, 6, 5), 2, 0), ((3, 4, 5), 5, 0), ((1, 4, 4), 3, 3)]
)
def test_drawing_with_rows_kept_is_drawing_with_the_whole_network(
    image_shape: tuple[int, int, int], num_levels: int, num_classes: int
) -> None:
    assert_cached_equals_naive(gated(image_shape, num_levels, num_classes), LABELS if num_classes else None)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_all_images_have_probability_1(num_classes: int) -> None:
    assert_all_images_have_probability_1(gated((1, 3, 3), 2, num_classes), LABELS if num_classes else None)


@torch.no_grad()
@pytest.mark.parametrize(("image_shape", "num_levels"), [((1, 2, 3), 2), ((2, 1, 2), 3)])
@pytest.mark.parametrize("guidance", [0.0, 0.7, 3.0])
def test_guided_pixels_have_the_probabilities_of_bayes_rule(
    image_shape: tuple[int, int, int], num_levels: int, guidance: float
) -> None:
    """From sums over all images: p(pixel | before, y) p(y | before, pixel)^guidance, over its sum over the levels."""
    model, label = gated(image_shape, num_levels, num_classes=3).double().eval(), 2
    places = torch.Size(image_shape).numel()
    levels = torch.tensor(list(itertools.product(range(num_levels), repeat=places)))  # (all images, places in order)
    colours, height, width = image_shape
    images = images_of(levels.view(-1, height, width, colours).permute(0, 3, 1, 2), num_levels).double()
    of_classes = torch.stack([model.log_likelihood(images, torch.full((len(images),), y)).exp() for y in range(3)])

    def begun(*first: int) -> torch.Tensor:
        """p(the first pixels | y) of each class."""
        return of_classes[:, (levels[:, : len(first)] == torch.tensor(first)).all(1)].sum(1)

    expected = torch.zeros(len(images), places, dtype=torch.float64)
    for number, image in enumerate(levels.tolist()):
        for place in range(places):
            weights = []
            for level in range(num_levels):
                joint = begun(*image[:place], level)
                weights.append(joint[label] * (joint[label] / joint.sum()) ** guidance)
            expected[number, place] = (weights[image[place]] / sum(weights)).log()

    model.guidance = guidance
    drawn, found = torch.zeros_like(images), []
    for row, column, colour, logits in model.guided(drawn, torch.full((len(images),), label)):
        drawn[:, colour, row, column] = images[:, colour, row, column]
        chosen = levels_of(drawn[:, colour, row, column], num_levels)
        found.append(log_probabilities(logits, num_levels).log_softmax(1).gather(1, chosen)[:, 0])
    torch.testing.assert_close(torch.stack(found, 1), expected)


@torch.no_grad()
def test_guided_samples_are_surer_of_their_class() -> None:
    """By the model's own posterior, of a model whose classes differ."""
    model, labels = gated((1, 6, 6), num_classes=3).eval(), torch.arange(3).repeat(40)
    for convolution in model.head:
        convolution.weight.mul_(5)
    sure = []
    for model.guidance in (0.0, 1.0, 4.0):
        samples = model.sample(len(labels), labels, torch.Generator().manual_seed(0))
        each = torch.stack([model.log_likelihood(samples, torch.full_like(labels, y)) for y in range(3)])
        sure.append(each.softmax(0)[labels, torch.arange(len(labels))].mean().item())
    assert sure[0] + 0.05 < sure[1] < sure[2]


def test_only_a_model_with_classes_takes_labels_and_is_guided() -> None:
    for needs_classes in (TakesLabels, HasGuidance):
        assert not isinstance(gated((1, 3, 3)), needs_classes)
        assert isinstance(gated((1, 3, 3), num_classes=3), needs_classes)


def test_without_labels_the_classes_are_alike_likely() -> None:
    model = gated((1, 3, 3), num_classes=3).double()
    images = some_images(model).double()
    of_classes = [model.log_likelihood(images, torch.full((3,), label)) for label in range(3)]
    torch.testing.assert_close(model.log_likelihood(images).exp(), torch.stack(of_classes).exp().mean(0))
    assert not torch.allclose(of_classes[0], of_classes[1])


def test_logits_are_float32_under_autocast() -> None:
    model = gated((3, 5, 5), 256)
    assert_sums_and_logits_are_float32_under_autocast(model, model.head[-1])
