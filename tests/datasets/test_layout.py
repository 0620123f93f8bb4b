"""Which files a folder of images holds, and that the expected and the found tree are drawn when it is wrong."""

import os
from pathlib import Path

import pytest

from genlab.datasets.layout import draw, find_images, image_suffixes, nearest_folder
from genlab.errors import DataError


def tree(folder: Path, *files: str) -> Path:
    """Empty files below a folder; a name that ends with ``/`` is a folder."""
    for file in files:
        path = folder / file
        (path if file.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not file.endswith("/"):
            path.touch()
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        find_images(folder)
    return str(caught.value)


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    layout = find_images(tree(tmp_path, "b.png", "a.JPG", "c.webp", "notes.txt", "Thumbs.db"))
    assert layout.files == ["a.JPG", "b.png", "c.webp"]
    assert (layout.labels, layout.classes) == ([0, 0, 0], [])
    assert layout.ignored == ["Thumbs.db", "notes.txt"]


def test_sub_folders_are_classes_however_deep_their_images_lie(tmp_path: Path) -> None:
    layout = find_images(tree(tmp_path, "dog/2.PNG", "cat/deep/er/1.png", "cat/0.png", "dog/list.csv"))
    assert layout.files == ["cat/0.png", "cat/deep/er/1.png", "dog/2.PNG"]
    assert (layout.labels, layout.classes) == ([0, 0, 1], ["cat", "dog"])
    assert layout.ignored == ["dog/list.csv"]


def test_hidden_files_and_folders_are_not_looked_into(tmp_path: Path) -> None:
    layout = find_images(tree(tmp_path, "a.png", ".b.png", ".cache/c.png", "__MACOSX/d.png"))
    assert (layout.files, layout.ignored) == (["a.png"], [])


def test_links_are_followed_and_rings_of_links_end(tmp_path: Path) -> None:
    tree(tmp_path, "elsewhere/1.png", "data/cat/0.png", "data/dog/2.png")
    (tmp_path / "data/cat/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/cat/ring").symlink_to(tmp_path / "data/cat")
    (tmp_path / "data/fox").symlink_to(tmp_path / "elsewhere")
    layout = find_images(tmp_path / "data")
    assert layout.files == ["cat/0.png", "cat/more/1.png", "dog/2.png", "fox/1.png"]
    assert layout.classes == ["cat", "dog", "fox"]


def test_names_that_are_not_utf_8_are_names(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert find_images(tree(tmp_path, name)).files == [name]


def test_images_are_known_by_about_a_hundred_suffixes() -> None:
    assert {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"} <= image_suffixes()
    assert not {".pdf", ".mp4", ".mpg", ".txt"} & image_suffixes()


def test_a_missing_folder_shows_what_is_there_instead(tmp_path: Path) -> None:
    tree(tmp_path, "photos/1.png", "photos/2.png")
    assert refusal(tmp_path / "fotos" / "2024") == (
        f"there is no folder {tmp_path}/fotos/2024\n"
        "found\n"
        f"  {tmp_path.name}/\n"
        "  └── photos/\n"
        "      ├── 1.png\n"
        "      └── 2.png\n"
        "set it with dataset.path=FOLDER"
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    message = refusal(tree(tmp_path, "a.png") / "a.png")
    assert message == f"{tmp_path}/a.png is a file, not a folder of images\nset it with dataset.path=FOLDER"


def test_an_empty_folder_draws_what_is_expected_and_what_is_found(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path} has no images in it\n"
        "expected either                 or\n"
        "  FOLDER/                         FOLDER/\n"
        "  ├── any name.png                ├── a class/\n"
        "  ├── another.jpg                 │   ├── any name.png\n"
        "  └── …                           │   └── …\n"
        "                                  └── another class/\n"
        "                                      └── …\n"
        "found\n"
        f"  {tmp_path.name}/  (empty)"
    )


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["readme.md", "cat/list.txt"], "has no images in it"),
        (["0.png", "cat/1.png"], "has images both in it and in its sub-folders"),
        (["cat/1.png", "dog/", "fox/notes.txt"], "has classes without images: dog, fox"),
        (["train/cat/1.png", "test/cat/2.png"], "has parts of a data set where classes are expected"),
        (["train/1.png", "val/2.png"], "take dataset.path="),
    ],
)
def test_a_wrong_layout_draws_both_trees(files: list[str], what: str, tmp_path: Path) -> None:
    message = refusal(tree(tmp_path, *files))
    assert message.startswith(f"{tmp_path} has ")
    assert what in message.splitlines()[0]
    assert "expected either" in message
    drawn = message.partition("\nfound\n")[2]
    assert all(part in drawn for file in files for part in file.rstrip("/").split("/")[:2])


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert find_images(tree(tmp_path, "train/1.png", "ship/2.png")).classes == ["ship", "train"]


def test_a_large_folder_is_drawn_small(tmp_path: Path) -> None:
    tree(tmp_path, *(f"class {label}/{item}.png" for label in range(9) for item in range(5)), "a.csv", ".hidden")
    drawn = draw(tmp_path).splitlines()
    assert len(drawn) <= 15
    assert drawn[1:5] == ["  ├── class 0/", "  │   ├── 0.png", "  │   ├── 1.png", "  │   └── … 3 .png"]
    assert drawn[-1] == "  …"
    assert "hidden" not in "".join(drawn)


def test_many_files_are_counted_by_suffix(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{item:02}.png" for item in range(20)), *(f"{item}.txt" for item in range(30, 35)), "z")
    assert draw(tmp_path).splitlines()[1:] == [
        "  ├── 00.png",
        "  ├── 01.png",
        "  ├── 02.png",
        "  └── … 17 .png, 5 .txt, 1 without suffix",
    ]


def test_the_nearest_folder_of_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(tmp_path, "here.png"))
    assert nearest_folder(Path("not/there")).splitlines()[1:] == [f"  {tmp_path.name}/", "  └── here.png"]


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "cat/1.png")

    def denied(path: str, *rest: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    monkeypatch.setattr(Path, "iterdir", lambda path: iter([path / "cat"]))
    assert refusal(tmp_path) == f"{tmp_path}/cat cannot be read: Permission denied"


def test_the_root_of_all_folders_is_a_slash() -> None:
    assert draw(Path("/")).startswith("  /\n  ├── ")
