"""Collapse: how many classes an embedded classifier sees among samples."""

from typing import Any

import torch
from torch.nn.functional import one_hot

from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score, estimated, not_finite

NUM_SAMPLES = 1000

SAMPLES_A_CLASS = 10
"""At least, or a class would be missed by chance."""


def unfit(evaluation: Evaluation) -> str | None:
    if reason := evaluation.unfit_for_classes():
        return reason
    network, expected = evaluation.network, evaluation.dataset.num_classes
    assert network is not None
    assert network.classifier is not None
    num_classes = network.classifier.out_features
    if num_classes * SAMPLES_A_CLASS > NUM_SAMPLES:
        return f"{network.name} tells {num_classes:,} classes, too many to look for among {NUM_SAMPLES:,} samples"
    if expected not in (None, num_classes):
        return f"{network.name} tells {num_classes} classes, '{evaluation.dataset.name}' has {expected}"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``classes_in_1000``: distinct classes among the first 1,000 samples, or all of fewer; a healthy model has all.

    With it the counts of the rarest and the most frequent class, and the mean probability of the class seen.
    """
    features = evaluation.fake_features[:NUM_SAMPLES]
    name = f"classes_in_{len(features)}"
    how: dict[str, Any] = {"num_samples": len(features), "seed": evaluation.seed}
    if reason := not_finite(features, "samples"):
        return [Score(name, None, how | evaluation.about_network | {"undefined": reason})]
    log_confidence, classes = evaluation.fake_log_probabilities[:NUM_SAMPLES].max(1)
    seen = one_hot(classes, evaluation.fake_log_probabilities.shape[1])
    counts = seen.sum(0)
    how |= {"num_classes": len(counts), "rarest": counts.min().item(), "most_frequent": counts.max().item()}
    how |= {"mean_confidence": log_confidence.exp().mean().item()} | evaluation.about_network
    values = (drawn_counts(len(seen), evaluation.generator()) @ seen.double()).count_nonzero(1).to(torch.float64)
    return [estimated(name, values, 1, len(counts), how)]
