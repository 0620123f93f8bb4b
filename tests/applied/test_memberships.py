"""To which class or component images and rows belong, as ``genlab apply`` writes it; and rows drawn as a table."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from child import genlab
from conftest import composed
from torchvision.utils import save_image

from genlab.config import build
from genlab.ending import uses_of
from genlab.loaded_run import load_model

CENTRES = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 5.0], [0.0, 10.0, -5.0]])
COUNTS = (20, 60, 40)
COLUMNS = ["length", "width, in mm", "size"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of three far clusters of unequal sizes, and a classifier of digits with some to classify."""
    folder = tmp_path_factory.mktemp("memberships")
    noise = np.random.default_rng(0).normal(size=(sum(COUNTS), 3))
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(CENTRES.repeat(COUNTS, 0) + noise).tolist()])
    rows = ["dataset=vector_file", "dataset.path=rows.csv", "dataset.batch_size=60"]
    runs = {
        "gmm": ["model=gmm", "model.num_components=3", *rows],
        "vi_gmm": ["model=vi_gmm", "model.num_components=3", *rows],
        "bayes": ["model=bayes_classifier", "dataset=optdigits"],
    }
    for name, words in runs.items():
        plain = ("trainer.enable_progress_bar=false", "callbacks=none", "threads=1")
        code, output = genlab("train", *words, f"run_dir={name}", *plain, folder=folder)
        assert code == 0, output
    (folder / "digits").mkdir()
    for number, image in enumerate(some_digits()):
        save_image((image + 1) / 2, folder / "digits" / f"{number:02}.png")
    return folder


def some_digits() -> torch.Tensor:
    dataset: Any = build(composed("dataset=optdigits")["dataset"], "dataset")
    dataset.setup()
    return next(iter(dataset.test_dataloader())).images[:30]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("run", ["gmm", "vi_gmm"])
def test_far_clusters_are_told_apart_the_largest_first(folder: Path, run: str) -> None:
    code, output = genlab("apply", run, "input=rows.csv", f"output=of_{run}", "json=true", folder=folder)
    assert code == 0, output
    about = json.loads(output)
    assert (about["kind"], about["files"], about["left_out"]) == ("components", ["components.csv"], [])
    rows = table(folder / f"of_{run}" / "components.csv")
    assert list(rows[0]) == ["row", *list(about["values"][0])[1:], "component_0", "component_1", "component_2"]
    # The clusters have 20, 60 and 40 rows, and the heaviest is component 0.
    assert [int(row["component"]) for row in rows] == [2] * 20 + [0] * 60 + [1] * 40
    assert [row["row"] for row in rows] == [str(number) for number in range(120)]
    shares = np.array([[float(row[f"component_{number}"]) for number in range(3)] for row in rows])
    np.testing.assert_allclose(shares.sum(1), 1)
    assert [float(row["probability"]) for row in rows] == shares.max(1).tolist()
    model: Any = load_model(str(folder / run)).model
    items = torch.from_numpy(np.loadtxt(folder / "rows.csv", delimiter=",", skiprows=1).astype(np.float32))
    found = [value["log_likelihood"] for value in about["values"]]
    np.testing.assert_allclose(found, model.log_likelihood(items), rtol=1e-5)


def test_components_are_numbered_as_their_means_are_shown(folder: Path) -> None:
    assert genlab("sample", "gmm", "kind=means", "output=means", folder=folder)[0] == 0
    assert genlab("apply", "gmm", "input=means/samples.csv", "output=of_means", folder=folder)[0] == 0
    assert [row["component"] for row in table(folder / "of_means" / "components.csv")] == ["0", "1", "2"]


