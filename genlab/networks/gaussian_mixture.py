"""A mixture of Gaussians with the two steps of expectation maximization."""

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from genlab.networks.quadratic import Covariance, Expectation, log_gaussian, within
from genlab.networks.seeding import k_means, k_means_plus_plus


class SingularCovarianceError(ValueError):
    """A covariance is not positive definite: items coincide or lie in a plane."""


class GaussianMixture(nn.Module):
    """R mixtures of K Gaussians: restarts of one fit, or a mixture for each class. All numbers are float64.

    Args:
        num_groups: R.
        num_components: K.
        dim: D, the columns of an item.
        covariance: ``full``, ``tied``, ``diag`` or ``spherical``.
        regularization: added to each variance, in squared units of the data.

    Shapes:
        weights: ``(R, K)``, sum 1 over K.
        means: ``(R, K, D)``.
        covariances: ``(R, K, D, D)`` if full, ``(R, 1, D, D)`` if tied, ``(R, K, D)`` if diag, ``(R, K, 1)`` if
            spherical.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(
        self, num_groups: int, num_components: int, dim: int, covariance: Covariance, regularization: float
    ) -> None:
        super().__init__()
        self.covariance = covariance
        self.regularization = regularization
        self.has_matrices = covariance in ("full", "tied")
        self.expectation = Expectation(num_groups, num_components, dim, covariance)
        self.register_buffer("weights", torch.full((num_groups, num_components), 1 / num_components).double())
        self.register_buffer("means", torch.zeros(num_groups, num_components, dim).double())
        if self.has_matrices:
            unit = torch.eye(dim).repeat(num_groups, num_components if covariance == "full" else 1, 1, 1)
        else:
            unit = torch.ones(num_groups, num_components, dim if covariance == "diag" else 1)
        self.register_buffer("covariances", unit.double())

    @property
    def or_simpler(self) -> str:
        """What else is advised where a covariance is not positive definite."""
        return ", or model.covariance=diag" if self.has_matrices else ""

    @property
    def identity(self) -> Tensor:
        """What regularization adds a multiple of."""
        dim = self.means.shape[-1]
        return torch.eye(dim).to(self.means) if self.has_matrices else torch.ones(()).to(self.means)

    def hides(self, points: Tensor) -> str | None:
        """What is wrong with the regularization if in it a column of points ``(N, D)`` hardly differs."""
        variances = points.var(0, correction=0)
        least = variances[variances > 0].min().item() if (variances > 0).any() else math.inf
        if least >= 10 * self.regularization:
            return None
        return (
            f"a column has a variance of {least:.2g}, in which model.regularization={self.regularization:g} hides what "
            f"differs: give less, as model.regularization={1e-3 * least:.0e}"
        )

    def start(self, group: int, points: Tensor, how: str) -> None:
        """Places the components of a group among points ``(N, D)``, by torch's generator.

        ``k-means++``: seeds are the means; ``random``: distinct random items are. In both the variances are the
        mean squared distance of a column from the nearest mean. ``k-means``: an M-step from its clusters.
        """
        points = points.double()
        num_components = self.means.shape[1]
        if how == "k-means":
            _, nearest = k_means(points, num_components)
            member = nn.functional.one_hot(nearest, num_components).double()
            features = self.expectation.features
            parts = zip(features.chunks(points), features.chunks(member), strict=True)
            sums = torch.stack([own.T @ features(part, points.mean(0)).T for part, own in parts]).sum(0)
            counts, means, covariances = within(features.moments(sums[None]), self.covariance)
            self.weights[group] = counts[0] / counts.sum()
            self.means[group] = means[0] + points.mean(0)
            self.covariances[group] = covariances[0] + self.regularization * self.identity
            return
        if how == "random":
            seeds = points[torch.randperm(len(points))[:num_components]]
        else:
            seeds = k_means_plus_plus(points, num_components)
        distances = torch.cdist(points, seeds).min(1).values.square()
        self.weights[group] = 1 / num_components
        self.means[group] = seeds
        self.covariances[group] = (distances.mean() / points.shape[1] + self.regularization) * self.identity

    def coefficients(self) -> Tensor:
        """Of log weight + log density, ``(R, K, size)``.

        Raises:
            SingularCovarianceError: a covariance is not positive definite, or a variance is 0.
        """
        return self.log_gaussian(self.weights.log())

    def log_gaussian(self, constant: Tensor) -> Tensor:
        """Coefficients of log density + ``constant`` ``(R, K)``, ``(R, K, size)``.

        Raises:
            SingularCovarianceError: a covariance is not positive definite, or a variance is 0.
        """
        if not self.has_matrices and not (self.covariances > 0).all():
            raise SingularCovarianceError
        centred = self.means - self.expectation.offset
        try:
            return log_gaussian(self.expectation.features, centred, self.covariances, constant)
        except torch.linalg.LinAlgError as error:
            raise SingularCovarianceError from error

    def log_joint(self, items: Tensor) -> Tensor:
        """log of weight times density, ``(N, D)`` -> ``(R, K, N)`` nats, float64."""
        return self.expectation.log_joint(items, self.coefficients())

    def predictive_log_joint(self, items: Tensor) -> Tensor:
        """The same: maximum likelihood has no other density for new items."""
        return self.log_joint(items)

    def conclude(self, is_open: Tensor) -> Tensor:
        """The mean log-likelihood of the items of the pass, ``(R,)`` nats an item."""
        return self.expectation.log_normalizers / self.expectation.num_items

    def maximize(self, is_open: Tensor) -> None:
        """The M-step of the groups ``(R,)`` that are open."""
        counts, means, covariances = within(self.expectation.moments, self.covariance)
        covariances = covariances + self.regularization * self.identity
        self.weights[is_open] = (counts / counts.sum(1, keepdim=True))[is_open]
        self.means[is_open] = (means + self.expectation.offset)[is_open]
        self.covariances[is_open] = covariances[is_open]

    def num_free_parameters(self) -> int:
        """Of one group: covariances, means, and weights, whose sum is 1."""
        _, num_components, dim = self.means.shape
        covariances = {
            "full": num_components * dim * (dim + 1) // 2,
            "tied": dim * (dim + 1) // 2,
            "diag": num_components * dim,
            "spherical": num_components,
        }[self.covariance]
        return covariances + num_components * dim + num_components - 1

    def scale(self, group: int) -> Tensor:
        """Cholesky factors ``(K, D, D)`` of the covariances, or standard deviations ``(K, D)``."""
        covariances = self.covariances[group]
        num_components, dim = self.means.shape[1:]
        if self.has_matrices:
            return torch.linalg.cholesky(covariances).expand(num_components, dim, dim)
        return covariances.sqrt().expand(num_components, dim)

    def components(self, group: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weights ``(K,)``, means ``(K, D)`` and covariances ``(K, D, D)`` of a group, on the CPU."""
        weights, means, covariances = self.weights[group], self.means[group], self.covariances[group]
        if not self.has_matrices:
            covariances = torch.diag_embed(covariances.expand_as(means))
        return weights.cpu(), means.cpu(), covariances.expand(*means.shape, means.shape[1]).cpu()

    def draw(self, groups: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        """An item of each of N groups, ``(N, D)`` on the CPU: by its generator, its component first, then its noise."""
        scales = cache(lambda group: self.scale(group).cpu())
        weights, means = self.weights.cpu(), self.means.cpu()
        drawn = []
        for group, generator in zip(groups, generators, strict=True):
            component = int(torch.multinomial(weights[group], 1, generator=generator))
            noise = torch.randn(means.shape[2], generator=generator).to(means)
            scale = scales(group)[component]
            drawn.append(means[group, component] + (scale @ noise if self.has_matrices else scale * noise))
        return torch.stack(drawn)


def criteria(mean_log_likelihood: float, num_items: float, num_free_parameters: int) -> tuple[float, float]:
    """Schwarz's (Bayesian) and Akaike's information criterion, nats doubled; lower is better."""
    fit = -2 * num_items * mean_log_likelihood
    return fit + num_free_parameters * math.log(num_items), fit + 2 * num_free_parameters
