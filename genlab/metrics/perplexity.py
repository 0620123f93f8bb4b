"""Perplexity of the held-out text: among how many tokens, all alike likely, the model would be as unsure.

Jelinek, Mercer, Bahl & Baker, "Perplexity: A Measure of the Difficulty of Speech Recognition Tasks", Journal of the
Acoustical Society of America 62, 1977, doi:10.1121/1.2016299.
"""

import math

from genlab.datasets.text import Sequences, TextSequences
from genlab.metrics.evaluation import Evaluation, Score
from genlab.models.capabilities import PredictsTokens


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, PredictsTokens):
        return f"{evaluation.model_name} predicts no tokens of a text"
    return None if isinstance(evaluation.dataset, TextSequences) else f"'{evaluation.dataset.name}' is no text"


def measure(evaluation: Evaluation) -> list[Score]:
    """``perplexity`` and, of the same mean, ``bits_per_character`` or ``bits_per_word``; nothing is drawn.

    The held-out text is one, from its first token to its last: what the model carries from one to the next, it carries
    all the way. Tokens that are not in the vocabulary count as the one unknown token.
    """
    assert isinstance(evaluation.model, PredictsTokens)
    assert isinstance(evaluation.dataset, TextSequences)
    split, source = evaluation.held_out
    assert isinstance(source, Sequences)
    values = evaluation.model.token_log_likelihoods(source.tokens.to(evaluation.model.device)).double()
    nats = -values.mean().item()
    unit = evaluation.dataset.unit
    how = {"split": split, f"num_{unit}": len(values)}
    if unknown := int((source.tokens == 0).sum()):
        how["num_unknown"] = unknown
    each = unit.removesuffix("s")
    return [
        Score("perplexity", math.exp(nats), {"unit": f"{unit}, equally likely", "nats": nats} | how),
        Score(f"bits_per_{each}", nats / math.log(2), {"unit": f"bits a {each}"} | how),
    ]
