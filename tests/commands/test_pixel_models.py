"""The commands on models that draw pixel by pixel: growth, temperature, completions and likelihoods."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from child import TRAIN, genlab
from PIL import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short runs, two images, and masks for them."""
    folder = tmp_path_factory.mktemp("runs")
    for name, words in {
        "pixels": ["model=pixel_cnn", "model.binarization=none", "model.num_levels=17"],
        "classes": ["model=gated_pixel_cnn", "model.num_classes=10"],
        "vae": ["model=vae", "dataset=optdigits"],
    }.items():
        code, output = genlab(*TRAIN, "trainer.max_steps=2", f"run_dir={name}", *words, folder=folder)
        assert code == 0, output
    for where in ("images", "masks", "black"):
        (folder / where).mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{number}.png")
        mask = np.zeros((8, 8), dtype=np.uint8)
        Image.fromarray(mask).save(folder / "black" / f"{number}.png")
        mask[2 + number : 4 + number, 3:7] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


def completed(folder: Path, *words: str) -> np.ndarray:
    """``(N, num_samples, C, H, W)``."""
    shutil.rmtree(folder / "done", ignore_errors=True)
    words = ("pixels", "input=images", "output=done", "json=true", *words)
    code, output = genlab("apply", *words, folder=folder)
    assert code == 0, output
    assert set(json.loads(output)["files"]) == {path.name for path in (folder / "done").iterdir()}
    with np.load(folder / "done" / "completions.npz") as found:
        return found["completions"]


def originals(folder: Path) -> np.ndarray:
    """The images as bytes, ``(N, H, W)``."""
    return np.stack([np.asarray(Image.open(folder / "images" / f"{number}.png")) for number in range(2)])


@pytest.mark.parametrize(
    ("half", "kept"),
    [
        ("lower", np.s_[..., :4, :]),
        ("upper", np.s_[..., 4:, :]),
        ("left", np.s_[..., :, 4:]),
        ("right", np.s_[..., :, :4]),
    ],
)
def test_half_an_image_is_kept_and_half_is_drawn(folder: Path, half: str, kept: tuple) -> None:
    images = completed(folder, f"mask={half}", "num_samples=3")
    assert images.shape == (2, 3, 1, 8, 8)
    written = np.asarray(Image.open(folder / "done" / "1-completed.png").convert("L"))
    assert np.array_equal(written[kept], originals(folder)[1][kept])
    as_bytes = ((images + 1) * 127.5).round()
    assert all(np.array_equal(as_bytes[:, way, 0][kept], originals(folder)[kept]) for way in range(3))
    assert not np.array_equal(images[:, 0], images[:, 1])


def test_each_image_may_have_a_mask_of_its_own(folder: Path) -> None:
    as_bytes = ((completed(folder, "mask=masks", "num_samples=1")[:, 0, 0] + 1) * 127.5).round()
    masks = np.stack([np.asarray(Image.open(folder / "masks" / f"{number}.png")) for number in range(2)])
    assert np.array_equal(as_bytes[masks == 0], originals(folder)[masks == 0])
    assert (as_bytes[masks > 0] != originals(folder)[masks > 0]).mean() > 0.5


def test_half_of_a_larger_mask_is_half_of_the_pixels(folder: Path) -> None:
    """Where it is shrunk its edge is grey, and belongs to the side that covers more of a pixel."""
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[:, 48:] = 255
    Image.fromarray(mask).save(folder / "half.png")
    assert np.array_equal(completed(folder, "mask=half.png"), completed(folder, "mask=right"))


def test_completions_are_the_same_whatever_the_batch(folder: Path) -> None:
    whole = completed(folder, "mask=lower", "seed=3")
    assert np.array_equal(whole, completed(folder, "mask=lower", "seed=3", "batch_size=3"))
    assert not np.array_equal(whole, completed(folder, "mask=lower", "seed=4"))


def test_an_image_is_seen_growing(folder: Path) -> None:
    code, output = genlab("sample", "pixels", "kind=growth", "num_samples=2", "output=grown", folder=folder)
    assert code == 0, output
    with Image.open(folder / "grown" / "growth.gif") as film:
        assert getattr(film, "n_frames", 1) == 8
    with np.load(folder / "grown" / "samples.npz") as found:
        frames = found["samples"]
    assert frames.shape == (8, 2, 1, 8, 8)
    code, output = genlab("sample", "pixels", "num_samples=2", "output=drawn", folder=folder)
    assert code == 0, output
    with np.load(folder / "drawn" / "samples.npz") as found:
        assert np.array_equal(found["samples"], frames[-1])


