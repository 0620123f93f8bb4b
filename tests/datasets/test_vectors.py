"""One file of rows: everything that tables are wrong with, by its message."""

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import composed

from genlab.datasets.tables import columns_of, read_rows
from genlab.datasets.vectors import VectorFile
from genlab.errors import DataError, UsageError

ROWS = np.random.default_rng(0).normal(size=(20, 3))


def vector_file(path: Path | str | None, **changes: Any) -> VectorFile:
    arguments: dict[str, Any] = {
        "name": "vector_file",
        "path": None if path is None else str(path),
        "array": None,
        "data_shape": (3,),
        "batch_size": 5,
        "num_validation": 0,
        "num_test": 0,
        "in_memory": True,
        "seed": 0,
    }
    return VectorFile(**arguments | changes)


def ready(path: Path, **changes: Any) -> VectorFile:
    dataset = vector_file(path, **changes)
    dataset.setup()
    return dataset


def saved(folder: Path, rows: Any) -> Path:
    np.save(folder / "rows.npy", rows)
    return folder / "rows.npy"


def text(folder: Path, content: str | bytes) -> Path:
    (folder / "rows.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / "rows.csv"


def refusal(path: Path, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        ready(path, **changes)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_rows_become_float32_in_the_order_of_seed_and_epoch(tmp_path: Path) -> None:
    dataset = ready(saved(tmp_path, ROWS), num_validation=4, num_test=3)
    assert dataset.sizes() == {"train": 13, "validation": 4, "test": 3}
    loaders = (dataset.train_dataloader(), dataset.val_dataloader(), dataset.test_dataloader())
    seen = torch.cat([batch.vectors for loader in loaders for batch in loader])
    assert seen.dtype == torch.float32
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, ROWS.astype(np.float32).tolist()))
    assert dataset.check() == []


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4", np.int32, np.uint8, np.bool_])
def test_numbers_of_any_kind_are_read(dtype: Any, tmp_path: Path) -> None:
    rows = (np.arange(12).reshape(4, 3) % 5).astype(dtype)
    found, names = read_rows(saved(tmp_path, np.asfortranarray(rows)), None)
    assert np.array_equal(found, rows)
    assert names == ["0", "1", "2"]


def test_an_npz_needs_a_name_only_if_it_has_several_tables(tmp_path: Path) -> None:
    one, two = tmp_path / "one.npz", tmp_path / "two.NPZ"
    np.savez(one, rows=ROWS, labels=np.arange(20), note=np.array("hello"))
    with two.open("wb") as file:
        np.savez(file, a=ROWS, b=-ROWS)
    assert np.array_equal(read_rows(one, None)[0], ROWS)
    assert np.array_equal(read_rows(two, "b")[0], -ROWS)
    with pytest.raises(DataError, match=re.escape("two.NPZ holds a [20, 3], b [20, 3]; say which one has the rows")):
        read_rows(two, None)
    with pytest.raises(DataError, match=r"two\.NPZ has no array 'c', it has a, b: dataset\.array=NAME"):
        read_rows(two, "c")
    with pytest.raises(DataError, match="holds int64 of shape \\[20\\], expected numbers of shape \\[rows, columns\\]"):
        read_rows(one, "labels")


PLAIN = "1,2.5,-3\n4,5e-1,6\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", " , ") + "\n\n  \n",
        "\ufeff" + PLAIN,
        '"1","2.5","-3"\n"4","0.5","6"',
        "\n" + PLAIN,
    ],
)
def test_a_csv_may_be_written_in_many_ways(content: str, tmp_path: Path) -> None:
    rows, names = read_rows(text(tmp_path, content), None)
    assert rows.tolist() == [[1, 2.5, -3], [4, 0.5, 6]]
    assert names == ["0", "1", "2"]


@pytest.mark.parametrize("header", ["x,y y,z", " x , y y ,z", '"x","y y",z', "\ufeffx,y y,z"])
def test_a_line_of_names_is_told_from_numbers(header: str, tmp_path: Path) -> None:
    rows, names = read_rows(text(tmp_path, f"{header}\n{PLAIN}"), None)
    assert (len(rows), names) == (2, ["x", "y y", "z"])


