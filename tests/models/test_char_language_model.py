"""The language model of characters: what it conditions on, its likelihood, how texts go on."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from conftest import short_config

from genlab.config import check, compose
from genlab.errors import UsageError
from genlab.models.char_language_model import STRETCH, CharacterRNN, CharLanguageModel
from genlab.networks.vocabulary import UNKNOWN
from genlab.training import prepare

LETTERS = [UNKNOWN, "a", "b", "c"]
Make = Callable[..., CharLanguageModel]


@pytest.fixture
def make() -> Make:
    def model(vocabulary_size: int = 4, sample_length: int = 6, num_layers: int = 2) -> CharLanguageModel:
        torch.manual_seed(1)
        made = CharLanguageModel(vocabulary_size, 3, 5, num_layers, sample_length, torch.optim.Adam)
        made.vocabulary.learn(LETTERS)
        # Far from uniform, so that what it predicts depends on what it reads.
        for parameter in made.network.parameters():
            torch.nn.init.normal_(parameter)
        return made.eval()

    return model


def test_the_network_has_the_weights_of_gated_recurrent_units() -> None:
    network = CharacterRNN(66, 64, 256, 1)
    embedding, output = 66 * 64, 256 * 66 + 66
    # Cho et al., equations 5 to 8: three matrices for the input and three for the state, here with two biases each.
    units = 3 * (64 * 256 + 256 * 256 + 2 * 256)
    assert sum(weights.numel() for weights in network.parameters()) == embedding + units + output


def test_the_probabilities_of_all_texts_of_a_length_sum_to_one(make: Make) -> None:
    every = torch.tensor(list(itertools.product(range(4), repeat=3)))
    assert make().double().log_likelihood(every).exp().sum().item() == pytest.approx(1, abs=1e-12)


@torch.no_grad()
def test_a_character_is_predicted_from_all_before_it_and_from_nothing_else(make: Make) -> None:
    model = make().double()
    tokens = torch.tensor([[1, 2, 3, 1, 2, 3]])
    usual = model.log_conditionals(tokens)[0]
    for place in range(6):
        other = tokens.clone()
        other[0, place] = tokens[0, place] % 3 + 1
        changed = (model.log_conditionals(other)[0] - usual).abs() > 1e-12
        assert not changed[:place].any()
        assert changed[place:].all()


@torch.no_grad()
def test_a_long_text_is_one_text_however_it_is_cut(make: Make) -> None:
    model = make().double()
    tokens = torch.randint(1, 4, (2 * STRETCH + 7,), generator=torch.Generator().manual_seed(0))
    logits, _ = model.network(torch.cat([torch.zeros(1, dtype=torch.int64), tokens[:-1]])[None])
    at_once = logits[0].log_softmax(1)[torch.arange(len(tokens)), tokens]
    torch.testing.assert_close(model.token_log_likelihoods(tokens), at_once, rtol=0, atol=1e-10)


def test_without_weights_every_character_is_alike_likely(make: Make) -> None:
    model = make()
    for weights in model.network.parameters():
        torch.nn.init.zeros_(weights)
    assert model.log_likelihood(torch.tensor([[1, 2, 3]])).item() == pytest.approx(-3 * math.log(4), rel=1e-6)


@torch.no_grad()
def test_samples_have_the_model_s_frequencies_but_for_the_unknown_character(make: Make) -> None:
    model = make(sample_length=2)
    drawn = model.sample(20_000, None, torch.Generator().manual_seed(0))
    found = torch.bincount(3 * (drawn[:, 0] - 1) + drawn[:, 1] - 1, minlength=9) / len(drawn)
    pairs = torch.tensor(list(itertools.product((1, 2, 3), repeat=2)))
    known = model.network(torch.tensor([[0, 1], [0, 2], [0, 3]]))[0][:, :, 1:].log_softmax(2)
    expected = torch.stack([known[0, 0, a - 1] + known[a - 1, 1, b - 1] for a, b in pairs.tolist()]).exp()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.012)  # three standard errors


@torch.no_grad()
def test_a_sample_goes_on_as_if_it_had_drawn_its_beginning_itself(make: Make) -> None:
    """The state after a typed beginning is that after the same characters one by one."""
    model = make(sample_length=1).double()
    begun = model.condition("abcab").expand(4000, -1)
    drawn = model.sample(4000, begun, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, :5], begun)
    state, token = None, torch.zeros(1, 1, dtype=torch.int64)
    for letter in [1, 2, 3, 1, 2]:
        _, state = model.network(token, state)
        token = torch.tensor([[letter]])
    expected = model.network(token, state)[0][0, 0, 1:].softmax(0)
    found = torch.bincount(drawn[:, 5] - 1, minlength=3) / 4000
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.025)


@torch.no_grad()
def test_spare_places_of_the_vocabulary_are_never_drawn(make: Make) -> None:
    model = make(vocabulary_size=50, sample_length=30)
    torch.nn.init.zeros_(model.network.output.weight)
    torch.nn.init.zeros_(model.network.output.bias)
    drawn = model.sample(50, None, torch.Generator().manual_seed(0))
    assert drawn.unique().tolist() == [1, 2, 3]
    assert set(model.text_of(drawn[0])) <= set("abc")


@torch.no_grad()
def test_a_low_temperature_draws_the_likeliest_character_and_a_high_one_any(make: Make) -> None:
    model = make(sample_length=5)
    model.temperature = 1e-4
    cold = model.sample(20, None, torch.Generator().manual_seed(0))
    assert (cold == cold[0]).all()
    before = torch.cat([torch.zeros(1, dtype=torch.int64), cold[0, :-1]])
    assert torch.equal(model.network(before[None])[0][0, :, 1:].argmax(1) + 1, cold[0])
    model.temperature = 1e6
    hot = model.sample(3000, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        torch.bincount(hot.flatten())[1:] / hot.numel(), torch.full((3,), 1 / 3), rtol=0, atol=0.015
    )


def test_characters_that_the_training_text_has_not_are_named(make: Make) -> None:
    with pytest.raises(UsageError, match=r"(?s)the training text has not: 'Z' 'é'\nknown ones: abc"):
        make().condition("abZcéZ")


def test_a_model_that_was_never_trained_says_so() -> None:
    model = CharLanguageModel(4, 3, 5, 1, 6, torch.optim.Adam)
    with pytest.raises(UsageError, match="was never trained"):
        model.sample(1)


def test_more_characters_than_the_model_knows_are_refused() -> None:
    with pytest.raises(UsageError, match=r"model.vocabulary_size=10: the text has 6\d different characters"):
        prepare(short_config("char_language_model", "model.vocabulary_size=10"))


def test_words_are_refused_with_the_data_sets_that_fit() -> None:
    words = ["model=char_language_model", "dataset=tiny_shakespeare_words"]
    check(compose("train", words))
    with pytest.raises(UsageError, match=r"(?s)reads characters, not words\n.*tiny_shakespeare, or text_file"):
        prepare(short_config("char_language_model", "dataset=tiny_shakespeare_words"))


@pytest.mark.slow
def test_it_learns_which_letter_follows_which() -> None:
    torch.manual_seed(0)
    model = CharLanguageModel(4, 3, 16, 1, 12, torch.optim.Adam)
    model.vocabulary.learn(LETTERS)
    optimizer = torch.optim.Adam(model.network.parameters(), lr=0.03)
    text = torch.tensor([1, 2, 3]).repeat(8)
    batch = torch.stack([text[start : start + 12] for start in range(3)])
    for _ in range(200):
        optimizer.zero_grad()
        (-model.log_likelihood(batch).mean()).backward()
        optimizer.step()
    # All that is left to guess is where the sequence begins: log 3 nats.
    assert -model.log_likelihood(batch).mean().item() == pytest.approx(math.log(3), abs=0.05)
    with torch.no_grad():
        drawn = model.text_of(model.sample(1, model.condition("abca")[None], torch.Generator().manual_seed(0))[0])
    assert drawn == "abcabcabcabcabca"
