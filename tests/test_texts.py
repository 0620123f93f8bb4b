"""Texts of models: their array, their file, and the sentences that are rewritten."""

from pathlib import Path

import pytest
import torch

from genlab.datasets.text import TextSequences
from genlab.errors import DataError
from genlab.randomness import own_generators
from genlab.texts import blocks, code_points, held_out_sentences


def test_code_points_of_texts_of_different_lengths() -> None:
    assert code_points(["ab", "", "é"]).tolist() == [[97, 98], [0, 0], [233, 0]]


def test_blocks_have_numbers_and_what_they_were_made_of() -> None:
    assert blocks(["one\ntwo", "three"], []) == "--- 0000\none\ntwo\n--- 0001\nthree\n"
    assert blocks(["new"], ["old"]) == "--- 0000\nold\n=> new\n"


def test_the_nth_generator_is_the_same_however_many_there_are() -> None:
    few, many = (own_generators(count, torch.Generator().manual_seed(5)) for count in (2, 7))
    first, second = ([torch.rand(3, generator=own) for own in some[:2]] for some in (few, many))
    assert torch.equal(torch.stack(first), torch.stack(second))
    assert not torch.equal(first[0], first[1])


def test_held_out_sentences_are_spread_over_the_last_part(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"In this one we have the number {number}. " for number in range(100)), encoding="utf-8")
    dataset = TextSequences("text", "words", (10,), 999, 2, 0, 50, seed=0, path=str(path))
    found = held_out_sentences(dataset, 3)
    numbers = [int(sentence.removeprefix("In this one we have the number ").removesuffix(".")) for sentence in found]
    assert numbers[0] > 50
    assert numbers[1] - numbers[0] == numbers[2] - numbers[1] > 5
    with pytest.raises(DataError, match=r"(?s)'text' has 43 held-out sentences of 8 words and marks, 60 are"):
        held_out_sentences(dataset, 60)
