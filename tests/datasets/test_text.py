"""One text as sequences: its splits, its vocabulary, and everything that a file is wrong with, by its message."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from genlab.config import compose
from genlab.datasets.loader import Chosen
from genlab.datasets.text import Sequences, TextSequences, read_embedded, sentences, words
from genlab.errors import DataError, UsageError
from genlab.networks.vocabulary import UNKNOWN


def made(path: Path | None, **changes: Any) -> TextSequences:
    recipe: dict[str, Any] = {"unit": "characters", "data_shape": (4,), "vocabulary_size": 9, "batch_size": 2}
    recipe |= {"num_validation": 1, "num_test": 1, "seed": 0, "path": None if path is None else str(path)}
    return TextSequences("text", **recipe | changes)


def loaded(path: Path | None, **changes: Any) -> TextSequences:
    dataset = made(path, **changes)
    dataset.setup()
    return dataset


def stretch(dataset: TextSequences, split: str) -> Sequences:
    source = dataset.sources[split]
    assert isinstance(source, Sequences)
    return source


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("abcabcabcabd" + "abXa" + "acbb" + "ab", encoding="utf-8")
    return path


def test_the_embedded_text_is_the_well_known_one() -> None:
    text = read_embedded("tiny_shakespeare")
    assert len(text) == 1_115_394
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n")
    assert len(set(text)) == 65
    assert text.count("\n") == 40_000
    assert Counter(text).most_common(3) == [(" ", 169_892), ("e", 94_611), ("t", 67_009)]


@pytest.mark.parametrize(
    ("name", "sizes", "size"),
    [
        ("tiny_shakespeare", {"train": 7_914, "validation": 400, "test": 400}, 66),
        ("tiny_shakespeare_words", {"train": 3_690, "validation": 200, "test": 200}, 11_713),
    ],
)
def test_the_embedded_sets(name: str, sizes: dict[str, int], size: int) -> None:
    recipe = compose("train", ["model=vae", f"dataset={name}"]).config["dataset"]
    dataset = TextSequences(**{key: value for key, value in recipe.items() if key != "_target_"})
    assert dataset.check() == []
    assert dataset.sizes() == sizes
    assert len(dataset.vocabulary) == size


def test_the_splits_are_one_after_another_and_what_is_left_over_is_not_used(file: Path) -> None:
    dataset = loaded(file)
    assert dataset.sizes() == {"train": 3, "validation": 1, "test": 1}
    assert [stretch(dataset, split).text for split in dataset.sources] == ["abcabcabcabd", "abXa", "acbb"]
    batches = [*dataset.train_dataloader()]
    assert batches[0].tokens.shape == (2, 4)
    assert batches[0].tokens.dtype == torch.int64
    rows = torch.cat([batch.tokens for batch in batches])
    assert sorted(map(tuple, rows.tolist())) == [(1, 2, 3, 1), (2, 3, 1, 2), (3, 1, 2, 4)]


def test_the_vocabulary_is_that_of_the_training_text(file: Path) -> None:
    dataset = loaded(file)
    assert dataset.vocabulary.tokens == [UNKNOWN, "a", "b", "c", "d"]
    assert stretch(dataset, "validation").tokens.tolist() == [1, 2, 0, 1]


def test_only_the_most_frequent_characters_have_a_place_and_a_warning_says_so(file: Path) -> None:
    with pytest.warns(UserWarning, match=r"4 different characters.*2 of them, 0\.33 of the text, are unknown to"):
        dataset = loaded(file, vocabulary_size=3)
    assert dataset.vocabulary.tokens == [UNKNOWN, "a", "b"]
    assert stretch(dataset, "train").tokens.tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_words_are_in_lower_case_and_each_three_neighbours_are_in_one_sequence(tmp_path: Path) -> None:
    text = "The cat's tail, the DOG’s — it isn't \n 'tis. " * 7
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert words(text)[:12] == ["the", "cat's", "tail", ",", "the", "dog’s", "—", "it", "isn't", "'", "tis", "."]
    dataset = loaded(path, unit="words", vocabulary_size=99, data_shape=(5,))
    found: list[tuple[int, ...]] = []
    for split in dataset.sources:
        rows = dataset.sources[split].__getitems__(Chosen(-1, torch.arange(len(dataset.sources[split])))).tokens
        found += [tuple(window.tolist()) for row in rows for window in row.unfold(0, 3, 1)]
    numbers = dataset.vocabulary.numbers(words(text))
    every = [tuple(window.tolist()) for window in numbers.unfold(0, 3, 1)]
    assert found == every[: len(found)]
    assert len(every) - len(found) < 3
    assert words(stretch(dataset, "test").text)[:5] == [
        dataset.vocabulary.tokens[number] for number in stretch(dataset, "test").tokens[:5].tolist()
    ]


def test_sentences_are_whole() -> None:
    text = "of it. Who is\nthere? Nay, answer me!\n\nALL:\nSpeak. And the"
    assert sentences(text, 1) == ["Who is there?", "Nay, answer me!", "ALL: Speak."]
    assert sentences(text, 5) == ["Nay, answer me!"]


def test_the_fingerprint_knows_the_text_and_the_unit(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(file.read_text().replace("X", "Y"), encoding="utf-8")
    prints = [loaded(file).fingerprint(), loaded(other).fingerprint()]
    file.write_text("a b c d e f g h", encoding="utf-8")
    prints += [
        loaded(file, unit=unit, num_validation=0, batch_size=1).fingerprint() for unit in ("characters", "words")
    ]
    assert len(set(prints)) == 4


def test_line_ends_and_a_byte_order_mark_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffab\r\nab\nab\r\nab\nab\n".encode())
    assert loaded(path, data_shape=(3,)).vocabulary.tokens == [UNKNOWN, "\n", "a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"(?s)text\.txt is not there\nfound\n.*set it with dataset\.path=FILE"),
        (b"", r"text\.txt is empty"),
        (b" \n\n", r"text\.txt is empty"),
        (b"ab\xff", r"text\.txt is not UTF-8 text \(byte 2\): save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        loaded(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder, not a file"):
        loaded(tmp_path)


def test_a_file_must_be_named() -> None:
    with pytest.raises(UsageError, match=r"'text' needs a file of text in UTF-8: dataset\.path=FILE"):
        made(None)


def test_a_text_with_too_few_sequences_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)22 characters, 5 sequences of 4: .*num_test=4 leaves none to train on"):
        loaded(file, num_test=4)
    with pytest.raises(UsageError, match=r"3 training items, fewer than one batch of 4"):
        loaded(file, batch_size=4)
    file.write_text("a", encoding="utf-8")
    with pytest.raises(UsageError, match=r"1 characters, 0 sequences of 4"):
        loaded(file)
