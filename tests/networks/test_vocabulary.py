"""The tokens of a vocabulary, as a checkpoint holds them."""

from genlab.networks.vocabulary import UNKNOWN, Vocabulary


def test_a_vocabulary_survives_a_checkpoint() -> None:
    vocabulary, again = Vocabulary([UNKNOWN, "\n", "é", '"', "don’t", "中"]), Vocabulary()
    again.load_state_dict(vocabulary.state_dict())
    assert again.tokens == vocabulary.tokens
    assert again.numbers(["中", "x", "\n"]).tolist() == [5, 0, 1]


def test_a_new_one_knows_nothing() -> None:
    assert Vocabulary().tokens == [UNKNOWN]
    assert Vocabulary().numbers("ab").tolist() == [0, 0]
