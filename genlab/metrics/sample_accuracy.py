"""Whether samples are of the class that was asked for, as the embedded classifier of the data set sees them."""

import torch

from genlab.metrics.bootstrap import drawn_counts
from genlab.metrics.evaluation import Evaluation, Score, estimated, not_finite, progress
from genlab.models.capabilities import TakesLabels


def unfit(evaluation: Evaluation) -> str | None:
    network, dataset = evaluation.network, evaluation.dataset
    if not isinstance(evaluation.model, TakesLabels):
        return f"{evaluation.model_name} takes no labels"
    if reason := evaluation.unfit_for_classes():
        return reason
    assert network is not None
    assert network.classifier is not None
    if network.name != f"{dataset.features}_features" or dataset.num_classes != network.classifier.out_features:
        return f"the classes of '{dataset.name}' are not those that {network.name} tells"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``sample_accuracy``: the share of samples, labels 0 to num_classes - 1 in turn, that are seen as asked for.

    With it the class that is seen least often when it is asked for. The classifier errs on real images, too: a perfect
    model has its accuracy, not 1.
    """
    model, network = evaluation.model, evaluation.network
    assert isinstance(model, TakesLabels)
    assert network is not None
    labels, generator = torch.arange(evaluation.num_samples) % model.num_classes, evaluation.generator()
    parts = progress(labels.split(evaluation.batch_size), "samples of each class")
    features = torch.cat([network.features(model.sample(len(part), part, generator)) for part in parts])
    how = {"num_samples": len(labels), "seed": evaluation.seed} | evaluation.about_network
    if reason := not_finite(features, "samples"):
        return [Score("sample_accuracy", None, how | {"undefined": reason})]
    is_right = (network.log_probabilities(features).argmax(1).cpu() == labels).double()
    shares = [is_right[labels == label].mean().item() for label in range(min(model.num_classes, len(labels)))]
    least = min(shares)
    evaluation.dataset.load_once()  # names classes
    names = evaluation.dataset.class_names or list(map(str, range(model.num_classes)))
    how = {"least_accurate": names[shares.index(least)], "least_accuracy": least} | how
    values = drawn_counts(len(is_right), evaluation.generator()) @ is_right / len(is_right)
    return [estimated("sample_accuracy", values, 0, 1, how)]
