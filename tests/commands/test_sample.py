"""``genlab sample``: what it writes and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from child import TRAIN, genlab
from PIL import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short runs of models that can give each kind."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "rows.csv").write_text("\n".join(f"{row % 3},{row % 2 + row / 100}" for row in range(60)))
    runs = {
        "vae": ["model=vae"],
        "plane": ["model=vae", "model.latent_dim=2"],
        "line": ["model=vae", "model.latent_dim=1"],
        "table": ["model=gmm", "dataset=vector_file", "dataset.path=rows.csv", "model.num_components=2"],
        "mixture": ["model=gmm", "model.num_components=3"],
        "classes": ["model=bayes_classifier"],
        "autoencoder": ["model=autoencoder"],
        "denoising": ["model=denoising_autoencoder", "dataset=optdigits"],
    }
    for name, words in runs.items():
        code, output = genlab(*TRAIN, "trainer.max_steps=2", f"run_dir={name}", *words, folder=folder)
        assert code == 0, output
    return folder


def arrays(folder: Path, *words: str) -> dict[str, np.ndarray]:
    code, output = genlab("sample", *words, f"output={folder / 'drawn'}", folder=folder)
    assert code == 0, output
    with np.load(folder / "drawn" / "samples.npz") as found:
        return dict(found)


def samples(folder: Path, *words: str) -> np.ndarray:
    return arrays(folder, *words)["samples"]


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "drawn").iterdir()}


def test_a_grid_single_files_and_an_array(folder: Path) -> None:
    code, output = genlab("sample", "vae", "num_samples=11", "output=few", "json=true", folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert about["kind"] == "samples"
    assert about["shape"] == [11, 1, 28, 28]
    assert about["step"] == 2
    names = {path.name for path in (folder / "few").iterdir()}
    assert names == {"grid.png", "samples.npz", *(f"{number:04d}.png" for number in range(11))}
    assert sorted(about["files"]) == sorted(names)
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


def test_a_model_that_draws_nothing_shows_reconstructions(folder: Path) -> None:
    code, output = genlab("sample", "autoencoder", "output=usual", "json=true", folder=folder)
    assert code == 0, output
    assert json.loads(output)["kind"] == "reconstructions"


def test_a_corrupted_image_stands_between_the_image_and_its_reconstruction(folder: Path) -> None:
    drawn = samples(folder, "denoising", "kind=reconstructions", "num_samples=30").reshape(10, 3, 1, 8, 8)
    again = samples(folder, "denoising", "kind=reconstructions", "num_samples=30", "batch_size=1", "seed=0")
    np.testing.assert_allclose(again.reshape(drawn.shape), drawn, atol=1e-5)
    image, corrupted, restored = drawn.swapaxes(0, 1)
    changed = image != corrupted
    assert set(np.unique(corrupted[changed])) == {-1.0, 1.0}
    assert 0.2 < changed.mean() < 0.5  # of 40 %, some were black or white before
    assert not np.array_equal(restored, corrupted)


def test_classes_are_drawn_in_turn(folder: Path) -> None:
    drawn = samples(folder, "classes", "labels=[2,7]", "num_samples=5")
    assert drawn.shape[0] == 5
    alone = samples(folder, "classes", "labels=[2,7]", "num_samples=5", "batch_size=1")
    np.testing.assert_allclose(alone, drawn, atol=1e-5)


def test_where_images_lie_among_the_latents(folder: Path) -> None:
    found = arrays(folder, "plane", "kind=latent_scatter", "num_samples=50")
    assert found["samples"].shape == (50, 2)
    assert found["labels"].tolist()[:5] == [7, 2, 1, 0, 4]  # of MNIST's test images
    assert files(folder) == {"scatter.png", "samples.npz"}
    assert arrays(folder, "denoising", "kind=latent_scatter")["samples"].shape == (360, 500)  # all test images


def test_a_chain_is_a_gif(folder: Path) -> None:
    found = samples(folder, "denoising", "kind=chain", "num_samples=6", "num_frames=4", "seed=2")
    assert found.shape == (4, 6, 1, 8, 8)
    assert files(folder) == {"chain.gif", "samples.npz"}
    with Image.open(folder / "drawn" / "chain.gif") as gif:
        assert gif.n_frames == 4  # type: ignore[attr-defined]
    fewer = samples(folder, "denoising", "kind=chain", "num_samples=2", "num_frames=4", "seed=2")
    np.testing.assert_allclose(fewer, found[:, :2], atol=1e-6)


def test_means_of_a_mixture(folder: Path) -> None:
    found = samples(folder, "mixture", "kind=means")
    assert found.shape[0] == 3
    assert {"grid.png", "0002.png", "samples.npz"} <= files(folder)
    np.testing.assert_array_equal(samples(folder, "mixture", "kind=means", "num_samples=1"), found[:1])


def test_rows_of_a_table_have_no_picture(folder: Path) -> None:
    assert samples(folder, "table", "num_samples=7").shape == (7, 2)
    assert files(folder) == {"samples.npz"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["vae", "num_samples=0"], 2, "num_samples=0: expected more than 0"),
        (["vae", "seed=-1"], 2, "seed=-1: expected at least 0"),
        (["vae", "kind=dreams"], 2, "kind=dreams: expected 'samples'"),
        (["vae", "num_frames=0"], 2, "num_frames=0: expected more than 0"),
        (["vae", "labels=[2]"], 2, "labels=[2]: VAE takes no labels; leave the word out"),
        (["classes", "labels=[3,10]"], 2, "labels=[3, 10]: the labels of this BayesClassifier are 0 to 9"),
        (["classes", "labels=[-1]"], 2, "labels=[-1]: expected at least 0 at position 1"),
        (["classes", "labels=[]"], 2, "labels=[]: expected at least 1 values"),
        (["vae", "labels=[2]", "kind=walk"], 2, "labels=[2] go with kind=samples, not kind=walk"),
        (["autoencoder", "kind=samples"], 2, "draws no samples; kind=reconstructions shows what it makes of images"),
        (["autoencoder", "kind=latent_grid"], 2, "Autoencoder has no prior that a grid could cover"),
        (["table", "kind=latent_grid"], 2, "kind=latent_grid: GMM has no latent space"),
        (["table", "kind=latent_scatter"], 2, "kind=latent_scatter: GMM has no encoder"),
        (["line", "kind=latent_scatter"], 2, "train with model.latent_dim=2 or more"),
        (["plane", "kind=latent_scatter", "binary=true"], 2, "binary=true: kind=latent_scatter draws no pixels"),
        (["plane", "kind=latent_scatter", "num_samples=10001"], 3, "'mnist' has 10000 such images, 10001 are needed"),
        (["vae", "kind=chain"], 2, "kind=chain: VAE runs no Markov chain"),
        (["vae", "kind=means"], 2, "kind=means: VAE is no mixture"),
        (["table", "kind=means", "num_samples=3"], 2, "num_samples=3, but there are 2 components"),
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
