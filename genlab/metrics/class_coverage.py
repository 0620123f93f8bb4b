"""Collapse: how many classes an embedded classifier sees among samples."""

from genlab.metrics.evaluation import Evaluation, Score, not_finite

NUM_SAMPLES = 1000


def unfit(evaluation: Evaluation) -> str | None:
    if reason := evaluation.unfit_for_features():
        return reason
    if evaluation.network is not None and evaluation.network.classifier is None:
        return f"{evaluation.network.name} tells no classes: features=digit or fashion does"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``classes_in_1000``: distinct classes among the first 1,000 samples, or all of fewer; a healthy model has all.

    With it the counts of the rarest and the most frequent class, and the mean probability of the class seen.
    """
    network = evaluation.network
    assert network is not None
    assert network.classifier is not None
    features = evaluation.fake_features[:NUM_SAMPLES]
    name = f"classes_in_{len(features)}"
    how = {"num_samples": len(features), "seed": evaluation.seed}
    about = {"network": network.name, "sha256": network.sha256}
    if reason := not_finite(features, "samples"):
        return [Score(name, None, how | about | {"undefined": reason})]
    probabilities = network.classifier(features.float().to(evaluation.model.device)).softmax(1)
    confidence, classes = probabilities.max(1)
    counts = classes.bincount(minlength=probabilities.shape[1])
    how |= {"num_classes": len(counts), "rarest": counts.min().item(), "most_frequent": counts.max().item()}
    how |= {"mean_confidence": confidence.mean().item()}
    return [Score(name, counts.count_nonzero().item(), how | about)]
