"""Perplexity of a whole held-out text."""

import math
from pathlib import Path

import pytest
import torch
from tiny import Silent, Splits, evaluation
from torch import Tensor

from genlab.datasets.text import TextSequences
from genlab.metrics import perplexity
from genlab.models.base import GenerativeModel
from genlab.models.char_language_model import CharLanguageModel


class Repeats(GenerativeModel):
    """Gives a character that is that before it a probability of 1/2, and one that is not 1/8."""

    def token_log_likelihoods(self, tokens: Tensor) -> Tensor:
        return torch.where(tokens[1:] == tokens[:-1], math.log(1 / 2), math.log(1 / 8))


@pytest.fixture
def dataset(tmp_path: Path) -> TextSequences:
    path = tmp_path / "text.txt"
    path.write_text("abababab" + "aaabbbZZ", encoding="utf-8")
    return TextSequences("text", "characters", (4,), 9, 2, 0, 2, seed=0, path=str(path))


def test_it_is_the_geometric_mean_of_the_inverse_probabilities_of_one_text(dataset: TextSequences) -> None:
    first, bits = perplexity.measure(evaluation(Repeats(), dataset))
    # aaabbbZZ: five repetitions and two changes, one of them where one sequence ends and the next begins.
    assert (first.name, bits.name) == ("perplexity", "bits_per_character")
    assert bits.value == pytest.approx((5 * 1 + 2 * 3) / 7, rel=1e-6)
    assert first.value == pytest.approx(2 ** (11 / 7), rel=1e-6)
    assert first.how["nats"] == pytest.approx(11 / 7 * math.log(2), rel=1e-6)
    assert {name: first.how[name] for name in ("split", "num_characters", "num_unknown")} == {
        "split": "test",
        "num_characters": 7,
        "num_unknown": 2,
    }


@torch.no_grad()
def test_a_network_carries_its_state_through_all_of_the_text(dataset: TextSequences) -> None:
    torch.manual_seed(0)
    model = CharLanguageModel(9, 3, 5, 1, 6, torch.optim.Adam).eval()
    first, _ = perplexity.measure(evaluation(model, dataset))
    tokens = torch.tensor([[1, 1, 1, 2, 2, 2, 0, 0]])
    assert first.value == pytest.approx(math.exp(-model.log_likelihood(tokens).item() / 8), rel=1e-6)
    apart = model.log_likelihood(tokens.view(2, 4)).sum().item()
    assert first.value != pytest.approx(math.exp(-apart / 8), rel=1e-6)


def test_what_predicts_no_tokens_or_is_no_text_is_left_out(dataset: TextSequences) -> None:
    assert perplexity.unfit(evaluation(Repeats(), dataset)) is None
    assert perplexity.unfit(evaluation(Silent(), dataset)) == "Silent predicts no tokens of a text"
    images = Splits(test=torch.zeros(2, 1, 2, 2))
    assert perplexity.unfit(evaluation(Repeats(), images)) == "'tiny' is no text"
