"""Which pictures are pairs or of which domain, and what is said when a folder is laid out otherwise."""

from pathlib import Path

import pytest

from genlab.datasets.pair_layouts import EXPECTED_DOMAINS, EXPECTED_PAIRS, find_domains, find_pairs
from genlab.errors import DataError


def tree(folder: Path, *files: str) -> Path:
    """Empty files below a folder; a name that ends with ``/`` is a folder."""
    for file in files:
        path = folder / file
        (path if file.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not file.endswith("/"):
            path.touch()
    return folder


def refusal(find: object, folder: Path) -> str:
    assert callable(find)
    with pytest.raises(DataError) as caught:
        find(folder)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_pictures_side_by_side_without_and_with_parts(tmp_path: Path) -> None:
    flat = find_pairs(tree(tmp_path / "flat", "2.JPG", "1.png", "notes.txt"))
    assert flat.side_by_side
    assert flat.parts == {"train": (["1.png", "2.JPG"], ["1.png", "2.JPG"])}
    assert flat.ignored == ["notes.txt"]
    parted = find_pairs(tree(tmp_path / "parts", "train/1.jpg", "val/2.jpg", "test/3.jpg", "extra/4.jpg"))
    assert parted.side_by_side
    assert {part: files[0] for part, files in parted.parts.items()} == {
        "train": ["train/1.jpg"],
        "validation": ["val/2.jpg"],
        "test": ["test/3.jpg"],
    }
    assert parted.ignored == ["extra/"]


@pytest.mark.parametrize("places", [("A", "B"), ("train/A", "train/B"), ("A/train", "B/train")])
def test_partners_have_equal_names_whatever_their_suffixes(places: tuple[str, str], tmp_path: Path) -> None:
    a, b = places
    layout = find_pairs(tree(tmp_path, f"{a}/2.png", f"{a}/10.png", f"{b}/10.jpg", f"{b}/2.jpg"))
    assert not layout.side_by_side
    assert layout.parts == {"train": ([f"{a}/10.png", f"{a}/2.png"], [f"{b}/10.jpg", f"{b}/2.jpg"])}


def test_two_domains_with_and_without_a_test(tmp_path: Path) -> None:
    layout = find_domains(tree(tmp_path, "trainA/x.png", "trainB/y.png", "trainB/z.png", "old/1.png"))
    assert layout.parts == {"train": (["trainA/x.png"], ["trainB/y.png", "trainB/z.png"])}
    assert layout.ignored == ["old/"]
    tree(tmp_path, "testA/1.png", "testB/1.png", "testB/.hidden.png")
    assert find_domains(tmp_path).parts["test"] == (["testA/1.png"], ["testB/1.png"])


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["trainA/1.png"], "has no trainB"),
        (["a/1.png", "b/1.png"], "has no trainA and no trainB"),
        (["trainA/1.png", "trainB/"], "has no pictures in trainB"),
        (["trainA/1.png", "trainB/1.txt"], "has no pictures in trainB"),
        (["trainA/1.png", "trainB/1.png", "testB/1.png"], "has no testA beside testB"),
    ],
)
def test_a_wrong_layout_of_domains_is_drawn_beside_the_right_one(files: list[str], what: str, tmp_path: Path) -> None:
    message = refusal(find_domains, tree(tmp_path, *files))
    assert message.startswith(f"{tmp_path} {what}\n{EXPECTED_DOMAINS}\nfound\n  {tmp_path.name}/\n")
    assert message.endswith("\nmend it, or set another with dataset.path=FOLDER")


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["A/1.png"], "has no B"),
        (["train/A/1.png"], "has no train/B"),
        (["train/A/1.png", "train/B/1.png", "val/1.png"], "has no val/A and no val/B"),
        (["test/1.png"], "has no train"),
        (["A/train/1.png", "B/1.png"], "has train in only one of A and B"),
        (["A/val/1.png", "B/val/1.png"], "has no A/train"),
        (["A/1.png", "B/"], "has no pictures in B"),
        (["x/1.png"], "has no pictures in it"),
        (["train/1.png", "val/"], "has no pictures in val"),
        (["trainA/1.png", "trainB/1.png"], "has two domains without pairs, for dataset=unpaired_folder"),
    ],
)
def test_a_wrong_layout_of_pairs_is_drawn_beside_the_right_one(files: list[str], what: str, tmp_path: Path) -> None:
    message = refusal(find_pairs, tree(tmp_path, *files))
    assert message.startswith(f"{tmp_path} {what}\n{EXPECTED_PAIRS}\nfound\n  {tmp_path.name}/\n")


@pytest.mark.parametrize("find", [find_pairs, find_domains])
def test_a_missing_folder_shows_what_is_there_instead(find: object, tmp_path: Path) -> None:
    tree(tmp_path, "pictures/1.png")
    assert refusal(find, tmp_path / "picture") == (
        f"there is no folder {tmp_path}/picture\nfound\n  {tmp_path.name}/\n"
        "  └── pictures/\n      └── 1.png\nset it with dataset.path=FOLDER"
    )
    (tmp_path / "file").touch()
    assert refusal(find, tmp_path / "file").startswith(f"{tmp_path}/file is a file, not a folder of images\n")


def test_the_first_ten_pictures_without_partners_are_named(tmp_path: Path) -> None:
    only_a = [f"train/A/{number:02}.png" for number in range(8)]
    only_b = [f"train/B/x{number}.jpg" for number in range(4)]
    message = refusal(find_pairs, tree(tmp_path, "train/A/same.png", "train/B/same.jpg", *only_a, *only_b))
    lines = message.splitlines()
    assert lines[0] == f"{tmp_path}: 12 pictures without a partner (train/A has 9 and train/B 5)"
    assert lines[1:3] == [
        "  train/A/00.png: nothing of the name '00' in train/B",
        "  train/B/x0.jpg: nothing of the name 'x0' in train/A",
    ]
    assert lines[8:12] == [
        "  train/B/x3.jpg: nothing of the name 'x3' in train/A",
        "  train/A/04.png: nothing of the name '04' in train/B",
        "  train/A/05.png: nothing of the name '05' in train/B",
        "  … and 2 more",
    ]
    assert lines[12].startswith("give both pictures of a pair one name")
    assert len(lines) == 13


def test_two_pictures_of_one_name_are_no_partners(tmp_path: Path) -> None:
    message = refusal(find_pairs, tree(tmp_path, "A/1.jpg", "A/1.png", "B/1.png"))
    assert "\n  A/1.png: has the name of A/1.jpg\n" in message