def test_cold_samples_vary_less(folder: Path) -> None:
    spread = []
    for temperature in (0.01, 1):
        words = ("num_samples=16", f"temperature={temperature}", "output=warm")
        code, output = genlab("sample", "pixels", *words, folder=folder)
        assert code == 0, output
        with np.load(folder / "warm" / "samples.npz") as found:
            spread.append(found["samples"].std(0).mean())
    assert spread[0] < 0.5 * spread[1]


def test_guided_samples_are_other_ones_and_what_is_measured_says_so(folder: Path) -> None:
    drawn = []
    for guidance in (0, 50):
        words = ("num_samples=20", "labels=[3]", f"guidance={guidance}", "output=guided")
        code, output = genlab("sample", "classes", *words, folder=folder)
        assert code == 0, output
        with np.load(folder / "guided" / "samples.npz") as found:
            drawn.append(found["samples"])
    assert not np.array_equal(*drawn)
    words = ("metrics=[frechet]", "num_samples=20", "guidance=2", "temperature=0.5", "device=cpu")
    code, output = genlab("evaluate", "classes", *words, folder=folder)
    assert code == 0, output
    assert ", temperature 0.5, guidance 2" in output
    report = json.loads((folder / "classes" / "evaluation.json").read_text())
    assert (report["temperature"], report["guidance"]) == (0.5, 2)


def test_likelihoods_say_of_which_images_they_are(folder: Path) -> None:
    scores = {}
    for run in ("pixels", "classes"):
        code, output = genlab("evaluate", run, "metrics=[log_likelihood]", "json=true", "device=cpu", folder=folder)
        assert code == 0, output
        scores[run] = json.loads(output)
    nats = scores["pixels"]["metrics"]["log_likelihood"]
    assert scores["pixels"]["metrics"]["bits_per_dim"] == pytest.approx(-nats / (64 * np.log(2)))
    assert "log_likelihood_given_label" not in scores["pixels"]["metrics"]
    assert "of 17 levels" in json.dumps(scores["pixels"])
    assert "binary, by a threshold at half" in json.dumps(scores["classes"])
    given_label = scores["classes"]["metrics"]["log_likelihood_given_label"]
    assert abs(given_label - scores["classes"]["metrics"]["log_likelihood"]) < np.log(10)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["apply", "pixels", "input=images", "kind=completions"], 2, "mask= says what kind=completions shall fill"),
        (["apply", "pixels", "input=images", "mask=middle"], 3, "mask=middle: there is no such file or folder"),
        (["apply", "pixels", "input=images", "mask=black"], 3, "mask=black: a mask is all black"),
        (
            ["apply", "vae", "input=images", "mask=lower"],
            2,
            "completions: VAE does not draw images pixel by pixel",
        ),
        (["apply", "pixels", "input=images"], 2, "mask= says what kind=completions shall fill"),
        (
            ["apply", "pixels", "input=images", "mask=lower", "output=a.png"],
            2,
            "output=a.png: several files are written",
        ),
        (
            ["apply", "pixels", "input=images", "mask=lower", "output=/dev/null/a"],
            6,
            "output=/dev/null/a cannot be made",
        ),
        (["datasets", "chek"], 2, "expected 'list', 'check' or 'export'\nset on the command line: chek"),
        (["sweep", "direction=max"], 2, "direction=max: expected 'minimize' or 'maximize' or a list, […]"),
        (["sample", "pixels", "text=''"], 2, "text=: expected text"),
        (["sample", "pixels", "output=a.png"], 2, "output=a.png: several files are written; name a folder"),
        (["sample", "pixels", "output=/dev/null/a"], 6, "cannot be made: Not a directory; choose another output"),
        (["sample", "pixels", "temprature=0.5"], 2, "no key 'temprature'; did you mean 'temperature'?"),
        (["sample", "vae", "kind=growth"], 2, "kind=growth: VAE does not draw images pixel by pixel"),
        (["sample", "pixels", "guidance=1"], 2, "guidance=1: PixelCNN is not guided\na model can be that draws pixels"),
        (["evaluate", "vae", "guidance=1"], 2, "guidance=1: VAE is not guided"),
        (["evaluate", "vae", "temperature=0.5"], 2, "temperature=0.5: VAE has none; leave the word out"),
        (["sample", "classes", "guidance=-1"], 2, "guidance=-1: expected at least 0"),
        (["sample", "vae", "temperature=0.5"], 2, "temperature=0.5: VAE has none; leave the word out"),
    ],
)
def test_refusals(folder: Path, words: list[str], code: int, message: str) -> None:
    found, output = genlab(*words, folder=folder)
    assert found == code
    assert message in output
