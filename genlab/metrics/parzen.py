"""Log-likelihood of held-out images under a Parzen window on samples: what early papers on GANs report.

Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, arXiv:1406.2661, section 5; Breuleux, Bengio & Vincent,
"Quickly Generating Representative Samples from an RBM-Derived Process", Neural Computation 23(8), 2011,
doi:10.1162/NECO_a_00158. Theis et al., "A note on the evaluation of generative models", ICLR 2016, arXiv:1511.01844,
show how little it tells: centres of k-means score higher than training images, which are draws of the true
distribution. It is measured only if it is named.
"""

import math

import torch
from torch import Tensor

from genlab.datasets.loader import Chosen
from genlab.metrics.evaluation import Evaluation, Score, mean_score, not_finite, progress
from genlab.models.capabilities import Samples

ONLY_IF_NAMED = True

WIDTHS = torch.logspace(-2, 0, 21, dtype=torch.float64)
"""Standard deviations of the window that are tried, in units of images in [0, 1]."""

NUM_VALIDATION = 1000
"""Validation images that the width is chosen on, at most."""

ROWS = 500
"""Images whose distances to all samples are in memory at a time."""


def unfit(evaluation: Evaluation) -> str | None:
    if reason := evaluation.unfit_for_features():
        return reason
    evaluation.dataset.load_once()
    if not {"validation", "test"} <= evaluation.dataset.sources.keys():
        return f"'{evaluation.dataset.name}' has not both validation images to choose a width on and test images"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``parzen``: the mean over the test images in [0, 1], with the width that is best for validation images."""
    assert isinstance(evaluation.model, Samples)
    generator, split, items = evaluation.generator(), evaluation.held_out[0], evaluation.items(only_normal=True)
    numbers = progress(torch.arange(evaluation.num_samples).split(evaluation.batch_size), "samples of the window")
    samples = torch.cat([in_unit_interval(evaluation.model.sample(len(part), None, generator)) for part in numbers])
    how = {"unit": "nats an image in [0, 1]", "split": split, "num_images": len(items)}
    how |= {"num_samples": len(samples), "seed": evaluation.seed}
    if reason := not_finite(samples, "samples"):
        return [Score("parzen", None, how | {"undefined": reason.replace("features", "pixels")})]
    source = evaluation.dataset.sources["validation"]
    some = torch.randperm(len(source), generator=evaluation.generator())[:NUM_VALIDATION].sort().values
    validation = in_unit_interval(source.__getitems__(Chosen(-1, some))[0])
    means = log_likelihoods(validation, samples, WIDTHS).mean(1)
    width = WIDTHS[means.argmax()]
    images = evaluation.batches(items, ROWS, "Parzen window")
    values = torch.cat([log_likelihoods(in_unit_interval(part), samples, width[None])[0] for part in images])
    return [mean_score("parzen", values, how | {"sigma": width.item()})]


def in_unit_interval(images: Tensor) -> Tensor:
    """``(N, C, H, W)`` in [-1, 1] -> ``(N, C·H·W)`` in [0, 1], float64 on the CPU."""
    return (images.cpu().double().flatten(1) + 1) / 2


def log_likelihoods(images: Tensor, samples: Tensor, widths: Tensor) -> Tensor:
    """log of the mean of Gaussians about the samples, for each of their standard deviations.

    Shapes: ``(N, D)``, ``(M, D)``, ``(W,)`` float64 -> ``(W, N)`` nats.
    """
    constants = math.log(len(samples)) + images.shape[1] * (widths * math.sqrt(2 * math.pi)).log()
    found = []
    for rows in images.split(ROWS):
        squares = rows.square().sum(1)[:, None] + samples.square().sum(1) - 2 * rows @ samples.T
        found.append(torch.stack([(squares / (-2 * width**2)).logsumexp(1) for width in widths]))
    return torch.cat(found, 1) - constants[:, None]
