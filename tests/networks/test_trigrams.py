"""Tables of counts: what stands between two words, and sums over what is left open."""

import torch

from genlab.networks.trigrams import MAX_WORDS, Trigrams, key


def test_the_largest_number_of_a_word_fits_into_a_key() -> None:
    last = torch.tensor(MAX_WORDS - 1)
    found = key(last, last, last)
    assert found == MAX_WORDS**3 - 1 < torch.iinfo(torch.int64).max


def test_the_words_between_two_others() -> None:
    trigrams = Trigrams()
    trigrams.add(torch.tensor([[1, 5, 2, 9], [1, 7, 2, 9], [1, 5, 2, 8]]))
    words, counts = trigrams.middles(1, 2)
    assert (words.tolist(), counts.tolist()) == ([5, 7], [2, 1])
    assert trigrams.middles(2, 1)[0].tolist() == []
    assert trigrams.pairs_seen(torch.tensor([1, 5, 7, 2]), torch.tensor([2, 9, 9, 1])).tolist() == [3, 1, 1, 0]


def test_marginals_follow_new_counts() -> None:
    trigrams = Trigrams()
    trigrams.add(torch.tensor([[1, 2, 3]]))
    assert trigrams.marginals["middle"][torch.tensor([2, 3])].tolist() == [1, 0]
    trigrams.add(torch.tensor([[1, 2, 3], [4, 2, 3]]))
    assert trigrams.marginals["middle"][torch.tensor([2, 3])].tolist() == [3, 0]
    assert trigrams.marginals["before"][torch.tensor([1, 4, 2])].tolist() == [2, 1, 0]


def test_nothing_counted_is_uniform() -> None:
    one = torch.tensor([1])
    assert torch.equal(Trigrams().estimates(one, one, one, 8), torch.full((1, 5), 1 / 8, dtype=torch.float64))