def test_rows_are_drawn_as_a_table_with_the_names_of_its_columns(folder: Path) -> None:
    code, output = genlab("sample", "gmm", "num_samples=7", "output=drawn", folder=folder)
    assert code == 0, output
    with (folder / "drawn" / "samples.csv").open(newline="") as file:
        names, *rows = csv.reader(file)
    assert names == COLUMNS
    drawn = np.load(folder / "drawn" / "samples.npz")["samples"]
    np.testing.assert_array_equal(np.array(rows, dtype=np.float32), drawn)
    (folder / "rows.csv").rename(folder / "moved.csv")
    try:
        assert genlab("sample", "gmm", "num_samples=7", "output=again", folder=folder)[0] == 0
    finally:
        (folder / "moved.csv").rename(folder / "rows.csv")
    lines = (folder / "drawn" / "samples.csv").read_text().splitlines()
    assert (folder / "again" / "samples.csv").read_text().splitlines() == lines[1:]


def test_images_are_classified_by_bayes_rule(folder: Path) -> None:
    code, output = genlab("apply", "bayes", "input=digits", "output=classes", "json=true", folder=folder)
    assert code == 0, output
    model: Any = load_model(str(folder / "bayes")).model
    expected = model.log_posterior(some_digits())
    about = json.loads(output)
    assert about["kind"] == "classes"
    assert [int(value["class"]) for value in about["values"]] == expected.argmax(1).tolist()
    rows = table(folder / "classes" / "classes.csv")
    assert list(rows[0])[4:] == [str(digit) for digit in range(10)]
    found = torch.tensor([[float(row[str(digit)]) for digit in range(10)] for row in rows], dtype=torch.float64)
    torch.testing.assert_close(found.sum(1), torch.ones(30, dtype=torch.float64))
    torch.testing.assert_close(found, expected.exp(), rtol=0, atol=0.05)  # the files have 256 levels


def test_of_many_items_the_terminal_shows_how_many_are_where(folder: Path) -> None:
    _, output = genlab("apply", "gmm", "input=rows.csv", folder=folder)
    lines = [line.split() for line in output.splitlines()]
    assert ["component", "rows", "mean", "probability"] in lines
    assert [line[:2] for line in lines if line[0].isdigit()] == [["0", "60"], ["1", "40"], ["2", "20"]]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["gmm", "input=digits"], 2, "this model is of rows: name one file of them, input=FILE.csv"),
        (["gmm", "input=digits/00.png"], 3, "00.png is none of .npy, .npz, .csv and .tsv"),
        (
            ["gmm", "input=two.csv"],
            3,
            "two.csv has 2 columns, the model was trained on 3 of 'vector_file'\ngive a file",
        ),
        (["gmm", "input=rows.csv", "output=labels.csv"], 2, "output=labels.csv: the table has a name of its own; name"),
        (["gmm", "input=names.csv"], 3, "names.csv has no rows"),
        (["gmm", "input=others.csv"], 3, "others.csv has the columns a, b, c; the model was trained on length, "),
        (["gmm", "input=holes.csv"], 3, "1 of 3 values, in 1 of 1 rows; the first is in row 0"),
        (["gmm", "input=rows.csv", "kind=classes"], 2, "GMM does not classify\nit can do kind=components"),
        (
            ["bayes", "input=digits", "kind=components"],
            2,
            "BayesClassifier is no mixture of Gaussians\nit can do kind=cl",
        ),
    ],
)
def test_refusals(folder: Path, words: list[str], code: int, message: str) -> None:
    (folder / "two.csv").write_text("1,2\n")
    (folder / "names.csv").write_text("a,b,c\n")
    (folder / "others.csv").write_text("a,b,c\n1,2,3\n")
    (folder / "holes.csv").write_text("1,,3\n")
    given = [] if any(word.startswith("output=") for word in words) else ["output=refused"]
    found, output = genlab("apply", *words, *given, folder=folder)
    assert message in output
    assert found == code
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=bayes_classifier"], ("classify", "genlab apply runs/x input=FILE_OR_FOLDER")),
        (["model=gmm"], ("components", "genlab apply runs/x input=FILE_OR_FOLDER")),
        (
            ["model=gmm", "dataset=vector_file", "dataset.path='my rows.csv'"],
            ("components", "genlab apply runs/x input='my rows.csv'"),
        ),
    ],
)
def test_a_training_ends_with_what_can_be_done(words: list[str], expected: tuple[str, str]) -> None:
    assert uses_of(composed(*words), "runs/x") == [("sample", "genlab sample runs/x"), expected]
