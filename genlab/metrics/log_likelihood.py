"""Log-likelihood of the held-out items, of models that can compute it or all of it but a constant."""

import torch

from genlab.metrics.evaluation import Evaluation, Score, mean_score
from genlab.metrics.log_partition import HasFreeEnergy, log_partition
from genlab.models.base import HasLikelihood


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, HasLikelihood | HasFreeEnergy):
        return f"{evaluation.model_name} cannot compute its likelihood"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``log_likelihood``: the mean of log p(x) over all held-out items.

    Nothing is drawn for a model that computes it. One that has a free energy is measured on binary images, those of
    ``elbo`` with the same seed; ``log_partition`` is then a second score, and ``standard_error`` that of the images
    alone.
    """
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
