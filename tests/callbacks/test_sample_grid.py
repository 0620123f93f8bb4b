"""Pictures of reconstructions and translations, and which picture a run shows at its end."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import short_config
from PIL import Image
from torch import Tensor

from genlab.callbacks.sample_grid import image_grid, reconstructions, tiles_per_image, translations
from genlab.config import save
from genlab.datasets.batches import LabelledImages, LabelledUnpairedImages, PairedImages, UnpairedImages, Vectors
from genlab.models.autoencoder import Autoencoder
from genlab.models.denoising_autoencoder import DenoisingAutoencoder
from genlab.run import Run
from genlab.training import fit, prepare


def adam(weights: Any, lr: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=lr)


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    grid = image_grid(torch.tensor([[[[-1.0, 1.0], [1.0, -1.0]]]]), 1)
    assert grid.shape == (3, 56, 56)
    assert (grid[:, :28, :28] == 0).all()
    assert (grid[:, :28, 28:] == 1).all()


def test_an_image_then_its_reconstruction() -> None:
    model = Autoencoder((1, 4, 4), 3, "mlp", (), "relu", adam)
    images = torch.rand(5, 1, 4, 4) * 2 - 1
    shown = reconstructions(model, images, 2)
    assert tiles_per_image(model) == 2
    assert torch.equal(shown[0::2], images)
    torch.testing.assert_close(shown[1::2], model.decode(model.encode(images)))


def test_an_image_then_its_corruption_then_what_is_restored_from_that() -> None:
    networks = ((1, 4, 4), 3, "mlp", (), "relu")
    model = DenoisingAutoencoder(*networks, "salt_and_pepper", 0.5, adam)
    images = torch.rand(5, 1, 4, 4) * 2 - 1
    shown = reconstructions(model, images, 2, torch.Generator().manual_seed(1))
    assert tiles_per_image(model) == 3
    assert torch.equal(shown[0::3], images)
    assert torch.equal(shown[1::3], model.corrupt(images, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(shown[2::3], model.decode(model.encode(shown[1::3])))


class Translator:
    """Adds 1 on the way there, and takes 2 on the way back."""

    stride = 1
    scale = 1

    def __init__(self, *directions: str) -> None:
        self.directions = directions

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        return images + 1 if direction == "x_to_y" else images - 2


class Enlarger(Translator):
    """Takes every other pixel for the degraded image."""

    scale = 2
    degradation = "every other pixel"
    baseline_name = "the same"

    def degrade(self, images: Tensor, generator: Any = None) -> Tensor:
        return images[..., ::2, ::2].contiguous()

    def baseline(self, degraded: Tensor) -> Tensor:
        return degraded

    def translate(self, images: Tensor, direction: str = "x_to_y", generator: Any = None) -> Tensor:
        return images.repeat_interleave(2, 2).repeat_interleave(2, 3) + 1


def constants(*values: float) -> list[Tensor]:
    return [torch.full((2, 1, 4, 4), float(value)) for value in values]


@pytest.mark.parametrize(
    ("model", "batch", "values"),
    [
        (Translator("x_to_y"), PairedImages(*constants(5, 7)), [5, 6, 7]),
        (Translator("x_to_y"), UnpairedImages(*constants(5, 7)), [5, 6]),
        (Translator("x_to_y", "y_to_x"), UnpairedImages(*constants(5, 7)), [5, 6, 4, 7, 5, 6]),
        (
            Translator("x_to_y"),
            LabelledUnpairedImages(constants(5)[0], torch.zeros(2, dtype=torch.int64), constants(7)[0]),
            [5, 6],
        ),
        (Translator("x_to_y"), LabelledImages(constants(5)[0], torch.zeros(2, dtype=torch.int64)), [5, 6]),
        (Enlarger("x_to_y"), LabelledImages(constants(5)[0], torch.zeros(2, dtype=torch.int64)), [5, 6, 5]),
    ],
)
def test_what_is_shown_of_a_batch_from_left_to_right(model: Translator, batch: Any, values: list[float]) -> None:
    shown = translations(model, batch)
    assert [part.unique().tolist() for part in shown] == [[value] for value in values]
    assert {tuple(part.shape) for part in shown} == {(2, 1, 4, 4)}


def test_vectors_are_not_translated() -> None:
    with pytest.raises(TypeError, match="a Vectors holds no images to translate"):
        translations(Translator("x_to_y"), Vectors(torch.zeros(2, 3)))


@pytest.mark.parametrize(
    ("words", "tiles"),
    [
        (["cyclegan", "model.width=2", "model.num_blocks=1", "model.pool_size=2"], 6),
        (["pix2pix", "model.width=2", "dataset.num_validation=8"], 3),
    ],
)
def test_a_run_shows_its_translations(words: list[str], tiles: int, tmp_path: Path) -> None:
    config = short_config(*words, "trainer.max_epochs=1", "dataset.data_shape=[3,64,64]", "dataset.batch_size=2")
    config["callbacks"]["sample_grid"]["num_samples"] = 13
    run = Run.create(tmp_path / "run")
    save(config, run.folder / "config.yaml")
    fit(run, config, *prepare(config))
    [picture] = (run.folder / "samples").iterdir()
    assert picture.name == "epoch-0001-translations.png"
    with Image.open(picture) as image:
        # As many items as 13 images are of: two above each other, or two rows of two side by side.
        columns = max(1, 8 // tiles) * tiles
        assert image.width == columns * (64 + 2) + 2
        assert image.height == 13 // tiles * tiles // columns * (64 + 2) + 2


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("vae", ["", "-reconstructions"]),
        ("autoencoder", ["-reconstructions"]),
        ("denoising_autoencoder", ["", "-reconstructions"]),
    ],
)
def test_a_run_shows_its_samples_or_else_its_reconstructions(
    model: str, kinds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = short_config(model, "dataset=optdigits", "dataset.batch_size=16", "trainer.max_epochs=1")
    run = Run.create(tmp_path / "run")
    save(config, run.folder / "config.yaml")
    fit(run, config, *prepare(config))
    written = {path.name for path in (run.folder / "samples").iterdir()}
    assert written == {f"epoch-0001{kind}.png" for kind in kinds}
    assert f"samples/epoch-0001{kinds[0]}.png" in capsys.readouterr().out
    with Image.open(run.folder / "samples" / f"epoch-0001{kinds[-1]}.png") as picture:
        tiles = {"denoising_autoencoder": 3}.get(model, 4)  # of at most 4 samples, as whole pairs or triples
        assert picture.width == tiles * (56 + 2) + 2


def test_of_a_model_of_a_single_picture_it_is_shown_once(tmp_path: Path) -> None:
    config = short_config("mdan", "trainer.max_epochs=1", "dataset.data_shape=[3,64,64]", "model.picture_size=[64,80]")
    run = Run.create(tmp_path / "run")
    save(config, run.folder / "config.yaml")
    fit(run, config, *prepare(config))
    with Image.open(run.folder / "samples" / "epoch-0001.png") as picture:
        assert picture.size == (80, 64)
