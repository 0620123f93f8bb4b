"""The article spinner: its probabilities, the fit of its weights, and what it leaves as it is."""

import itertools
import re

import pytest
import torch
from conftest import short_config

from genlab.datasets.text import words
from genlab.errors import UsageError
from genlab.models.article_spinner import ArticleSpinner, neighbours
from genlab.networks.vocabulary import UNKNOWN
from genlab.training import prepare

TEXT = """The cat sat on the mat, the cat lay on the mat, and the dog sat on the mat.
And I saw Romeo. The king saw Juliet, a dog saw Romeo. I saw a cat. The dog ran on the mat.
"""


@pytest.fixture
def spinner() -> ArticleSpinner:
    torch.manual_seed(0)
    model = ArticleSpinner(replace_probability=1.0, tol=0)
    model.begin([UNKNOWN, *sorted(set(words(TEXT)))], TEXT)
    model.trigrams.add(model.vocabulary.numbers(words(TEXT))[None])
    model.weights.copy_(torch.rand(model.weights.shape, dtype=torch.float64))
    model.weights /= model.weights.sum(1, keepdim=True)
    return model


def numbers(model: ArticleSpinner, text: str) -> torch.Tensor:
    return model.vocabulary.numbers(words(text))


@pytest.mark.parametrize("pair", ["the sat", "on mat", "mat .", "zebra zebra", "romeo zebra"])
def test_the_probabilities_of_all_words_between_two_others_sum_to_one(spinner: ArticleSpinner, pair: str) -> None:
    size = len(spinner.vocabulary)
    before, after = (number.expand(size) for number in numbers(spinner, pair))
    values = spinner.log_conditionals(before, torch.arange(size), after)
    assert torch.isfinite(values).all()
    assert values.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_probability_is_the_mixture_of_its_counts(spinner: ArticleSpinner) -> None:
    before, middle, after = (number[None] for number in numbers(spinner, "the cat sat"))
    text = words(TEXT)[1:-1]  # the middles of trigrams
    every = list(zip(words(TEXT), words(TEXT)[1:], words(TEXT)[2:], strict=False))
    pairs = [trigram for trigram in every if (trigram[0], trigram[2]) == ("the", "sat")]
    estimates = [
        1 / len(spinner.vocabulary),
        text.count("cat") / len(text),
        sum(t[:2] == ("the", "cat") for t in every) / sum(t[0] == "the" for t in every),
        sum(t[1:] == ("cat", "sat") for t in every) / sum(t[2] == "sat" for t in every),
        sum(t[1] == "cat" for t in pairs) / len(pairs),
    ]
    assert len(pairs) == 2  # seen once or twice: bucket 1
    expected = spinner.weights[1] @ torch.tensor(estimates, dtype=torch.float64)
    assert spinner.log_conditionals(before, middle, after).exp().item() == pytest.approx(expected.item(), rel=1e-12)


def test_leaving_one_out_is_counting_a_text_without_it() -> None:
    first, second = ArticleSpinner(0.5, 0), ArticleSpinner(0.5, 0)
    once = torch.tensor([[1, 2, 3, 4, 2, 3]])
    first.trigrams.add(torch.cat([once, torch.tensor([[1, 2, 3, 5, 5, 5]])]))
    second.trigrams.add(torch.cat([once[:, 1:], torch.tensor([[2, 3, 5, 5, 5]])], 0))
    second.trigrams.add(torch.tensor([[1, 2, 3]]))
    trigram = torch.tensor([1]), torch.tensor([2]), torch.tensor([3])
    left_out = first.trigrams.estimates(*trigram, 9, left_out=1)
    torch.testing.assert_close(left_out, second.trigrams.estimates(*trigram, 9), rtol=0, atol=0)


def test_counts_do_not_depend_on_how_a_text_comes() -> None:
    tokens = torch.randint(1, 5, (6, 20), generator=torch.Generator().manual_seed(0))
    whole, parts = ArticleSpinner(0.5, 0), ArticleSpinner(0.5, 0)
    whole.trigrams.add(tokens)
    for part in tokens.flip(0).split(2):
        parts.trigrams.add(part)
    assert torch.equal(whole.trigrams.get_extra_state(), parts.trigrams.get_extra_state())
    assert whole.trigrams.table.counts.sum() == 6 * 18


