"""What ``genlab datasets`` lists, and what ``genlab datasets check`` finds."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import genlab

from genlab import cli
from genlab.commands.datasets import batch_name, describe
from genlab.config.places import options


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of five images each."""
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    return tmp_path


def spoil(folder: Path) -> None:
    (folder / "cat" / "1.png").write_bytes(b"")
    (folder / "dog" / "3.png").write_text("hello", encoding="utf-8")


def check(folder: Path, *words: str) -> list[str]:
    return ["datasets", "check", "dataset=image_folder", f"dataset.path={folder}", *words]


def test_the_list_shows_every_data_set(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == options("dataset")
    mnist = next(line for line in lines if line.split()[0] == "mnist")
    assert mnist.split()[1:3] == ["LabelledImages", "1x28x28"]
    assert mnist.strip().endswith("All of MNIST: 60,000 + 10,000 handwritten digits, 28x28 grey")


def test_a_narrow_list_loses_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert cli.main(["datasets", "list"]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    assert ".csvor.tsvfile:dataset.path=FILE" in "".join(out.split())


def test_the_name_of_a_data_set_alone_is_told_how_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets", "check", "optdigits"]) == 2
    assert capsys.readouterr().err == "genlab: 'optdigits' is not understood; did you mean dataset=optdigits?\n"


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets", "json=true"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == options("dataset")
    assert all(one["summary"] and one["batch"] for one in listed)
    assert [one["name"] for one in listed if not one["data_shape"]] == ["vector_file"]
    assert listed[-1] == {
        "name": "vector_file",
        "summary": "Your own rows of numbers, one .npy, .npz, .csv or .tsv file: dataset.path=FILE",
        "batch": "Vectors",
        "data_shape": None,
    }


def test_listing_imports_no_data_set() -> None:
    program = (
        "import sys; from genlab.commands.datasets import main; main('list', {}, None, 16, 0, False)\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'genlab.datasets.base')))"
    )
    done = genlab(python=program)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optdigits" in done.stdout


def test_a_users_own_data_set_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "ours.yaml").write_text(
        "# Our stars\n_target_: our_stars.Stars\nname: ours\n", encoding="utf-8"
    )
    (tmp_path / "our_stars.py").write_text("class Stars(Other):\n    batch_type = Galaxies\n", encoding="utf-8")
    monkeypatch.setenv("GENLAB_CONFIG_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert describe("ours") == {"name": "ours", "summary": "Our stars", "batch": "Galaxies", "data_shape": None}
    assert "our_stars" not in sys.modules


@pytest.mark.parametrize("line", ["batch_type = Stars", "batch_type: ClassVar[Any] = Stars"])
def test_a_batch_type_is_read_with_and_without_an_annotation(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"class Sky(Other):\n    depth: int\n    batch_size = 3\n    {line}\n"
    (tmp_path / "skies.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert batch_name("skies.Sky") == "Stars"


@pytest.mark.parametrize(
    "target", ["nowhere.Set", "genlab.datasets.nowhere.Set", "", "genlab.errors.DataError", "sys.x"]
)
def test_a_class_that_does_not_say_has_no_batch(target: str) -> None:
    assert batch_name(target) == ""


def test_a_good_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(check(folder, "dataset.data_shape=[1,8,8]", "dataset.num_validation=3")) == 0
    *lines, fingerprint = capsys.readouterr().out.splitlines()
    assert lines == [
        "image_folder is in order",
        "train        7 items",
        "validation   3 items",
        "shape        1x8x8",
        "classes      2: cat, dog",
    ]
    assert fingerprint.split()[0] == "fingerprint"
    assert len(fingerprint.split()[1]) == 64


def test_a_bad_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder)
    assert cli.main(check(folder)) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"genlab: the data set 'image_folder' has 2 faults in {folder}\n"
        "  cat/1.png is empty (0 bytes)\n"
        "  dog/3.png is no image that Pillow can read\n"
    )


def test_what_is_worth_a_note_is_no_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cat" / "readme.txt").touch()
    assert cli.main(check(folder)) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"note: {folder}: files that are no images by their suffix: 1 (cat/readme.txt)"
    assert second == "image_folder is in order"


def test_the_report_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(check(folder, "json=true", "dataset.data_shape=[3,8,8]")) == 0
    report = json.loads(capsys.readouterr().out)
    fingerprint = report.pop("fingerprint")
    assert len(fingerprint) == 64
    assert report == {
        "name": "image_folder",
        "problems": [],
        "notes": [],
        "sizes": {"train": 10},
        "data_shape": [3, 8, 8],
        "classes": ["cat", "dog"],
    }
    spoil(folder)
    assert cli.main(check(folder, "json=true")) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == ["cat/1.png is empty (0 bytes)", "dog/3.png is no image that Pillow can read"]
    assert report["fingerprint"] is None


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["chek"], 2, "action=chek: expected 'list', 'check' or 'export'"),
        (["check", "dataset=image_folder"], 2, "needs a folder of images: dataset.path=FOLDER"),
        (["check", "dataset=nope"], 2, "no dataset 'nope'"),
        (["check", "dataset=image_folder", "dataset.path=/no/where"], 3, "there is no folder /no/where"),
        (["check", "dataset=optdigits", "dataset.num_validation=2000"], 3, "leaves nothing of the 1437 items"),
    ],
)
def test_what_is_refused(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets", *words]) == code
    assert message in capsys.readouterr().err


def test_an_embedded_set_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets", "check", "dataset=optdigits"]) == 0
    assert capsys.readouterr().out.startswith("optdigits is in order\ntrain        1,237 items\n")


def test_export_writes_what_stands_in_one_place_under_one_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dataset=openmoji", f"output={tmp_path / 'pictures'}", "num_items=3"]
    assert cli.main(["datasets", "export", *words, "json=true"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about == {
        "name": "openmoji",
        "split": "test",
        "folder": str(tmp_path / "pictures"),
        "fields": ["source", "target"],
        "items": 3,
    }
    files = sorted(str(path.relative_to(tmp_path / "pictures")) for path in (tmp_path / "pictures").glob("*/*"))
    assert files == [f"{field}/000{number}.png" for field in ("source", "target") for number in range(3)]
    with Image.open(tmp_path / "pictures" / "source" / "0001.png") as drawing:
        assert drawing.size == (64, 64)
        assert np.ptp(np.asarray(drawing), axis=2).max() == 0  # line art is grey
    assert cli.main(["datasets", "export", *words]) == 2
    assert "must not exist" in capsys.readouterr().err


def test_export_of_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["datasets", "export", "dataset=ring", f"output={tmp_path / 'x'}"]) == 2
    assert "holds no images" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
