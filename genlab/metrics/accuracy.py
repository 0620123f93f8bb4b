"""How well a model of p(x, y) classifies the held-out images."""

import torch

from genlab.datasets.loader import Chosen
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.models.capabilities import Classifies


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Classifies):
        return f"{evaluation.model_name} does not classify"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``accuracy``: the share of images whose likeliest class is theirs; ``log_posterior``: the mean of log p(y|x)."""
    assert isinstance(evaluation.model, Classifies)
    split, source = evaluation.held_out
    is_right, log_posterior = [], []
    for part in progress(evaluation.items().split(evaluation.batch_size), "classes of held-out images"):
        batch = source.__getitems__(Chosen(-1, part))
        posterior = evaluation.model.log_posterior(batch.images.to(evaluation.model.device)).cpu()
        is_right.append((posterior.argmax(1) == batch.labels).double())
        log_posterior.append(posterior.gather(1, batch.labels[:, None])[:, 0])
    how = {"split": split, "num_images": sum(map(len, is_right))}
    return [
        mean_score("accuracy", torch.cat(is_right), how),
        mean_score("log_posterior", torch.cat(log_posterior), {"unit": "nats an image"} | how),
    ]
