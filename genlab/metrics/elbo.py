"""Evidence lower bound of the held-out images.

Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114, equation 2.
"""

import torch

from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.models.capabilities import BoundsLikelihood


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, BoundsLikelihood):
        return f"{evaluation.model_name} has no bound of its likelihood"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``elbo``: the mean over all held-out images, one draw of the latent for each."""
    assert isinstance(evaluation.model, BoundsLikelihood)
    generator, items = evaluation.generator(), evaluation.items()
    bounds = [
        evaluation.model.elbo(images, generator)
        for images in evaluation.batches(items, evaluation.batch_size, "evidence lower bound")
    ]
    how = {"unit": "nats an image", "split": evaluation.held_out[0], "num_images": len(items)}
    return [mean_score("elbo", torch.cat(bounds), how | {"draws": 1, "seed": evaluation.seed})]
