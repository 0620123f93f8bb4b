"""Pictures of reconstructions, and which picture a run shows at its end."""

from pathlib import Path

import pytest
import torch
from conftest import short_config
from PIL import Image

from genlab.callbacks.sample_grid import image_grid, reconstructions, tiles_per_image
from genlab.config import save
from genlab.models.autoencoder import Autoencoder
from genlab.models.denoising_autoencoder import DenoisingAutoencoder
from genlab.run import Run
from genlab.training import fit, prepare


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    grid = image_grid(torch.tensor([[[[-1.0, 1.0], [1.0, -1.0]]]]), 1)
    assert grid.shape == (3, 56, 56)
    assert (grid[:, :28, :28] == 0).all()
    assert (grid[:, :28, 28:] == 1).all()


def test_an_image_then_its_reconstruction() -> None:
    model = Autoencoder((1, 4, 4), 3, "mlp", (), "relu", torch.optim.Adam)  # type: ignore[arg-type]
    images = torch.rand(5, 1, 4, 4) * 2 - 1
    shown = reconstructions(model, images, 2)
    assert tiles_per_image(model) == 2
    assert torch.equal(shown[0::2], images)
    torch.testing.assert_close(shown[1::2], model.decode(model.encode(images)))


def test_an_image_then_its_corruption_then_what_is_restored_from_that() -> None:
    networks = ((1, 4, 4), 3, "mlp", (), "relu")
    model = DenoisingAutoencoder(*networks, "salt_and_pepper", 0.5, torch.optim.Adam)  # type: ignore[arg-type]
    images = torch.rand(5, 1, 4, 4) * 2 - 1
    shown = reconstructions(model, images, 2, torch.Generator().manual_seed(1))
    assert tiles_per_image(model) == 3
    assert torch.equal(shown[0::3], images)
    assert torch.equal(shown[1::3], model.corrupt(images, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(shown[2::3], model.decode(model.encode(shown[1::3])))


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
