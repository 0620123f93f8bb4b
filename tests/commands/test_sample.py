"""``genlab sample``: what it writes and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from child import TRAIN, genlab
from PIL import Image

from genlab.callbacks.sample_grid import image_grid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short runs of a VAE, one of a VAE with two latents, and one of a mixture of rows."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "rows.csv").write_text("\n".join(f"{row % 3},{row % 2 + row / 100}" for row in range(60)))
    table = ["model=gmm", "dataset=vector_file", "dataset.path=rows.csv", "model.num_components=2"]
    for words in (["run_dir=vae"], ["run_dir=plane", "model.latent_dim=2"], ["run_dir=table", *table]):
        code, output = genlab(*TRAIN, "trainer.max_steps=2", *words, folder=folder)
        assert code == 0, output
    return folder


def samples(folder: Path, *words: str) -> np.ndarray:
    code, output = genlab("sample", *words, f"output={folder / 'drawn'}", folder=folder)
    assert code == 0, output
    with np.load(folder / "drawn" / "samples.npz") as arrays:
        return arrays["samples"]


def test_a_grid_single_files_and_an_array(folder: Path) -> None:
    code, output = genlab("sample", "vae", "num_samples=11", "output=few", "json=true", folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert about["shape"] == [11, 1, 28, 28]
    assert about["step"] == 2
    names = {path.name for path in (folder / "few").iterdir()}
    assert names == {"grid.png", "samples.npz", *(f"{number:04d}.png" for number in range(11))}
    array = np.load(folder / "few" / "samples.npz")["samples"]
    picture = np.asarray(Image.open(folder / "few" / "0010.png").convert("L")) / 255 * 2 - 1
    np.testing.assert_allclose(picture, array[10, 0], atol=2 / 255)


def test_a_seed_gives_the_same_images_whatever_the_batch(folder: Path) -> None:
    whole = samples(folder, "vae", "num_samples=9", "seed=4")
    np.testing.assert_allclose(samples(folder, "vae", "num_samples=9", "seed=4", "batch_size=2"), whole, atol=1e-5)
    np.testing.assert_allclose(samples(folder, "vae", "num_samples=5", "seed=4"), whole[:5], atol=1e-5)
    assert abs(samples(folder, "vae", "num_samples=9", "seed=5") - whole).max() > 0.01


def test_pixels_may_be_drawn(folder: Path) -> None:
    assert set(np.unique(samples(folder, "vae", "num_samples=4", "binary=true"))) == {-1.0, 1.0}


def test_reconstructions_stand_beside_their_images(folder: Path) -> None:
    drawn = samples(folder, "vae", "kind=reconstructions", "num_samples=6")
    again = samples(folder, "vae", "kind=reconstructions", "num_samples=6", "seed=1")
    np.testing.assert_array_equal(drawn[0::2], again[0::2])
    assert abs(drawn[1::2] - again[1::2]).max() > 0  # draws of the posterior


def test_a_walk_goes_evenly_from_one_image_to_the_next(folder: Path) -> None:
    drawn = samples(folder, "vae", "kind=walk", "steps=5", "num_samples=10")
    assert drawn.shape == (10, 1, 28, 28)
    steps = np.abs(np.diff(drawn[:5], axis=0)).mean((1, 2, 3))
    assert steps.max() < 3 * steps.min()


def test_a_plane_of_latents(folder: Path) -> None:
    assert samples(folder, "plane", "kind=latent_grid", "num_samples=25").shape == (25, 1, 28, 28)


def test_rows_of_a_table_have_no_picture(folder: Path) -> None:
    assert samples(folder, "table", "num_samples=7").shape == (7, 2)
    assert [path.name for path in (folder / "drawn").iterdir()] == ["samples.npz"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["vae", "num_samples=0"], 2, "num_samples=0: expected more than 0"),
        (["vae", "seed=-1"], 2, "seed=-1: expected at least 0"),
        (["vae", "kind=dreams"], 2, "kind=dreams: expected 'samples'"),
        (["vae", "kind=latent_grid"], 2, "train with model.latent_dim=2, not 20"),
        (["plane", "kind=latent_grid", "num_samples=26"], 2, "num_samples=25 or 36, not 26"),
        (["table", "kind=walk"], 2, "kind=walk: GMM has no latent space"),
        (["table", "kind=reconstructions"], 2, "GMM has no encoder"),
        (["table", "binary=true"], 2, "GMM has no distribution of pixels"),
        (["vae", "checkpoint=step-7"], 4, "has no checkpoint 'step-7'; it has: "),
        (["vae", "output=vae"], 4, "holds other files, and nothing of yours is overwritten"),
        (["vae", "device=mps"], 6, "device=mps: this computer has none"),
        (["nowhere"], 4, "'nowhere' is not a run"),
    ],
)
def test_refusals(folder: Path, words: list[str], code: int, message: str) -> None:
    found, output = genlab("sample", *words, folder=folder)
    assert message in output
    assert found == code
    assert "Traceback" not in output


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    grid = image_grid(torch.tensor([[[[-1.0, 1.0], [1.0, -1.0]]]]), 1)
    assert grid.shape == (3, 56, 56)
    assert (grid[:, :28, :28] == 0).all()
    assert (grid[:, :28, 28:] == 1).all()
