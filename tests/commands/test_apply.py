"""``genlab apply``: what it writes and what it refuses."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from child import TRAIN, genlab
from PIL import Image

from genlab import cli
from genlab.applied.results import folder_for
from genlab.errors import RunError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short runs, and a folder of images of several sizes and kinds."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "rows.csv").write_text("\n".join(f"{row % 3},{row % 2 + row / 100}" for row in range(60)))
    runs = {
        "detector": ["model=f_anogan", "dataset=optdigits", "model.gan_epochs=1", "model.map_side=1"],
        "searching": ["model=anogan", "dataset=optdigits", "model.map_side=1", "model.search_steps=3"],
        "vae": ["model=vae", "dataset=optdigits"],
        "pairs": ["model=cogan"],
        "editor": ["model=icgan", "model.width=4", "model.gan_epochs=1"],
        "points": ["model=wgan_gp", "dataset=ring"],
        "translator": ["model=cyclegan", "model.width=2", "model.num_blocks=1", "model.pool_size=2"],
        "boltzmann": ["model=rbm", "dataset=optdigits"],
        "table": ["model=gmm", "dataset=vector_file", "dataset.path=rows.csv", "model.num_components=2"],
    }
    for name, words in runs.items():
        code, output = genlab(*TRAIN, "trainer.max_steps=4", f"run_dir={name}", *words, folder=folder)
        assert code == 0, output
    pictures = folder / "pictures"
    pictures.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(pictures / "colour.png")
    Image.fromarray(noise[:16, :16, 0]).save(pictures / "grey.jpg")
    (pictures / "notes.txt").write_text("no image")
    damaged = folder / "damaged"
    damaged.mkdir()
    Image.fromarray(noise).save(damaged / "good.png")
    (damaged / "empty.png").touch()
    (damaged / "text.png").write_text("no image")
    (folder / "nothing").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "empty.png").touch()
    return folder


@pytest.mark.parametrize("run", ["detector", "searching"])
def test_anomalies_of_a_folder(folder: Path, run: str) -> None:
    code, output = genlab("apply", run, "input=pictures", f"output=found_{run}", "json=true", folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert (about["kind"], about["left_out"], about["step"]) == ("anomalies", [], 4)
    expected = {f"{name}-{kind}.png" for name in ("colour", "grey") for kind in ("map", "overlay")} | {"scores.csv"}
    assert set(about["files"]) == {path.name for path in (folder / f"found_{run}").iterdir()} == expected
    with (folder / f"found_{run}" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["colour.png", "grey.jpg"]
    assert [float(row["score"]) for row in rows] == pytest.approx([value["score"] for value in about["values"]])
    maps = [
        np.asarray(Image.open(folder / f"found_{run}" / f"{name}-map.png").convert("L")) for name in ("colour", "grey")
    ]
    assert all(one.shape == (8, 8) for one in maps)
    assert max(one.max() for one in maps) == 255
    overlay = np.asarray(Image.open(folder / f"found_{run}" / "colour-overlay.png"))
    assert (overlay[..., 0] >= overlay[..., 1]).all()  # red over grey


def test_one_file_is_as_in_its_folder(folder: Path) -> None:
    _, whole = genlab("apply", "detector", "input=pictures", "output=whole", "json=true", folder=folder)
    _, alone = genlab("apply", "detector", "input=pictures/grey.jpg", "output=alone", "json=true", folder=folder)
    [value] = json.loads(alone)["values"]
    assert value["file"] == "grey.jpg"
    assert value["score"] == pytest.approx(json.loads(whole)["values"][1]["score"], rel=1e-4)


@pytest.mark.parametrize("words", [["vae"], ["detector", "kind=projection"]])
def test_projections(folder: Path, words: list[str]) -> None:
    options = ["input=pictures", "output=projected", "json=true"]
    shutil.rmtree(folder / "projected", ignore_errors=True)
    code, output = genlab("apply", *words, *options, "steps=5", folder=folder)
    assert code == 0, output
    about = json.loads(output)
    names = {path.name for path in (folder / "projected").iterdir()}
    assert names == set(about["files"]) == {"colour-projection.png", "grey-projection.png", "latents.npz"}
    with np.load(folder / "projected" / "latents.npz") as arrays:
        assert arrays["files"].tolist() == ["colour.png", "grey.jpg"]
        assert len(arrays["latents"]) == 2
        assert arrays["errors"] == pytest.approx([value["error"] for value in about["values"]])
    width, height = Image.open(folder / "projected" / "grey-projection.png").size
    assert width > 1.8 * height  # two images side by side
    shutil.rmtree(folder / "projected")
    code, output = genlab("apply", *words, *options, "steps=60", folder=folder)
    assert code == 0, output
    assert sum(value["error"] for value in json.loads(output)["values"]) < sum(
        value["error"] for value in about["values"]
    )


def test_the_table_and_the_usual_place(folder: Path) -> None:
    code, output = genlab("apply", "detector", "input=pictures", folder=folder)
    assert code == 0, output
    assert "FAnoGAN, kind=anomalies, of checkpoint 'last', step 4" in output
    assert "colour.png" in output
    assert (folder / "detector" / "applied" / "anomalies-last-pictures" / "scores.csv").is_file()
    assert genlab("apply", "detector", "input=pictures", folder=folder)[0] == 0  # over its own output


def test_the_same_name_twice_keeps_its_suffix(folder: Path) -> None:
    twins = folder / "twins"
    twins.mkdir()
    for suffix in ("png", "jpg"):
        Image.new("L", (9, 9), 100).save(twins / f"one.{suffix}")
    code, output = genlab("apply", "detector", "input=twins", "output=of_twins", "json=true", folder=folder)
    assert code == 0, output
    assert {"one.png-map.png", "one.jpg-map.png"} <= set(json.loads(output)["files"])


def test_bad_files_are_named_after_the_others_are_done(folder: Path) -> None:
    code, output = genlab("apply", "detector", "input=damaged", "output=of_damaged", folder=folder)
    assert code == 3
    assert "2 of 3 images cannot be used, the others are done:" in output
    assert "empty.png is empty (0 bytes)" in output
    assert "text.png is no image that Pillow can read" in output
    assert (folder / "of_damaged" / "good-map.png").is_file()
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["boltzmann", "input=pictures"], 2, "RBM has no latents with a prior to search\nit is applied to nothing"),
        (["table", "input=pictures"], 2, "this model is of rows: name one file of them"),
        (["vae", "input=pictures", "kind=anomalies"], 2, "VAE detects no anomalies\nit can do kind=projection"),
        (["vae", "input=pictures", "kind=translations"], 2, "VAE does not translate images\nit can do kind=projection"),
        (["vae", "kind=blends"], 2, "VAE does not blend images"),
        (["vae", "input=pictures", "direction=x_to_y"], 2, "direction=x_to_y goes with kind=translations"),
        (["vae", "input=pictures", "tile=64"], 2, "tile=64 goes with kind=translations, not kind=projection"),
        (["vae", "input=pictures", "num_samples=2"], 2, "num_samples=2 goes with kind=completions, not kind=proj"),
        (["translator", "input=pictures", "steps=9"], 2, "steps=9 goes with kind=projection, not kind=translations"),
        (["vae", "input=pictures", "output=-"], 2, "output=- writes one translation or blend to standard output"),
        (["vae", "input=pictures", "precision=bf16-mixed"], 2, "precision=bf16-mixed goes with kind=translations"),
        (["translator", "input=pictures", "direction=back"], 2, "set direction=x_to_y or direction=y_to_x, or leave"),
        (["translator", "input=pictures", "source=pictures"], 2, "source=pictures goes with kind=blends, not kind=tr"),
        (["translator", "input=pictures", "output=-"], 2, "output=- is one image, but 2 are given: name a folder"),
        (["translator", "input=pictures", "tile=8"], 2, "tile=8"),
        (["translator", "input=pictures", "mask=lower"], 2, "CycleGAN takes none; leave the word out\nmask= goes with"),
        (["translator", "input=pictures/*.tif"], 3, "input=pictures/*.tif: no image is called like that\nfound"),
        (["pairs", "input=pictures"], 2, "CoGAN was trained on items of 1 x 28 x 28 and draws 1 x 28 x 56"),
        (["points", "input=pictures"], 2, "kind=projection is of single images; WGANGP was trained on items of 2"),
        (["vae", "input=nowhere"], 3, "input=nowhere: there is no such file or folder"),
        (["vae", "input=nothing"], 3, "input=nothing: the folder has no image in it"),
        (["vae", "input=bad"], 3, "no image can be used:\n  empty.png is empty"),
        (["vae"], 2, "input must be given"),
        (["vae", "input=pictures", "output=damaged"], 4, "is not empty, and nothing of yours is overwritten"),
        (["vae", "input=pictures", "output=rows.csv"], 4, "output=rows.csv is a file: name a folder"),
        (["nowhere", "input=pictures"], 4, "'nowhere' is not a run"),
    ],
)
def test_refusals(folder: Path, words: list[str], code: int, message: str) -> None:
    found, output = genlab("apply", *words, folder=folder)
    assert message in output
    assert found == code
    assert "Traceback" not in output


def test_edits_of_a_folder(folder: Path) -> None:
    words = ("input=pictures", "output=edited", "attributes=[glasses,no_smile]", "json=true")
    code, output = genlab("apply", "editor", *words, folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert about["kind"] == "edits"
    expected = {"colour-edited.png", "grey-edited.png", "edits.csv"}
    assert set(about["files"]) == {path.name for path in (folder / "edited").iterdir()} == expected
    assert all(0 <= row["change"] <= 2 for row in about["values"])


@pytest.mark.parametrize(
    ("run", "words", "sentence"),
    [
        ("editor", [], "kind=edits: what is to change? attributes=[long_hair]"),
        ("editor", ["kind=edits"], "kind=edits: what is to change? attributes=[long_hair]"),
        ("editor", ["attributes=[hat]"], "attributes=[hat]: no attribute 'hat'"),
        ("editor", ["kind=projection", "attributes=[glasses]"], "attributes=[glasses] go with kind=edits"),
        ("vae", ["attributes=[glasses]"], "kind=edits: VAE edits no attributes"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(folder: Path, run: str, words: list[str], sentence: str) -> None:
    code, output = genlab("apply", run, "input=pictures", *words, folder=folder)
    assert code == 2
    assert sentence in output


def test_translations_of_a_folder(folder: Path) -> None:
    words = ("input=pictures", "output=translated", "direction=y_to_x", "sheet=html", "tile=32", "json=true")
    code, output = genlab("apply", "translator", *words, folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert (about["kind"], about["folder"], about["left_out"]) == ("translations", "translated", [])
    assert set(about["files"]) == {"colour.png", "grey.jpg", "translations.html"}
    assert about["values"] == [
        {"file": "colour.png", "output": "colour.png", "width": 30, "height": 40},
        {"file": "grey.jpg", "output": "grey.jpg", "width": 16, "height": 16},
    ]
    for row in about["values"]:
        with Image.open(folder / "translated" / row["output"]) as image:
            assert (image.mode, image.size) == ("RGB", (row["width"], row["height"]))


def test_the_usual_place_of_translations_names_the_direction(folder: Path) -> None:
    code, output = genlab("apply", "translator", "input='pictures/c*.png'", folder=folder)
    assert code == 0, output
    assert "CycleGAN, kind=translations, of checkpoint 'last', step 4" in output
    assert "1 image written to the folder translator/applied/translations-x_to_y-last-pictures" in output
    assert (folder / "translator/applied/translations-x_to_y-last-pictures/colour.png").is_file()


def test_standard_input_to_standard_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(folder)
    given = io.BytesIO((folder / "pictures" / "colour.png").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(given))
    assert cli.main(["apply", "translator", "input=-", "output=-"]) == 0
    with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as image:
        assert (image.format, image.size) == ("PNG", (30, 40))
    _, output = genlab("apply", "translator", "input=pictures/colour.png", "output=alone.png", folder=folder)
    assert "1 image written to alone.png" in output
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"no image")))
    assert cli.main(["apply", "translator", "input=-", "output=-"]) == 3
    captured = capfdbinary.readouterr()
    assert captured.out == b""
    assert b"stdin is no image that Pillow can read" in captured.err


def test_a_translator_is_not_sampled_but_applied(folder: Path) -> None:
    code, output = genlab("sample", "translator", folder=folder)
    assert code == 2
    assert "CycleGAN draws no samples, it translates images" in output
    assert "genlab apply translator input=FILE_OR_FOLDER" in output


def test_an_apply_that_was_broken_off_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "applied").mkdir()
    (tmp_path / "applied" / "a-edited.png").touch()
    assert folder_for(None, tmp_path / "applied") == tmp_path / "applied"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(RunError, match="is not empty, and nothing of yours is overwritten"):
        folder_for(None, tmp_path / "mine")
