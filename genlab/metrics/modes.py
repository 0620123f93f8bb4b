"""Collapse on points of known modes: how many the samples reach, and how many samples are near one.

As in Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning", NIPS 2017,
arXiv:1705.07761, section 4.1: a sample counts for a mode within three standard deviations of its centre. There one such
sample is enough for a mode to be reached; here it takes 1 in 100.
"""

import torch

from genlab.datasets.ring import Ring
from genlab.metrics.evaluation import Evaluation, Score
from genlab.models.capabilities import Samples

LEAST_SHARE = 0.01


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.dataset, Ring):
        return f"'{evaluation.dataset.name}' has no modes of known place"
    return None if isinstance(evaluation.model, Samples) else f"{evaluation.model_name} draws no samples"


def measure(evaluation: Evaluation) -> list[Score]:
    """``modes``: of those there are, those with at least one in 100 samples; ``high_quality``: share near any mode."""
    assert isinstance(evaluation.dataset, Ring)
    assert isinstance(evaluation.model, Samples)
    generator = torch.Generator().manual_seed(evaluation.seed)
    samples = evaluation.model.sample(evaluation.num_samples, None, generator).cpu()
    distances, nearest = torch.cdist(samples, evaluation.dataset.centres).min(1)
    is_near = distances <= 3 * evaluation.dataset.standard_deviation
    counts = nearest[is_near].bincount(minlength=len(evaluation.dataset.centres))
    how = {"num_samples": len(samples), "seed": evaluation.seed}
    return [
        Score("modes", int((counts >= LEAST_SHARE * len(samples)).sum()), how | {"num_modes": len(counts)}),
        Score(
            "high_quality", is_near.float().mean().item(), how | {"within": 3 * evaluation.dataset.standard_deviation}
        ),
    ]
