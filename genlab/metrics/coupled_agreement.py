"""Whether coupled images show one thing: the second should be the transformed first.

Liu & Tuzel, "Coupled Generative Adversarial Networks", NIPS 2016, arXiv:1606.07536, section 4: the pixel agreement
ratio.
"""

import torch

from genlab.datasets.two_domains import TwoDomains
from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.models.capabilities import Samples


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.dataset, TwoDomains):
        return f"'{evaluation.dataset.name}' has no second domain"
    return None if isinstance(evaluation.model, Samples) else f"{evaluation.model_name} draws no samples"


def measure(evaluation: Evaluation) -> list[Score]:
    """``pixel_agreement``: share of pixels, black or white, in which the second image is the transformed first.

    ``shuffled_agreement`` is that of images that do not belong together, what a pair without coupling would have.
    """
    assert isinstance(evaluation.dataset, TwoDomains)
    assert isinstance(evaluation.model, Samples)
    generator = torch.Generator().manual_seed(evaluation.seed)
    counts = [len(part) for part in torch.arange(evaluation.num_samples).split(evaluation.batch_size)]
    pairs = torch.cat([evaluation.model.sample(count, None, generator).cpu() for count in counts])
    first, second = pairs.chunk(2, dim=3)
    expected, found = evaluation.dataset.counterpart(first) > 0, second > 0
    how = {"rule": evaluation.dataset.rule, "num_samples": len(pairs), "seed": evaluation.seed}
    agreement = (expected == found).flatten(1).double().mean(1)
    shuffled = (expected == found.roll(1, 0)).flatten(1).double().mean(1)
    return [mean_score("pixel_agreement", agreement, how), mean_score("shuffled_agreement", shuffled, how)]