def test_a_nameless_column_of_row_numbers_is_a_column(tmp_path: Path) -> None:
    _, names = read_rows(text(tmp_path, ",x,y\n0,1,2\n1,3,4\n"), None)
    assert names == ["", "x", "y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "rows.csv is empty"),
        ("\n \n", "rows.csv is empty"),
        ("x,y,z\n", "rows.csv has 0 rows; at least 2 are needed"),
        ("1,2,3\n", "rows.csv has 1 row; at least 2 are needed"),
        ("1,2,3\n4,5\n", "rows.csv, line 2: 2 columns, expected 3"),
        ("x,y,z\n1,2,3\n\n4,5,6,7\n", "rows.csv, line 4: 4 columns, expected 3"),
        ("x,y,z\n1,2,3\n4,five,6\n", "rows.csv, line 3, column 'y': 'five' is no number"),
        ("1,2,3\n4,5,x\n", "rows.csv, line 2, column 2 (counted from 0): 'x' is no number"),
        ("x;y;z\n1,5;2;3\n", "rows.csv, line 2, column 'x': '1,5' is no number; with a decimal point: 1.5"),
        (
            "1,5;2,5;3,5\n1;2;3\n",
            "rows.csv has 3 faults:\n  line 1, column 0 (counted from 0): '1,5' is no number; with",
        ),
        (
            "x,y\n1,two\n3\n4,5\n\n6,n/a\n",
            "rows.csv has 3 faults:\n  line 2, column 'y': 'two' is no number\n  line 3: 1 columns, expected 2\n"
            "  line 6, column 'y': 'n/a' is no number",
        ),
        ("x\n" + "a\n" * 14, "rows.csv has 14 faults:\n"),
        ("x\n" + "a\n" * 14, "  and 4 more\ncolumn 'x' holds no number at all: leave it out of the file"),
        ("a,1\nb,2\nc,3\n", "\ncolumn 0 (counted from 0) holds no number at all: leave it out of the file"),
        (
            "1,5;2,5\n1,5;2\n",
            "  line 2, column 0 (counted from 0): '1,5' is no number; with a decimal point: 1.5\nwrite d",
        ),
        ("1\n" + "a\n" * 14, "  line 11, column 0 (counted from 0): 'a' is no number\n  and 4 more"),
        (
            "x,y,z\n1,,3\n4, ,6\n",
            "missing, infinite or too large: 2 of 6 values, in 2 of 2 rows; the first is in row 0",
        ),
        ("x,y,z\n1,2,3\n4,nan,6\n", "row 1 (counted from 0), column 'y': NaN (or an empty cell)"),
        ("1,2,3\n4,5,-inf\n", "row 1 (counted from 0), column '2': infinite"),
        ("1,2,3\n4,1e39,6\n", "column '1': 1e+39, too large for float32"),
        (b"1,2,3\n4,\xff,6\n", "rows.csv is not UTF-8 text (byte 8)"),
        (b"\xff\xfe1\x00,\x00", "rows.csv is not UTF-8 text (byte 0)"),
        (b"1,2,3\n4,\x00,6\n", "rows.csv, line 2, column 1 (counted from 0): '\x00' is no number"),
    ],
)
def test_dirt_in_a_csv_is_named_with_its_place(content: str | bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(text(tmp_path, content))


def test_a_huge_cell_is_no_number(tmp_path: Path) -> None:
    assert "rows.csv, line 1: field larger than field limit" in refusal(text(tmp_path, "x" * 200_000 + ",2,3\n"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[[4, 4, 7], [0, 2, 1]] = value
    message = refusal(saved(tmp_path, rows))
    assert "missing, infinite or too large: 3 of 60 values, in 2 of 20 rows; the first is in row 4" in message
    assert message.endswith("remove these rows or fill the values in")


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_refused(rows: int, tmp_path: Path) -> None:
    assert f"has {rows} row" in refusal(saved(tmp_path, ROWS[:rows]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), "holds float64 of shape [5], expected numbers of shape [rows, columns]"),
        (np.zeros((5, 3, 1)), "holds float64 of shape [5, 3, 1]"),
        (np.float64(3), "holds float64 of shape []"),
        (np.zeros((5, 3), complex), "holds complex128"),
        (np.full((5, 3), "1"), "holds <U1"),
        (np.zeros((5, 3), [("x", float)]), "holds [('x', '<f8')]"),
        (np.zeros((5, 0)), "has no columns"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(array: Any, message: str, tmp_path: Path) -> None:
    assert message in refusal(saved(tmp_path, array))


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "trap.npy", np.array([[Trap(), Trap()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "trap.npz", rows=np.array([[Trap()]], dtype=object))
    for name in ("trap.npy", "trap.npz"):
        assert "holds something other than plain arrays of numbers" in refusal(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kept", [0, 5, 60, 130, -8])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_truncated_files_are_refused(kept: int, suffix: str, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "rows.npz", ROWS)
    path = saved(tmp_path, ROWS).with_suffix(f".{suffix}")
    path.write_bytes(path.read_bytes()[:kept])
    assert f"rows.{suffix} is damaged or holds something other" in refusal(path)


def test_a_flipped_byte_in_a_compressed_file_is_found(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "rows.npz", ROWS)
    data = (tmp_path / "rows.npz").read_bytes()
    for place in range(100, 400, 20):
        (tmp_path / "bad.npz").write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        assert "bad.npz is damaged" in refusal(tmp_path / "bad.npz")


def test_files_that_are_not_there_or_not_of_these_kinds(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text(PLAIN, encoding="utf-8")
    assert refusal(tmp_path / "rows.txt") == f"{tmp_path}/rows.txt is none of .npy, .npz, .csv and .tsv"
    assert refusal(tmp_path) == f"{tmp_path} is a folder, not a file\nset it with dataset.path=FILE"
    assert refusal(tmp_path / "row.csv") == (
        f"{tmp_path}/row.csv is not there\nfound\n  {tmp_path.name}/\n  └── rows.txt\nset it with dataset.path=FILE"
    )
    with pytest.raises(UsageError, match="needs a file of rows"):
        vector_file(None)


def test_an_unreadable_file_is_an_error_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = text(tmp_path, PLAIN)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", denied)
    assert refusal(path) == f"{path} cannot be read (Permission denied)"


def test_another_number_of_columns_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=re.escape("has 3 columns, dataset.data_shape says 2\nset dataset.data_shape=[3]")
    ):
        ready(saved(tmp_path, ROWS), data_shape=(2,))


@pytest.mark.parametrize("content", [PLAIN, "x;y;z\n1;2;3\n", '\n"a, b"\ty\tz\n', "1,2,x\n1,2\n"])
def test_columns_are_counted_in_the_first_line(content: str, tmp_path: Path) -> None:
    assert columns_of(str(text(tmp_path, content)), None) == [3]


def test_columns_of_arrays_are_counted_and_of_what_is_none_there_is_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", a=ROWS, b=ROWS[:, :2])
    assert columns_of(str(saved(tmp_path, ROWS)), None) == [3]
    assert columns_of(str(tmp_path / "rows.npz"), "b") == [2]
    for path, array in (("rows.npz", None), ("rows.npz", "c"), ("nothing.csv", None), ("", None)):
        assert columns_of(str(tmp_path / path), array) == [1]


def test_the_columns_of_a_configuration_are_those_of_its_file_until_they_are_given(tmp_path: Path) -> None:
    words = ["model=gmm", "dataset=vector_file", f"dataset.path={text(tmp_path, PLAIN)}"]
    assert composed(*words)["model"]["data_shape"] == [3]
    assert composed(*words, "dataset.data_shape=[5]")["model"]["data_shape"] == [5]
    assert composed(*words[:2])["dataset"]["data_shape"] == [1]


def test_constant_columns_are_a_warning(tmp_path: Path) -> None:
    path = text(tmp_path, "x,y,z\n1,7,3\n2,7,4\n3,7,5\n")
    with pytest.warns(UserWarning, match=r"1 of 3 columns are constant and say nothing \('y' first\)"):
        ready(path, batch_size=2)


def test_duplicated_rows_are_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="only 20 of 23 rows are distinct"):
        ready(saved(tmp_path, np.concatenate([ROWS, ROWS[:3]])))


def test_good_rows_give_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="error"):
        ready(saved(tmp_path, ROWS))


def test_fewer_rows_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 20 training items, fewer than one batch of 128"):
        ready(saved(tmp_path, ROWS), batch_size=128)


def test_the_fingerprint_follows_the_values_and_not_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, ROWS)
    before = ready(path).fingerprint()
    os.utime(path, (0, 0))
    assert ready(path).fingerprint() == before
    np.savez(tmp_path / "same.npz", ROWS)
    assert ready(tmp_path / "same.npz", num_validation=5, seed=3).fingerprint() == before
    changed = ROWS.copy()
    changed[11, 1] += 1e-3
    assert ready(saved(tmp_path, changed)).fingerprint() != before
    assert ready(saved(tmp_path, ROWS[::-1].copy())).fingerprint() != before
    assert ready(saved(tmp_path, ROWS.reshape(30, 2)), data_shape=(2,)).fingerprint() != before


@pytest.mark.parametrize("split", ["num_validation", "num_test"])
@pytest.mark.parametrize("held", [0, 1, 3, 7, 10])
def test_on_disk_each_row_is_in_one_split_and_training_rows_keep_their_order(
    split: str, held: int, tmp_path: Path
) -> None:
    rows = np.arange(60, dtype=np.float64).reshape(20, 3)
    dataset = ready(saved(tmp_path, rows), in_memory=False, **{split: held})
    train = torch.cat([batch.vectors for batch in dataset.train_dataloader()])
    assert torch.equal(train, train.sort(0).values)
    loaders = [dataset.train_dataloader(), dataset.val_dataloader(), dataset.test_dataloader()]
    seen = torch.cat([batch.vectors for loader in loaders for batch in loader])
    assert np.array_equal(seen.sort(0).values.numpy(), rows.astype(np.float32))
    assert len(seen) - len(train) == held


def test_on_disk_a_resumed_epoch_goes_on_in_the_order_of_the_file(tmp_path: Path) -> None:
    dataset = ready(saved(tmp_path, np.arange(60.0).reshape(20, 3)), in_memory=False)
    dataset.resume_at(2, 1)
    loader = dataset.train_dataloader()
    loader.batch_sampler.set_epoch(2)
    assert [batch.vectors[0, 0].item() for batch in loader] == [15, 30, 45]
    loader.batch_sampler.set_epoch(3)
    assert [batch.vectors[0, 0].item() for batch in loader] == [0, 15, 30, 45]


def test_on_disk_the_same_is_refused_as_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.datasets.vectors.BLOCK_ROWS", 8)
    rows = ROWS.copy()
    rows[13, 1] = np.nan
    assert "the first is in row 13 (counted from 0), column '1': NaN" in refusal(saved(tmp_path, rows), in_memory=False)
    rows[:, 1] = 4
    with pytest.warns(UserWarning, match=r"1 of 3 columns are constant and say nothing \('1' first\)"):
        ready(saved(tmp_path, rows), in_memory=False)
    with pytest.raises(UsageError, match=r"dataset\.in_memory=false reads \.npy files"):
        ready(text(tmp_path, "1,2,3\n" * 9), in_memory=False)
    with pytest.raises(UsageError, match=r"holds out rows once: set dataset\.num_validation=0"):
        ready(saved(tmp_path, ROWS), in_memory=False, num_validation=1, num_test=1)
    with pytest.raises(UsageError, match=r"11 of 20 rows of .* held out: at most half of them"):
        ready(saved(tmp_path, ROWS), in_memory=False, num_test=11)
    (tmp_path / "cut.npy").write_bytes(saved(tmp_path, ROWS).read_bytes()[:-8])
    assert "is damaged" in refusal(tmp_path / "cut.npy", in_memory=False)


def test_on_disk_and_in_memory_have_one_fingerprint(tmp_path: Path) -> None:
    path = saved(tmp_path, ROWS)
    assert ready(path, in_memory=False).fingerprint() == ready(path).fingerprint()
