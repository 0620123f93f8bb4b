"""The form of the Inception score, on the classes of the feature network in use.

Salimans et al., "Improved Techniques for Training GANs", NIPS 2016, arXiv:1606.03498, section 4. Figures of papers are
of ImageNet's Inception network and of the mean over ten parts of 50,000 samples; none compare with these.
"""

import torch
from torch import Tensor

from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score, estimated, not_finite


def unfit(evaluation: Evaluation) -> str | None:
    return evaluation.unfit_for_classes()


def measure(evaluation: Evaluation) -> list[Score]:
    """``is_<network>``: 1 if all samples look alike or undecided, the number of classes if each is surely of one."""
    how = {"num_samples": len(evaluation.fake_features), "seed": evaluation.seed} | evaluation.about_network
    name = f"is_{how['network']}"
    if reason := not_finite(evaluation.fake_features, "samples"):
        return [Score(name, None, how | {"undefined": reason})]
    log_probabilities = evaluation.fake_log_probabilities
    values = scores(log_probabilities, drawn_counts(len(log_probabilities), evaluation.generator()))
    num_classes = log_probabilities.shape[1]
    return [estimated(name, values, 1, num_classes, {"num_classes": num_classes} | how)]


def inception_score(log_probabilities: Tensor) -> float:
    """``exp(E KL(p(y|x) || p(y)))``, where p(y) is the mean of p(y|x) over the samples.

    Shapes: log p(y|x), ``(N, num_classes)`` -> a number from 1 to num_classes; computed in float64.
    """
    log_probabilities = log_probabilities.double()
    return scores(log_probabilities, log_probabilities.new_ones(1, len(log_probabilities))).item()


def scores(log_probabilities: Tensor, counts: Tensor) -> Tensor:
    """The score of sets that hold each sample so many times.

    Shapes: ``(N, num_classes)`` and ``(R, N)`` float64 -> ``(R,)``.
    """
    weights = counts / len(log_probabilities)
    probabilities = log_probabilities.exp()
    entropies = torch.special.entr(probabilities).sum(1)
    # The mean divergence is what the entropy of the mean is above the mean of the entropies.
    divergence = torch.special.entr(weights @ probabilities).sum(1) - weights @ entropies
    return divergence.clamp(min=0).exp()
