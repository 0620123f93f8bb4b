"""A mixture of Gaussians whose weights, means and covariances have distributions of their own."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from genlab.networks.gaussian_mixture import GaussianMixture, SingularCovarianceError
from genlab.networks.quadratic import Covariance, Quadratic, within


class BayesianMixture(GaussianMixture):
    """R mixtures of K Gaussians, fitted by variational Bayes (Bishop 2006, section 10.2; Blei & Jordan 2006).

    ``means`` are those of the posteriors, ``covariances`` the inverse of the posterior means of the precisions, as in
    scikit-learn, whose priors, updates and bound these are.

    Args:
        weights_prior: of the weights: a symmetric ``dirichlet``, or a Dirichlet ``process`` cut off at K sticks.
        concentration: of that prior; a small one empties components. None is 1 / K.

    Shapes:
        concentrations: ``(2, R, K)``, of Beta(a, b) for each stick if ``process``; else a and nothing.
        mean_precisions: ``(R, K)``, beta.
        degrees: ``(R, K)``, of freedom of each Wishart distribution.
    """

    concentrations: Tensor
    mean_precisions: Tensor
    degrees: Tensor
    prior_means: Tensor
    prior_covariances: Tensor

    def __init__(
        self,
        num_groups: int,
        num_components: int,
        dim: int,
        covariance: Covariance,
        regularization: float,
        weights_prior: Literal["process", "dirichlet"],
        concentration: float | None,
    ) -> None:
        super().__init__(num_groups, num_components, dim, covariance, regularization)
        self.weights_prior = weights_prior
        self.concentration = 1 / num_components if concentration is None else concentration
        ones = torch.ones(num_groups, num_components, dtype=torch.float64)
        self.register_buffer("concentrations", ones.repeat(2, 1, 1))
        self.register_buffer("mean_precisions", ones.clone())
        self.register_buffer("degrees", dim * ones)
        self.register_buffer("prior_means", torch.zeros_like(self.means[:, :1]))
        self.register_buffer("prior_covariances", self.covariances[:, :1].clone())

    def set_prior(self, group: int, mean: Tensor, covariance: Tensor) -> None:
        """From the mean ``(D,)`` and the unbiased covariance ``(D, D)``, or variances ``(D,)``, of a group's items."""
        self.prior_means[group] = mean
        self.prior_covariances[group] = covariance.mean() if self.covariance == "spherical" else covariance

    def predictive_log_joint(self, items: Tensor) -> Tensor:
        """log of weight times density of ``means`` and ``covariances``, ``(N, D)`` -> ``(R, K, N)`` nats."""
        return self.expectation.log_joint(items, super().coefficients())

    def start(self, group: int, points: Tensor, how: str) -> None:
        """As maximum likelihood starts, whose components then update the priors."""
        super().start(group, points, how)
        is_open = torch.arange(len(self.weights), device=self.weights.device) == group
        self.update(self.weights * len(points), self.means.clone(), self.covariances.clone(), is_open)

    def log_weights(self) -> Tensor:
        """The expectation of log weight, ``(R, K)``."""
        first, second = self.concentrations
        if self.weights_prior == "dirichlet":
            return first.digamma() - first.sum(-1, keepdim=True).digamma()
        both = (first + second).digamma()
        rest = (second.digamma() - both).cumsum(-1).roll(1, -1)
        rest[..., 0] = 0
        return first.digamma() - both + rest

    def coefficients(self) -> Tensor:
        """Of the expectations of log weight + log density, ``(R, K, size)``."""
        dim = self.means.shape[2]
        halves = (self.degrees[..., None] - torch.arange(dim).to(self.degrees)) / 2
        log_precision = dim * math.log(2) + halves.digamma().sum(-1)
        constant = self.log_weights() - dim / 2 * self.degrees.log()
        constant = constant + (log_precision - dim / self.mean_precisions) / 2
        return self.log_gaussian(constant)

    def maximize(self, is_open: Tensor) -> None:
        """The posteriors of the groups ``(R,)`` that are open."""
        counts, centred, covariances = within(self.expectation.moments, self.covariance)
        means = centred + self.expectation.offset
        self.update(counts, means, covariances + self.regularization * self.identity, is_open)

    def update(self, counts: Tensor, means: Tensor, covariances: Tensor, is_open: Tensor) -> None:
        """From what the components' items are like (Bishop, equations 10.58 to 10.63).

        Shapes:
            counts: ``(R, K)``; means: ``(R, K, D)``; covariances: as the buffer.
            is_open: ``(R,)``, the groups that are updated.
        """
        dim = means.shape[2]
        mean_precisions = 1 + counts
        from_prior = means - self.prior_means
        pull = counts / mean_precisions
        if self.covariance == "full":
            spread = from_prior[..., None] * from_prior[..., None, :]
            total = counts[..., None, None] * covariances + pull[..., None, None] * spread
        elif self.covariance == "tied":
            counts_each = counts.mean(1)[:, None, None, None]
            spread = (pull[..., None] * from_prior).mT @ from_prior / counts.shape[1]
            total = counts_each * covariances + spread[:, None]
        else:
            spread = from_prior.square()
            spread = spread.mean(2, keepdim=True) if self.covariance == "spherical" else spread
            total = counts[..., None] * covariances + pull[..., None] * spread
        degrees = dim + (counts.mean(1, keepdim=True).expand_as(counts) if self.covariance == "tied" else counts)
        divisor = degrees[:, :1] if self.covariance == "tied" else degrees
        posterior = (self.prior_covariances + total) / divisor[(..., *[None] * (total.ndim - 2))]
        self.means[is_open] = ((self.prior_means + counts[..., None] * means) / mean_precisions[..., None])[is_open]
        self.mean_precisions[is_open] = mean_precisions[is_open]
        self.degrees[is_open] = degrees[is_open]
        self.covariances[is_open] = posterior[is_open]
        self.set_concentrations(counts, is_open)

    def set_concentrations(self, counts: Tensor, is_open: Tensor) -> None:
        """The posterior of the weights, and their means."""
        if self.weights_prior == "process":
            later = counts.flip(-1).cumsum(-1).flip(-1) - counts
            found = torch.stack([1 + counts, self.concentration + later])
            share = found[0] / found.sum(0)
            rest = (found[1] / found.sum(0)).cumprod(-1).roll(1, -1)
            rest[..., 0] = 1
            weights = share * rest
        else:
            found = torch.stack([self.concentration + counts, torch.zeros_like(counts)])
            weights = found[0]
        weights = weights / weights.sum(-1, keepdim=True)
        self.concentrations[:, is_open] = found[:, is_open]
        self.weights[is_open] = weights[is_open]

    def conclude(self, is_open: Tensor) -> Tensor:
        """Updates the posteriors; returns the evidence bound of all items of the pass, ``(R,)`` nats.

        As in scikit-learn it is without constants, and right only for the posteriors that follow from its
        responsibilities, so the update comes first. A second one from the same sums would change nothing.
        """
        entropy = self.expectation.log_normalizers - (self.coefficients() * self.expectation.sums).sum((1, 2))
        self.maximize(is_open)
        dim = self.means.shape[2]
        log_det = -self.half_log_det() - dim / 2 * self.degrees.log()
        halves = (self.degrees[..., None] - torch.arange(dim).to(self.degrees)) / 2
        log_wishart = -(self.degrees * (log_det + dim / 2 * math.log(2)) + halves.lgamma().sum(-1))
        first, second = self.concentrations
        if self.weights_prior == "process":
            log_weights = -(first.lgamma() + second.lgamma() - (first + second).lgamma()).sum(-1)
        else:
            log_weights = first.sum(-1).lgamma() - first.lgamma().sum(-1)
        return entropy - log_wishart.sum(-1) - log_weights - dim / 2 * self.mean_precisions.log().sum(-1)

    def half_log_det(self) -> Tensor:
        """Half the log determinant of each covariance, ``(R, K)``.

        Raises:
            SingularCovarianceError: one is not positive definite.
        """
        if self.has_matrices:
            scale, failed = torch.linalg.cholesky_ex(self.covariances)
            if failed.any():
                raise SingularCovarianceError
            diagonal = scale.diagonal(dim1=-2, dim2=-1)
            return diagonal.log().sum(-1).expand_as(self.degrees)
        return self.covariances.expand_as(self.means).log().sum(-1) / 2


def moments_of(batches: Iterable[Tensor], features: Quadratic) -> tuple[Tensor, Tensor]:
    """Mean ``(D,)`` and unbiased covariance ``(D, D)`` of items, or their variances if there are no products.

    Of one item they are 0.

    Args:
        batches: ``(N, D)`` each, read once.
    """
    sums, offset = torch.zeros(features.size, dtype=torch.float64), None
    for batch in batches:
        if offset is None:
            offset = batch.double().mean(0)
            sums = sums.to(offset)
        for part in features.chunks(batch):
            sums += features(part, offset).sum(1)
    assert offset is not None
    count, first, second = features.moments(sums)
    mean = first / count
    square = mean[:, None] * mean if features.has_products else mean.square()
    return mean + offset, (second - count * square) / (count - 1).clamp(min=1)
