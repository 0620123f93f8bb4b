"""Importance-weighted lower bound of held-out images, which many draws bring close to their likelihood.

Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016, arXiv:1509.00519, equation 8; 5,000 draws
as in its section 5.
"""

import torch

from genlab.metrics import elbo
from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.models.capabilities import BoundsLikelihood


def unfit(evaluation: Evaluation) -> str | None:
    return elbo.unfit(evaluation)


def measure(evaluation: Evaluation) -> list[Score]:
    """``iwae_<k>``: the mean over ``iwae_images`` held-out images, ``iwae_k`` draws of the latent for each."""
    assert isinstance(evaluation.model, BoundsLikelihood)
    k, generator, items = evaluation.iwae_k, evaluation.generator(), evaluation.items(evaluation.iwae_images)
    # Filled in place: a tensor kept of each batch would lie among the large ones that are freed, and memory would grow.
    bounds, done = torch.empty(len(items), dtype=torch.float64), 0
    for images in evaluation.batches(items, max(1, evaluation.batch_size // k), "importance-weighted bound"):
        bounds[done : done + len(images)] = evaluation.model.iwae(images, k, generator)
        done += len(images)
    how = {"unit": "nats an image", "split": evaluation.held_out[0], "num_images": len(items)}
    return [mean_score(f"iwae_{k}", bounds, how | {"draws": k, "seed": evaluation.seed})]
