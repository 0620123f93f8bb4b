"""What a categorical code has to do with the classes, of which its model was told nothing.

Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
NIPS 2016, arXiv:1606.03657, section 7.2: each value of the code is matched to a class.
"""

import torch
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen
from genlab.metrics.evaluation import Evaluation, Score
from genlab.models.capabilities import ReadsCodes


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, ReadsCodes):
        return f"{evaluation.model_name} has no categorical code"
    if not issubclass(evaluation.dataset.batch_type, LabelledImages) or evaluation.dataset.num_classes is None:
        return f"'{evaluation.dataset.name}' has no classes"
    return None if evaluation.dataset.num_validation else f"'{evaluation.dataset.name}' has no validation part"


def measure(evaluation: Evaluation) -> list[Score]:
    """``code_accuracy``: held-out images of the class that most validation images of their code have."""
    split = evaluation.held_out[0]
    codes, labels = read(evaluation, "validation")
    assert isinstance(evaluation.model, ReadsCodes)
    assert evaluation.dataset.num_classes is not None
    counts = torch.zeros(evaluation.model.num_codes, evaluation.dataset.num_classes, dtype=torch.int64)
    counts.index_put_((codes, labels), torch.ones_like(labels), accumulate=True)
    codes, labels = read(evaluation, split)
    accuracy = (counts.argmax(1)[codes] == labels).double().mean().item()
    how = {"split": split, "num_images": len(labels), "num_classes": len(counts.argmax(1)[counts.sum(1) > 0].unique())}
    return [Score("code_accuracy", accuracy, how)]


def read(evaluation: Evaluation, split: str) -> tuple[Tensor, Tensor]:
    """The code that the model reads off each image of a split, and its label."""
    model, source = evaluation.model, evaluation.dataset.sources[split]
    assert isinstance(model, ReadsCodes)
    codes, labels = [], []
    # Batch norm takes the statistics of each batch, which have to be as mixed, and as large, as in training.
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(evaluation.seed))
    for part in order.tensor_split(-(-len(source) // evaluation.batch_size)):
        batch = source.__getitems__(Chosen(-1, part))
        codes.append(model.log_code_posterior(batch.images.to(model.device)).argmax(1).cpu())
        labels.append(batch.labels)
    return torch.cat(codes), torch.cat(labels)
