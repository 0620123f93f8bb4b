"""How much of the held-out images an autoencoder loses.

The cross entropy of grey pixels is at least their own entropy; what lies above it is the KL divergence of the
reconstruction from the image.
"""

import torch
from torch import Tensor

from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.models.capabilities import Corrupts, HasReconstructionCost


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, HasReconstructionCost):
        return f"{evaluation.model_name} has no cost of its reconstructions"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``reconstruction``: the mean cost over all held-out images; ``reconstruction_corrupted``: from corrupted ones.

    The second is of models that are trained to undo a corruption. ``entropy`` is the least that the cost could be.
    """
    model, generator, items = evaluation.model, evaluation.generator(), evaluation.items()
    assert isinstance(model, HasReconstructionCost)
    clean, corrupted, entropies = [], [], []
    for images in evaluation.batches(items, evaluation.batch_size, "cost of reconstructions"):
        clean.append(model.reconstruction_cost(images))
        entropies.append(entropy(images))
        if isinstance(model, Corrupts):
            corrupted.append(model.reconstruction_cost(images, model.corrupt(images, generator)))
    how = {"unit": "nats an image", "split": evaluation.held_out[0], "num_images": len(items)}
    how |= {"entropy": torch.cat(entropies).mean().item()}
    scores = [mean_score("reconstruction", torch.cat(clean), how)]
    if corrupted:
        scores.append(mean_score("reconstruction_corrupted", torch.cat(corrupted), how | {"seed": evaluation.seed}))
    return scores


def entropy(images: Tensor) -> Tensor:
    """Entropy of pixels that are white with the probability of their grey value, ``(N,)`` nats.

    Args:
        images: ``(N, C, H, W)`` in [-1, 1].
    """
    white = (images.double() + 1) / 2
    return (torch.special.entr(white) + torch.special.entr(1 - white)).flatten(1).sum(1)
