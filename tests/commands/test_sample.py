"""``genlab sample``: what it writes and what it refuses."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from child import TRAIN, genlab
from PIL import Image, ImageSequence

from genlab import cli
from genlab.commands.sample import plain
from genlab.datasets.embedded import ASSETS
from genlab.datasets.loader import mixed_items
from genlab.errors import installation
from genlab.models.vae import VAE


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
        "gan": ["model=dcgan", "dataset=optdigits", "model.width=8", "callbacks=averaged"],
        "codes": ["model=infogan", "dataset=optdigits", "model.width=4", "model.num_codes=4", "model.num_continuous=1"],
        "uniform": ["model=dcgan", "dataset=optdigits", "model.width=8", "model.prior=uniform", "model.latent_dim=2"],
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


@pytest.mark.parametrize(
    "words",
    [
        ["vae", "num_samples=5", "binary=true", "truncation=0.7"],
        ["classes", "labels=[3,7]", "num_samples=5"],
        ["gan", "seeds=3-6"],
    ],
)
def test_several_processes_draw_what_one_does(folder: Path, words: list[str]) -> None:
    # In the tests' own process, whose server of fresh processes imports once for all tests.
    by_two = folder / "drawn_by_two"
    given = (*words[1:], "processes=2", "batch_size=2", f"output={by_two}")
    assert cli.main(["sample", str(folder / words[0]), *given]) == 0
    with np.load(by_two / "samples.npz") as drawn:
        found = drawn["samples"]
    np.testing.assert_allclose(found, samples(folder, *words), atol=1e-5)


@pytest.mark.parametrize("run", ["vae", "gan", "classes"])
def test_a_seed_of_many_gives_its_own_image_whatever_the_others(folder: Path, run: str) -> None:
    found = samples(folder, run, "seeds=3-6")
    assert found.shape[0] == 4
    assert len({image.tobytes() for image in found}) == 4
    np.testing.assert_array_equal(samples(folder, run, "seeds=[5,0,3]", "batch_size=2")[[0, 2]], found[[2, 0]])
    np.testing.assert_allclose(samples(folder, run, "seed=4", "num_samples=2")[0], found[1], atol=1e-5)


def test_seeds_and_what_was_given_name_the_folder(folder: Path) -> None:
    for words, name in (
        (["seeds=0-2"], "samples-last-seeds-0-2"),
        (["seeds=[7,3]", "truncation=0.5"], "samples-last-seeds-7_3-truncation-0.5"),
        (["weights=last", "num_samples=1"], "samples-last-seed-0-weights-last"),
        ([f"seeds=[{','.join(map(str, range(200)))}]"], "samples-last-seeds-0_1_2_3"),
    ):
        code, output = genlab("sample", "gan", *words, "json=true", folder=folder)
        assert code == 0, output
        found = Path(json.loads(output)["folder"]).name
        assert found == name or (found.startswith(name) and len(found) == 200)


def test_a_run_with_averaged_weights_is_drawn_with_them(folder: Path) -> None:
    usual = samples(folder, "gan", "num_samples=4")
    np.testing.assert_array_equal(samples(folder, "gan", "num_samples=4", "weights=averaged"), usual)
    assert abs(samples(folder, "gan", "num_samples=4", "weights=last") - usual).max() > 0
    for weights in ("averaged", "last"):
        code, output = genlab("sample", "gan", "num_samples=1", f"weights={weights}", "output=few", folder=folder)
        assert code == 0, output
        assert (", averaged weights, seed 0" in output) == (weights == "averaged")


@pytest.mark.parametrize("run", ["gan", "uniform", "vae"])
def test_truncated_samples_vary_less(folder: Path, run: str) -> None:
    words = (run, "num_samples=32", "weights=last")
    whole, middle = samples(folder, *words), samples(folder, *words, "truncation=0.3")
    assert 0 < middle.std(0).mean() < 0.7 * whole.std(0).mean()
    np.testing.assert_allclose(samples(folder, *words, "truncation=0.3", "batch_size=5"), middle, atol=1e-5)


def test_pixels_may_be_drawn(folder: Path) -> None:
    assert set(np.unique(samples(folder, "vae", "num_samples=4", "binary=true"))) == {-1.0, 1.0}


def test_reconstructions_stand_beside_their_images(folder: Path) -> None:
    drawn = samples(folder, "vae", "kind=reconstructions", "num_samples=6")
    again = samples(folder, "vae", "kind=reconstructions", "num_samples=6", "seed=1")
    np.testing.assert_array_equal(drawn[0::2], again[0::2])
    assert abs(drawn[1::2] - again[1::2]).max() > 0  # draws of the posterior


def test_training_images_are_said_to_be_such_where_nothing_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for shade in range(8):
        Image.new("L", (28, 28), 30 * shade).save(tmp_path / "pictures" / f"{shade}.png")
    words = ("dataset=image_folder", f"dataset.path={tmp_path}/pictures", "dataset.data_shape=[1,28,28]")
    words = (*words, "dataset.batch_size=4", "trainer.max_epochs=1", "callbacks=none", "threads=1")
    for held_out in (0, 4):
        run = f"{tmp_path}/keeps_{held_out}"
        assert genlab("train", *words, f"dataset.num_test={held_out}", f"run_dir={run}", folder=tmp_path)[0] == 0
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            assert cli.main(["sample", run, "kind=reconstructions", "num_samples=4"]) == 0
        said = "nothing of 'image_folder' is held out: these are training images"
        assert [str(note.message) for note in noted] == ([said] if held_out == 0 else [])


def test_a_walk_goes_evenly_from_one_image_to_the_next(folder: Path) -> None:
    drawn = samples(folder, "vae", "kind=walk", "steps=5", "num_samples=10")
    assert drawn.shape == (10, 1, 28, 28)
    steps = np.abs(np.diff(drawn[:5], axis=0)).mean((1, 2, 3))
    assert steps.max() < 3 * steps.min()


def test_a_walk_is_a_gif_too(folder: Path) -> None:
    samples(folder, "gan", "kind=walk", "steps=5", "num_samples=10")
    assert files(folder) == {"walk.gif", "grid.png", "samples.npz", *(f"{number:04d}.png" for number in range(10))}
    with Image.open(folder / "drawn" / "walk.gif") as gif:
        assert len(list(ImageSequence.Iterator(gif))) == 5


def test_without_its_library_a_video_is_refused_before_anything_is_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    code, output = genlab("sample", "gan", "kind=walk", "video=true", "output=video", folder=folder)
    assert code == 2
    assert f"video=true needs PyAV; without it there is the GIF: {installation('video')}" in output
    assert not (folder / "video").exists()


def test_a_walk_between_normal_latents_is_spherical_unless_it_is_to_be_straight(folder: Path) -> None:
    walks = {way: samples(folder, "gan", "kind=walk", *way) for way in ((), ("interpolation=linear",))}
    np.testing.assert_array_equal(samples(folder, "gan", "kind=walk", "interpolation=spherical"), walks[()])
    linear = walks[("interpolation=linear",)]
    np.testing.assert_allclose(linear[[0, 7, 8]], walks[()][[0, 7, 8]], atol=1e-5)  # the ends are the same
    assert abs(linear[3] - walks[()][3]).max() > 1e-3
    truncated = [samples(folder, "gan", "kind=walk", "truncation=0.8", *way) for way in walks]
    assert abs(truncated[0] - truncated[1]).max() > 1e-4
    assert abs(truncated[1][[0, 7, 8]] - linear[[0, 7, 8]]).max() > 1e-4


def test_a_walk_between_images_or_uniform_latents_is_straight_unless_it_is_to_be_spherical(folder: Path) -> None:
    for run in ("vae", "uniform"):
        walk = samples(folder, run, "kind=walk", "num_samples=8")
        straight = samples(folder, run, "kind=walk", "num_samples=8", "interpolation=linear")
        np.testing.assert_array_equal(walk, straight)
    round_ = samples(folder, "vae", "kind=walk", "num_samples=8", "interpolation=spherical")
    assert abs(round_ - samples(folder, "vae", "kind=walk", "num_samples=8")).max() > 0


def test_samples_beside_the_training_images_nearest_to_them(folder: Path) -> None:
    words = ("gan", "kind=neighbours", "num_samples=3", "num_neighbours=2")
    found = arrays(folder, *words)
    rows = found["samples"].reshape(3, 3, -1)
    assert found["items"].shape == (3, 2)
    np.testing.assert_array_equal(rows[:, 0], samples(folder, "gan", "num_samples=3").reshape(3, -1))
    np.testing.assert_allclose(np.linalg.norm(rows[:, 1:] - rows[:, :1], axis=2), found["distances"], atol=1e-5)
    assert (found["distances"][:, 0] <= found["distances"][:, 1]).all()
    assert "grid.png" in files(folder)

    code, output = genlab("sample", *words, "output=beside", folder=folder)
    assert code == 0, output
    assert f"median nearest distance of samples: {np.median(found['distances'][:, 0]):.4g}" in output
    assert "median nearest distance of held out images: " in output
    code, output = genlab("sample", *words, "output=beside", "json=true", "seed=2", folder=folder)
    about = json.loads(output)
    # Held-out digits lie nearer to training digits than what two steps of training draw.
    assert 0 < about["median_nearest_distance_of_held_out_images"] < about["median_nearest_distance_of_samples"]


def test_a_plane_of_latents_is_that_of_the_prior(folder: Path) -> None:
    from genlab.loaded_run import load_model

    found = samples(folder, "uniform", "kind=latent_grid", "num_samples=4")
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
    model: Any = load_model(str(folder / "uniform")).model
    with torch.no_grad():
        expected = model.decode(corners)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


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
    with np.load(ASSETS / "mnist.npz") as mnist:
        assert found["labels"].tolist() == mnist["test_labels"][mixed_items(10_000, 50)].tolist()
    assert files(folder) == {"scatter.png", "samples.npz"}
    assert arrays(folder, "denoising", "kind=latent_scatter")["samples"].shape == (360, 500)  # all test images


def test_rows_of_codes_begin_with_the_same_images_however_many_there_are(folder: Path) -> None:
    found = samples(folder, "codes", "kind=codes").reshape(2, 5, 4, 1, 8, 8)
    fewer = samples(folder, "codes", "kind=codes", "num_samples=2", "batch_size=3").reshape(2, 2, 4, 1, 8, 8)
    np.testing.assert_allclose(fewer, found[:, :2], atol=1e-5)
    assert "grid.png" in files(folder)
    assert len(np.unique(found.reshape(40, -1), axis=0)) == 40


def test_a_chain_is_a_gif(folder: Path) -> None:
    found = samples(folder, "denoising", "kind=chain", "num_samples=6", "num_frames=4", "seed=2")
    assert found.shape == (4, 6, 1, 8, 8)
    assert files(folder) == {"chain.gif", "samples.npz"}
    with Image.open(folder / "drawn" / "chain.gif") as gif:
        assert len(list(ImageSequence.Iterator(gif))) == 4
    fewer = samples(folder, "denoising", "kind=chain", "num_samples=2", "num_frames=4", "seed=2")
    np.testing.assert_allclose(fewer, found[:, :2], atol=1e-6)


def test_means_of_a_mixture(folder: Path) -> None:
    found = samples(folder, "mixture", "kind=means")
    assert found.shape[0] == 3
    assert {"grid.png", "0002.png", "samples.npz"} <= files(folder)
    np.testing.assert_array_equal(samples(folder, "mixture", "kind=means", "num_samples=1"), found[:1])


def test_points_in_the_plane_are_drawn_over_the_data(folder: Path) -> None:
    drawn = arrays(folder, "table")
    assert drawn["samples"].shape == (2000, 2)
    rows = np.loadtxt(folder / "rows.csv", delimiter=",", dtype=np.float32).tolist()
    assert all(row in rows for row in drawn["data"].tolist())
    assert files(folder) == {"samples.npz", "samples.csv", "samples.png"}
    red, _, blue = (
        np.asarray(Image.open(folder / "drawn" / "samples.png").convert("RGB")).astype(int).transpose(2, 0, 1)
    )
    assert (red - blue > 100).any()  # samples
    assert (blue - red > 40).any()  # data


def test_without_matplotlib_points_are_numbers_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, output = genlab("sample", "table", "num_samples=7", f"output={folder / 'drawn'}", folder=folder)
    assert code == 0, output
    assert "no picture: this diagram needs matplotlib" in output
    assert files(folder) == {"samples.npz", "samples.csv"}


def test_a_run_whose_model_has_changed_since_is_said_to_be_of_another_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constructor: Any = VAE.__init__

    def with_another_weight(self: VAE, **given: Any) -> None:
        constructor(self, **given)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def with_another_argument(self: VAE, new: int, **given: Any) -> None:
        constructor(self, **given)

    for changed, difference in ((with_another_weight, '"scale"'), (with_another_argument, "'new'")):
        monkeypatch.setattr(VAE, "__init__", changed)
        code, output = genlab("sample", "vae", folder=folder)
        assert code == 4, output
        assert "vae is of another version of genlab than this one: " in output
        assert difference in output


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
        (["vae", "labels=[2]", "kind=walk"], 2, "goes with kind=samples or neighbours or growth, not kind=walk"),
        (["classes", "labels=7"], 2, "labels=7: expected a list, as [7]"),
        (["gan", "seeds=all"], 2, "expected a whole number or a range such as 0-99 or a list, […]"),
        (["gan", "seeds=9-3"], 2, "seeds=9-3: expected the least seed, then the largest"),
        (["gan", "seeds=[-1]"], 2, "seeds=[-1]: expected "),
        (["gan", "seeds=0-3", "num_samples=4"], 2, "num_samples=4: seeds=0-3 says how many"),
        (["gan", "seeds=0-3", "kind=walk"], 2, "seeds=0-3 goes with kind=samples or neighbours, not kind=walk"),
        (["vae", "weights=averaged"], 2, "weights=averaged: the checkpoint 'last' of "),
        (["gan", "weights=best"], 2, "weights=best: expected 'averaged' or 'last'"),
        (["gan", "truncation=0"], 2, "truncation=0: expected at least 0.01"),
        (["uniform", "truncation=1.2"], 2, "the latents of DCGAN are uniform in [-1, 1]; give at most 1"),
        (["table", "truncation=0.5"], 2, "truncation=0.5: GMM draws no latents; leave the word out"),
        (["vae", "truncation=0.5", "kind=walk"], 2, "truncation=0.5: the walks of VAE join test images"),
        (
            ["vae", "truncation=0.5", "kind=reconstructions"],
            2,
            "truncation=0.5 goes with kind=samples or neighbours or walk, not kind=reconstructions",
        ),
        (["vae", "interpolation=linear"], 2, "interpolation=linear goes with kind=walk, not kind=samples"),
        (["uniform", "kind=walk", "interpolation=spherical"], 2, "no latent of DCGAN has a normal prior"),
        (["autoencoder", "kind=walk", "interpolation=spherical"], 2, "no latent of Autoencoder has a normal prior"),
        (["gan", "kind=walk", "steps=5", "num_samples=12"], 2, "of steps=5 images: num_samples=10 or 15, not 12"),
        (["gan", "kind=walk", "steps=5", "num_samples=3"], 2, "of steps=5 images: num_samples=5, not 3"),
        (["vae", "processes=0"], 2, "processes=0: expected more than 0"),
        (["vae", "steps=5"], 2, "steps=5 goes with kind=walk, not kind=samples"),
        (["vae", "num_frames=7"], 2, "num_frames=7 goes with kind=chain, not kind=samples"),
        (["vae", "kind=walk", "num_neighbours=3"], 2, "num_neighbours=3 goes with kind=neighbours, not kind=walk"),
        (["vae", "processes=2", "kind=walk"], 2, "processes=2 goes with kind=samples or neighbours, not kind=walk"),
        (["vae", "processes=9", "num_samples=8"], 2, "processes=9: 8 samples are for at most as many processes"),
        (["vae", "video=true"], 2, "video=true goes with kind=walk or chain or growth, not kind=samples"),
        (["table", "kind=neighbours"], 2, "kind=neighbours: 'vector_file' holds no images"),
        (["autoencoder", "kind=neighbours"], 2, "Autoencoder draws no samples"),
        (["gan", "kind=neighbours", "num_neighbours=9999"], 3, "num_neighbours=9999 is too many"),
        (
            ["autoencoder", "kind=samples"],
            2,
            "draws no samples\nit has kind=reconstructions, walk, latent_scatter\n",
        ),
        (["autoencoder", "kind=latent_grid"], 2, "Autoencoder has no latents with a prior, which a grid could cover"),
        (["table", "kind=latent_grid"], 2, "kind=latent_grid: GMM has no latents with a prior"),
        (["table", "kind=latent_scatter"], 2, "kind=latent_scatter: GMM has no encoder"),
        (["line", "kind=latent_scatter"], 2, "train with model.latent_dim=2 or more"),
        (["plane", "kind=latent_scatter", "binary=true"], 2, "or means, not kind=latent_scatter"),
        (["plane", "kind=latent_scatter", "num_samples=10001"], 3, "'mnist' has 10000 such images, 10001 are needed"),
        (["vae", "kind=chain"], 2, "kind=chain: VAE runs no Markov chain"),
        (["vae", "kind=codes"], 2, "kind=codes: VAE has no codes that are read off its images"),
        (
            ["vae", "kind=means"],
            2,
            "VAE is no mixture\nit has kind=samples, reconstructions, walk, latent_grid, latent_scatter, n",
        ),
        (["vae", "labels=1,2"], 2, "'labels=1,2' gives several values, where one is taken; if it is text"),
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


def test_a_checkpoint_that_was_copied_elsewhere(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    copied = tmp_path / "mine" / "copied.ckpt"
    copied.write_bytes((folder / "vae" / "checkpoints" / "last.ckpt").read_bytes())
    assert cli.main(["sample", str(copied), "num_samples=4"]) == 2
    said = "copied.ckpt lies in no run folder: say where the results go, output=FOLDER"
    assert said in capsys.readouterr().err
    drawn = ["num_samples=4", f"output={tmp_path / 'drawn'}"]
    assert cli.main(["sample", str(copied), *drawn, "processes=2"]) == 0
    with np.load(tmp_path / "drawn" / "samples.npz") as found:
        np.testing.assert_allclose(found["samples"], samples(folder, "vae", "num_samples=4"), atol=1e-5)
    assert cli.main(["sample", str(copied), *drawn, "checkpoint=initial"]) == 2
    assert "checkpoint=initial: " in (said := capsys.readouterr().err)
    assert "is a checkpoint itself; leave the word out" in said


def test_a_class_with_a_slash_in_its_name_makes_one_folder(folder: Path) -> None:
    assert plain("T-shirt/top") == "T_shirt_top"
    assert plain(3) == "3"
