"""Log-likelihood of the held-out items, of models that can compute it."""

import torch

from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.models.base import HasLikelihood


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, HasLikelihood):
        return f"{evaluation.model_name} cannot compute its likelihood"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``log_likelihood``: the mean of log p(x) over all held-out items; nothing is drawn."""
    assert isinstance(evaluation.model, HasLikelihood)
    items = evaluation.items()
    values = [
        evaluation.model.log_likelihood(batch)
        for batch in evaluation.batches(items, evaluation.batch_size, "log-likelihood")
    ]
    how = {"unit": "nats an item", "split": evaluation.held_out[0], "num_items": len(items)}
    return [mean_score("log_likelihood", torch.cat(values), how)]
