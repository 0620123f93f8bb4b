"""What all models of pixels share: levels, completion, temperature, and refusals."""

from functools import partial
from typing import Any

import pytest
import torch
from pixels import some_images

from genlab.config import build
from genlab.config.compose import compose
from genlab.errors import UsageError
from genlab.models.from_pixels import Binarization
from genlab.models.gated_pixel_cnn import GatedPixelCNN


def model_of(num_levels: int = 2, binarization: Binarization = "threshold", num_classes: int = 0) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 8, "num_layers": 2, "first_kernel": 5, "kernel": 3, "head_width": 8}
    optimizer = partial(torch.optim.Adam)
    return GatedPixelCNN((1, 6, 6), num_levels, binarization, num_classes, optimizer=optimizer, **sizes).eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_threshold_and_levels_are_the_same_each_time() -> None:
    grey = torch.tensor([-1.0, -0.01, 0.0, 0.6, 1.0]).view(1, 1, 1, 5)
    assert model_of().quantize(grey).flatten().tolist() == [-1, -1, 1, 1, 1]
    of_three_levels = model_of(3, "none").quantize(grey).flatten().tolist()
    assert of_three_levels == [-1, 0, 0, 1, 1]


def test_drawn_pixels_are_white_as_often_as_they_are_bright() -> None:
    grey = torch.full((1, 1, 200, 200), 0.5)
    white = model_of(binarization="drawn").quantize(grey, seeded())
    assert white.unique().tolist() == [-1, 1]
    assert abs((white == 1).float().mean().item() - 0.75) < 0.01


def test_each_image_is_drawn_alone() -> None:
    model, grey = model_of(binarization="drawn"), torch.zeros(5, 1, 6, 6)
    generator = seeded()
    parts = [model.quantize(part, generator) for part in grey.split(2)]
    assert torch.equal(model.quantize(grey, seeded()), torch.cat(parts))


@torch.no_grad()
def test_completion_keeps_what_is_known_and_draws_the_rest() -> None:
    model, images = model_of(4, "none"), some_images(model_of(4, "none"), 8)
    known = torch.zeros(8, 1, 6, 6, dtype=torch.bool)
    known[:, :, :3] = True
    completed = model.complete(images, known, generator=seeded())
    assert torch.equal(completed[:, :, :3], images[:, :, :3])
    assert not torch.equal(completed[:, :, 3:], images[:, :, 3:])
    others = images.clone()
    others[:, :, 3:] = 1
    assert torch.equal(model.complete(others, known, generator=seeded()), completed)


@torch.no_grad()
def test_completion_depends_on_what_is_known() -> None:
    model = model_of()
    known = torch.zeros(16, 1, 6, 6, dtype=torch.bool)
    known[:, :, :3] = True
    black, white = (
        model.complete(torch.full((16, 1, 6, 6), value), known, generator=seeded()) for value in (-1.0, 1.0)
    )
    assert not torch.equal(black[:, :, 3:], white[:, :, 3:])


@torch.no_grad()
def test_an_image_grows_row_by_row() -> None:
    frames = [frame.clone() for frame in model_of().grow(*nothing(3), generator=seeded())]
    assert len(frames) == 6
    for row, frame in enumerate(frames):
        assert (frame[:, :, : row + 1] != 0).all()
        assert (frame[:, :, row + 1 :] == 0).all()
    assert torch.equal(frames[-1], model_of().sample(3, None, seeded()))


@torch.no_grad()
def test_cold_draws_are_the_likeliest_ones() -> None:
    model = model_of(4, "none")
    model.temperature = 1e-4
    cold = model.sample(2, None, seeded())
    levels = model.predict(cold).argmax(1, keepdim=True)
    assert torch.equal(levels * (2 / 3) - 1.0, cold)


@torch.no_grad()
def test_a_seed_draws_the_same_image_of_any_number() -> None:
    model, generator = model_of(num_classes=3), seeded()
    whole = model.sample(5, None, seeded())
    assert torch.equal(whole, torch.cat([model.sample(count, None, generator) for count in (2, 1, 2)]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.num_levels=17"], "model.binarization=threshold makes 2 levels, not model.num_levels=17"),
        (["model.binarization=none"], "model.num_levels=2 needs model.binarization=drawn or threshold"),
        (["model.num_classes=3"], "model.num_classes=3, but 'optdigits' has 10 classes"),
    ],
)
def test_levels_and_classes_that_do_not_fit_are_refused(words: list[str], message: str) -> None:
    config = compose("train", ["model=gated_pixel_cnn", *words]).config
    with pytest.raises(UsageError, match=message):
        build(config["model"], "model").check_data(build(config["dataset"], "dataset"))


def nothing(num_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.zeros(num_images, 1, 6, 6)
    return images, images.bool()
