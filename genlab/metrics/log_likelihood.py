"""Log-likelihood of the held-out items, of models that can compute it or all of it but a constant."""

import math
from typing import Any

import torch

from genlab.datasets.loader import Chosen
from genlab.metrics.evaluation import Evaluation, Score, mean_score, progress
from genlab.metrics.log_partition import HasFreeEnergy, log_partition
from genlab.models.capabilities import HasLikelihood, PredictsPixels, TakesLabels


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, HasLikelihood | HasFreeEnergy):
        return f"{evaluation.model_name} cannot compute its likelihood"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``log_likelihood``: the mean of log p(x) over all held-out items.

    Nothing is drawn for a model that computes it. One that has a free energy is measured on binary images, those of
    ``elbo`` with the same seed; ``log_partition`` is then a second score, and ``standard_error`` that of the images
    alone. Of a model that predicts pixels, see ``of_pixels``.
    """
    if isinstance(evaluation.model, PredictsPixels):
        return of_pixels(evaluation)
    items = evaluation.items()
    how = {"unit": "nats an item", "split": evaluation.held_out[0], "num_items": len(items)}
    batches = evaluation.batches(items, evaluation.batch_size, "log-likelihood")
    if isinstance(evaluation.model, HasLikelihood):
        values = torch.cat([evaluation.model.log_likelihood(batch) for batch in batches])
        return [mean_score("log_likelihood", values, how)]
    assert isinstance(evaluation.model, HasFreeEnergy)
    model, generator = evaluation.model, evaluation.generator()
    energies = torch.cat([model.free_energy(model.draw_visible(batch, generator)) for batch in batches])
    constant, about = log_partition(model, evaluation.generator())
    how |= {"seed": evaluation.seed, "log_partition": about["method"]}
    log_likelihood = mean_score("log_likelihood", -energies.cpu().double() - constant, how)
    return [log_likelihood, Score("log_partition", constant, {"unit": "nats"} | about)]


def of_pixels(evaluation: Evaluation) -> list[Score]:
    """The same of images on the levels of the model, said in ``images``; and ``bits_per_dim``, of a pixel's colour.

    A model with classes has ``log_likelihood_given_label``, log p(x|y), too; for log p(x) all are alike likely.
    """
    model, generator, (split, source) = evaluation.model, evaluation.generator(), evaluation.held_out
    assert isinstance(model, PredictsPixels)
    values, given_label = [], []
    for part in progress(evaluation.items().split(evaluation.batch_size), "log-likelihood"):
        batch = source.__getitems__(Chosen(-1, part))
        images = model.quantize(batch.images.to(evaluation.model.device), generator)
        values.append(model.log_likelihood(images))
        if isinstance(model, TakesLabels):
            given_label.append(model.log_likelihood(images, batch.labels.to(images.device)))
    num_dimensions = math.prod(evaluation.dataset.data_shape)
    kinds = {"drawn": f"binary, drawn with seed {evaluation.seed}", "threshold": "binary, by a threshold at half"}
    how: dict[str, Any] = {
        "unit": "nats an image",
        "images": kinds.get(model.binarization, f"of {model.num_levels} levels"),
    }
    how |= {"split": split, "num_images": sum(map(len, values))}
    nats = torch.cat(values).double()
    scores = [
        mean_score("log_likelihood", nats, how),
        mean_score("bits_per_dim", -nats / (num_dimensions * math.log(2)), how | {"unit": "bits a pixel and colour"}),
    ]
    if given_label:
        scores.append(mean_score("log_likelihood_given_label", torch.cat(given_label), how))
    return scores
