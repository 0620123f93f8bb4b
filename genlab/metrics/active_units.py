"""How many latents a model uses.

Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016, arXiv:1509.00519, section 5.2 and appendix
C: a latent is active if the mean of its posterior, seen as a function of the image, has a variance over 0.01.
"""

import torch

from genlab.metrics.evaluation import Evaluation, Score
from genlab.models.capabilities import HasPrior, Reconstructs

THRESHOLD = 0.01


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, HasPrior) or not isinstance(evaluation.model, Reconstructs):
        return f"{evaluation.model_name} has no posterior of latents with a prior"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``active_units``, counted over all held-out images; nothing is drawn.

    Undefined for one image, whose variance is.
    """
    model, items = evaluation.model, evaluation.items()
    assert isinstance(model, Reconstructs)
    means = [model.encode(images) for images in evaluation.batches(items, evaluation.batch_size, "active units")]
    how = {"unit": f"of {model.latent_dim} latents", "split": evaluation.held_out[0], "num_images": len(items)}
    how |= {"threshold": THRESHOLD}
    if len(items) < 2:
        return [Score("active_units", None, how | {"undefined": "there is 1 image of at least 2"})]
    variances = torch.cat(means).double().var(0)
    if not variances.isfinite().all():
        return [Score("active_units", None, how | {"undefined": "the mean of a posterior is not finite"})]
    return [Score("active_units", float((variances > THRESHOLD).sum()), how)]