def test_steps_of_em_never_lower_the_likelihood_with_its_pseudo_counts(spinner: ArticleSpinner) -> None:
    trigrams = neighbours(numbers(spinner, TEXT)[None])
    values = []
    for _ in range(15):
        log_joint, buckets = spinner.log_joint(*trigrams, left_out=1)
        likelihood = log_joint.logsumexp(1)
        values.append((likelihood.sum() + spinner.weights.log().sum()).item())
        shares = (log_joint - likelihood[:, None]).exp()
        counted = torch.zeros_like(spinner.weights).index_add_(0, buckets, shares) + 1
        spinner.weights.copy_(counted / counted.sum(1, keepdim=True))
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(values))
    assert values[-1] > values[0] + 1


def test_a_state_dict_holds_words_counts_and_weights(spinner: ArticleSpinner) -> None:
    other = ArticleSpinner(1.0, 0)
    other.load_state_dict(spinner.state_dict())
    assert all(isinstance(value, torch.Tensor) for value in spinner.state_dict().values())
    tokens = numbers(spinner, TEXT)
    assert torch.equal(other.token_log_likelihoods(tokens), spinner.token_log_likelihoods(tokens))
    draws = [model.rewrite(TEXT, torch.Generator().manual_seed(2)) for model in (spinner, other)]
    assert draws[0] == draws[1] != TEXT


def test_only_words_change_each_to_one_that_was_seen_between_its_neighbours(spinner: ArticleSpinner) -> None:
    old, new = words(TEXT), words(spinner.rewrite(TEXT, torch.Generator().manual_seed(0)))
    seen = set(zip(words(TEXT), words(TEXT)[1:], words(TEXT)[2:], strict=False))
    assert len(new) == len(old)
    changed = [place for place in range(len(old)) if old[place] != new[place]]
    assert changed
    assert 0 not in changed
    assert len(old) - 1 not in changed
    for place in changed:
        assert old[place].isalpha()
        assert (new[place - 1], new[place], old[place + 1]) in seen


def test_white_space_marks_and_capitals_stay(spinner: ArticleSpinner) -> None:
    text = "  the cat  sat,\n\non THE mat .\tEnd"
    new = spinner.rewrite(text, torch.Generator().manual_seed(0))
    assert re.sub(r"\w+", "w", new) == re.sub(r"\w+", "w", text)
    cat, dog, romeo, the = (int(spinner.vocabulary.number_of[word]) for word in ("cat", "dog", "romeo", "the"))
    assert spinner.spelled_as("cat", cat, dog) == "dog"
    assert spinner.spelled_as("Cat", cat, dog) == "Dog"
    assert spinner.spelled_as("CAT", cat, dog) == "DOG"
    assert spinner.spelled_as("cat", cat, romeo) == "Romeo"
    assert spinner.spelled_as("Romeo", romeo, the) == "the"  # its capital is its own, not that of its place


def test_every_word_with_an_alternative_is_replaced_or_none(spinner: ArticleSpinner) -> None:
    text = "The cat sat on"
    assert {spinner.rewrite(text, torch.Generator().manual_seed(seed)) for seed in range(9)} == {"The dog ran on"}
    spinner.replace_probability = 0.0
    assert spinner.rewrite(text, torch.Generator().manual_seed(0)) == text


def test_beside_an_unknown_word_all_stay_and_it_may_be_replaced_itself(spinner: ArticleSpinner) -> None:
    text = "The cat zebra sat on the zebra"
    assert spinner.rewrite(text, torch.Generator().manual_seed(0)) == text
    assert spinner.rewrite("I saw a zebra.\n", torch.Generator().manual_seed(0)) == "I saw a cat.\n"


@pytest.mark.parametrize("text", ["", "one", "one two", " \n"])
def test_a_text_without_a_middle_stays(spinner: ArticleSpinner, text: str) -> None:
    assert spinner.rewrite(text) == text


def test_characters_are_refused_with_the_data_sets_that_fit() -> None:
    with pytest.raises(UsageError, match=r"(?s)reads words, not characters\n.*tiny_shakespeare_words, or text_file_w"):
        prepare(short_config("article_spinner", "dataset=tiny_shakespeare"))
