"""Gaussian mixture fitted by variational inference: weights, means and covariances have posteriors.

Blei & Jordan, "Variational Inference for Dirichlet Process Mixtures", Bayesian Analysis 1(1), 2006,
doi:10.1214/06-BA104; with a Dirichlet prior of the weights: Attias, "A Variational Bayesian Framework for Graphical
Models", NIPS 1999. The updates as Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.2 has them.
"""

import math
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.datasets.loader import Chosen, Source, some_items
from genlab.errors import NumericError, UsageError
from genlab.models.base import GenerativeModel
from genlab.models.from_em import SEEDING_ITEMS, FromMixture
from genlab.networks.bayesian_mixture import BayesianMixture, moments_of
from genlab.networks.em import EM
from genlab.networks.gaussian_mixture import SingularCovarianceError
from genlab.networks.quadratic import Covariance

ACTIVE_WEIGHT = 0.01
"""A component of less weight counts as pruned."""


class VIGMM(FromMixture, GenerativeModel):
    """A mixture of Gaussians that finds out how many components the data need; an epoch is one update of all.

    The bound is that of log p(all items), without constants; it never falls but by rounding and regularization. Its
    priors and updates are scikit-learn's. Samples and likelihoods are those of the mixture with the posterior
    means of weights, means and precisions.

    Args:
        data_shape: of an item, which is flattened to D numbers.
        num_components: the most components, K; those that are not needed lose their weight.
        covariance: ``full``, ``tied``, ``diag`` or ``spherical``, as in a mixture fitted by maximum likelihood.
        weights_prior: ``process``: a Dirichlet process, cut off at K sticks; ``dirichlet``: a symmetric Dirichlet
            distribution, which with a large concentration keeps all K.
        concentration: of that prior; less gives fewer components; null is 1 / K.
        start: ``k-means``, ``k-means++`` or ``random`` among at most 10,000 training items.
        num_restarts: fits from different starts side by side; the highest bound is the model.
        tol: a fit has converged when a pass changes its bound by less, in nats of all items. Of some 10,000 items and
            more, float32 rounds the bound by as much as the default; ``precision=64-true`` does not.
        regularization: added to the variance of each column of each component, in squared units of the data.

    Differs from the paper:
        - Means and covariances have a normal and a Wishart distribution (Bishop), not just any exponential family.
        - The prior of means and covariances comes from the data, as in scikit-learn: their mean with a precision of
          1, and their covariance with D degrees of freedom.
        - Log-likelihoods are of that one mixture, not of the posterior predictive mixture (of Student's t).
        - The last stick has a posterior as the others have, and weights are divided by their sum, as in scikit-learn;
          in the paper it takes all that is left. The concentration is given, and has no prior of its own.
    """

    batch_type = Vectors | LabelledImages

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        num_components: PositiveInt,
        covariance: Covariance,
        weights_prior: Literal["process", "dirichlet"],
        concentration: PositiveFloat | None,
        start: Literal["k-means", "k-means++", "random"],
        num_restarts: PositiveInt,
        tol: NonNegativeFloat,
        regularization: NonNegativeFloat,
    ) -> None:
        super().__init__()
        self.data_shape = data_shape
        self.start = start
        mixture = BayesianMixture(
            num_restarts,
            num_components,
            math.prod(data_shape),
            covariance,
            regularization,
            weights_prior,
            concentration,
        )
        self.em = EM(mixture, tol)
        self.register_buffer("best", torch.tensor(0))

    @property
    def mixture(self) -> BayesianMixture:
        return self.em.mixture

    def begin(self, source: Source) -> None:
        """Sets the prior from all items, and draws a start for each restart; the same on each process."""
        batches = (torch.arange(first, min(first + 4096, len(source))) for first in range(0, len(source), 4096))
        mean, covariance = moments_of(
            (source.__getitems__(Chosen(-1, batch))[0].flatten(1).to(self.device) for batch in batches),
            self.mixture.expectation.features,
        )
        self.mixture.expectation.place(mean)
        chosen = some_items(len(source), SEEDING_ITEMS)
        points = source.__getitems__(Chosen(-1, chosen))[0].flatten(1).double().to(self.device)
        if len(self.data_shape) == 1 and (fault := self.mixture.hides(points)):
            rank_zero_warn(fault)
        for restart in range(len(self.em.changes)):
            self.mixture.set_prior(restart, mean, covariance)
            self.mixture.start(restart, points, self.start)

    def training_step(self, batch: Vectors | LabelledImages, batch_idx: int) -> None:
        try:
            self.em.add(batch[0].flatten(1))
            value = self.mixture.expectation.log_normalizers.sum().item()
            if not math.isfinite(value):
                raise NumericError(f"the bound of a batch is {value}")
            if self.trainer.is_last_batch:
                self.measure()
        except SingularCovarianceError as error:
            raise UsageError(
                f"with model.regularization={self.mixture.regularization:g} a covariance is not positive definite: "
                f"columns are constant or follow from others\ngive a larger one{self.mixture.or_simpler}"
            ) from error

    def measure(self) -> None:
        """The end of a pass: the bound of each restart, which is the best, and whether it has converged."""
        fall = self.em.end_pass(lambda total: self.trainer.strategy.reduce(total, reduce_op="sum")).max().item()
        self.best.copy_(self.em.lower_bounds.argmax())
        self.trainer.should_stop = self.trainer.should_stop or not self.em.is_open.any()
        bound = self.em.lower_bounds.max()
        # Regularization, of which the bound does not know, and rounding lower it by less.
        if fall > max(self.em.tol, 1e-5 * abs(bound.item())):
            rank_zero_warn(
                f"the evidence bound fell by {fall:.3g} nats, which it does not do on the same items: look at "
                "dataset.flip and trainer.limit_train_batches, or give less model.regularization"
            )
        self.log_now(lower_bound=bound, num_clusters=self.num_clusters.float())

    @property
    def num_clusters(self) -> Tensor:
        """Components with a weight of at least 1 %."""
        return (self.mixture.weights[self.best] >= ACTIVE_WEIGHT).sum()

    def on_train_end(self) -> None:
        change = self.em.changes[int(self.best)].item()
        if change >= self.em.tol:
            changed = f"the last pass changed the bound by {change:.3g} nats"
            rank_zero_warn(
                f"the fit has not converged: {changed if change < 1e300 else 'there was one pass'}, "
                f"model.tol={self.em.tol:g}; give more passes (trainer.max_epochs) or a larger model.tol"
            )

    def log_likelihood(self, items: Tensor) -> Tensor:
        """log p(x) of the mixture of posterior means and precisions, ``(N, *data_shape)`` -> ``(N,)`` nats."""
        return self.mixture.predictive_log_joint(items.flatten(1))[self.best].logsumexp(0)

    def responsibilities(self, items: Tensor) -> Tensor:
        """q(component | item), ``(N, *data_shape)`` -> ``(N, K)``."""
        return self.mixture.log_joint(items.flatten(1))[self.best].softmax(0).T

    @property
    def component_means(self) -> Tensor:
        """``(num_clusters, *data_shape)``, the heaviest component first."""
        order = self.mixture.weights[self.best].argsort(descending=True)[: int(self.num_clusters)]
        return self.mixture.means[self.best][order].unflatten(1, self.data_shape).float()
