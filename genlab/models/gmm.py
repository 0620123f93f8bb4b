"""Gaussian mixture model, fitted by expectation maximization (EM).

Dempster, Laird & Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", Journal of the Royal
Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveInt
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.datasets.loader import Chosen, Source
from genlab.errors import NumericError, UsageError
from genlab.models.base import GenerativeModel, row_by_row

SEEDING_ITEMS = 10_000
"""The most training items that a start is chosen among."""


class Mixture(NamedTuple):
    """K Gaussians; a dimension R of restarts may come before K.

    Shapes:
        weights: ``(K,)``, sum 1.
        means: ``(K, D)``.
        scale: Cholesky factors of the covariances, ``(K, D, D)`` if full, ``(1, D, D)`` if tied; standard deviations,
            ``(K, D)`` if diag, ``(K, 1)`` if spherical.
    """

    weights: Tensor
    means: Tensor
    scale: Tensor

    @property
    def covariances(self) -> Tensor:
        """In the shape of ``scale``."""
        return self.scale @ self.scale.mT if self.scale.ndim > self.means.ndim else self.scale.square()

    def deviations(self, items: Tensor) -> Tensor:
        """From each component's mean: ``(N, D)`` -> ``(K, D, N)``."""
        return items.T - self.means[..., None]

    def log_joint(self, deviations: Tensor) -> Tensor:
        """log of weight times density of each component: ``(K, D, N)`` -> ``(K, N)`` nats, in float64."""
        # Distances are computed in the items' precision, their sum with a constant of opposite sign in a higher one.
        # Apple's GPUs, on which a model can be used but not trained, have none.
        wide = torch.float32 if deviations.is_mps else torch.float64
        if self.scale.ndim > self.means.ndim:
            whitened = torch.linalg.solve_triangular(self.scale, deviations, upper=False)
            scale = self.scale.diagonal(dim1=-2, dim2=-1)
        else:
            whitened = deviations / self.scale[..., None]
            scale = self.scale.expand_as(self.means)
        constant = self.weights.to(wide).log() - (scale.to(wide) * math.sqrt(2 * math.pi)).log().sum(-1)
        return constant[..., None] - 0.5 * whitened.square().sum(-2).to(wide)


class Statistics(NamedTuple):
    """All that the M-step needs of the data: sums over items x weighted with their responsibilities r, in float64.

    Deviations are from the means of the E-step, so that nothing cancels however far from 0 the data lie. The statistics
    of two shares of the data add up to those of both.

    Shapes:
        num_items: ``(R,)``.
        log_likelihood: ``(R,)``, of log p(x).
        counts: ``(R, K)``, of r.
        deviations: ``(R, K, D)``, of r (x - mean).
        squares: of r (x - mean)(x - mean)^T, ``(R, K, D, D)`` if full, ``(R, 1, D, D)`` over all components if tied;
            its diagonal, ``(R, K, D)``, if diag or spherical.
    """

    num_items: Tensor
    log_likelihood: Tensor
    counts: Tensor
    deviations: Tensor
    squares: Tensor


class GMM(GenerativeModel):
    """A mixture of Gaussians; an epoch is one iteration of EM, and memory does not grow with the number of items.

    A pass over the data measures the likelihood of the parameters and gathers the statistics of the E-step. The M-step
    is taken when the next pass begins, so what is logged, drawn and saved belongs together: the last
    ``train/lower_bound`` is the likelihood of the parameters that are kept, and BIC and AIC are exactly theirs.

    Likelihoods are densities of the items as the data set gives them, images in [-1, 1], in nats an item. In float32
    their mean is within 1e-6 of float64's, relatively, or within 1e-6 nats where it is near 0.

    Args:
        data_shape: of an item, which is flattened to D numbers.
        num_components: K.
        covariance: ``full``: any, for each component; ``tied``: any, one for all components; ``diag``: a variance for
            each column of each component; ``spherical``: a variance for each component.
        num_restarts: fits from different starts side by side, each until it converges; the likeliest is the model.
        tol: a fit has converged when a pass changes its mean log-likelihood by less, in nats an item.
        regularization: added to the variance of each column of each component, in squared units of the data.

    Differs from the paper:
        - The start, which the paper leaves open, is k-means++ on at most 10,000 training items: the seeds are the
          means, and the mean squared distance of a column from the nearest seed is the variance.
        - Regularization: without it the likelihood has no bound unless covariances are tied, as one component
          can shrink around one item.
        - The parameters of the last pass are kept, not those of an M-step after it whose likelihood is not known.
    """

    batch_type = Vectors | LabelledImages
    weights: Tensor
    means: Tensor
    scale: Tensor
    best: Tensor

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        num_components: PositiveInt,
        covariance: Literal["full", "tied", "diag", "spherical"],
        num_restarts: PositiveInt,
        tol: NonNegativeFloat,
        regularization: NonNegativeFloat,
    ) -> None:
        super().__init__()
        self.data_shape = data_shape
        self.num_components = num_components
        self.covariance = covariance
        self.tol = tol
        self.regularization = regularization
        dim = math.prod(data_shape)
        means = torch.zeros(num_restarts, num_components, dim)
        self.has_matrices = covariance in ("full", "tied")
        if self.has_matrices:
            scale = torch.eye(dim).repeat(num_restarts, num_components if covariance == "full" else 1, 1, 1)
        else:
            scale = torch.ones(num_restarts, num_components, dim if covariance == "diag" else 1)
        self.register_buffer("weights", torch.full((num_restarts, num_components), 1 / num_components))
        self.register_buffer("means", means)
        self.register_buffer("scale", scale)
        self.register_buffer("best", torch.tensor(0))
        # No buffers: Apple's GPUs, which can draw samples, have no float64.
        squares = scale if self.has_matrices else means
        shapes = (means.shape[:1], means.shape[:1], means.shape[:2], means.shape, squares.shape)
        self.statistics = Statistics(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))
        self.pass_is_complete = False
        self.lower_bounds = torch.full((num_restarts,), -torch.inf, dtype=torch.float64)
        self.changes = torch.full((num_restarts,), torch.inf, dtype=torch.float64)

    @property
    def mixture(self) -> Mixture:
        """The best restart."""
        return Mixture(self.weights[self.best], self.means[self.best], self.scale[self.best])

    @property
    def is_open(self) -> Tensor:
        """Which restarts have not converged, ``(R,)``."""
        return self.changes >= self.tol

    def configure_optimizers(self) -> None:
        """EM has no gradients: the optimizer of the configuration is not used."""

    def check_data(self, dataset: Dataset) -> None:
        num_items = dataset.sizes()["train"]
        if num_items < self.num_components:
            raise UsageError(
                f"{num_items} training items are fewer than model.num_components={self.num_components}\n"
                "give at most one component an item"
            )

    def setup(self, stage: str) -> None:
        if isinstance(strategy := self.trainer.strategy, DDPStrategy):
            # torch's wrapper is for gradients: it refuses a model without any.
            strategy.configure_ddp = lambda: None  # type: ignore[method-assign]

    def on_train_start(self) -> None:
        if self.device.type == "mps":
            raise UsageError("EM needs float64, which Apple's GPUs do not have: accelerator=cpu")
        self.statistics = Statistics(*(total.to(self.device) for total in self.statistics))
        if self.trainer.global_step == 0:
            self.start(self.trainer.datamodule.sources["train"])  # type: ignore[attr-defined]

    def start(self, source: Source) -> None:
        """Draws a start for each restart from torch's generator, which all processes have seeded alike."""
        chosen = torch.randperm(len(source))[:SEEDING_ITEMS].sort().values
        points = source.__getitems__(Chosen(-1, chosen))[0].flatten(1).double()
        starts = [k_means_plus_plus(points, self.num_components) for _ in self.weights]
        means, distances = (torch.stack(column).to(self.device) for column in zip(*starts, strict=True))
        variances = distances.mean(1).view(-1, *[1] * (self.scale.ndim - 1)) / points.shape[1]
        self.assign(torch.full_like(self.weights, 1 / self.num_components), means, variances * self.identity)

    def training_step(self, batch: Vectors | LabelledImages, batch_idx: int) -> None:
        if self.pass_is_complete:
            self.maximize(Statistics(*map(self.sum_over_processes, self.statistics)))
            for total in self.statistics:
                total.zero_()
            self.pass_is_complete = False
        found = self.expect(batch[0].flatten(1))
        if not math.isfinite(value := found.log_likelihood.sum().item()):
            raise NumericError(f"the log-likelihood of a batch is {value}")
        for total, part in zip(self.statistics, found, strict=True):
            total += part
        if self.trainer.is_last_batch:
            self.measure()

    def expect(self, items: Tensor) -> Statistics:
        """The E-step of some items ``(N, D)``, in log space and in their own precision."""
        mixtures = Mixture(self.weights, self.means, self.scale)
        deviations = mixtures.deviations(items)
        log_joint = mixtures.log_joint(deviations)
        log_likelihood = log_joint.logsumexp(1)
        responsibilities = (log_joint - log_likelihood[:, None]).exp().double()
        # Products of float64, too: of rounded ones, covariances of columns nearly in a plane are not positive definite.
        deviations = deviations.double()
        if self.has_matrices:
            squares = (responsibilities[:, :, None] * deviations) @ deviations.mT
        else:
            squares = (deviations.square() @ responsibilities[..., None])[..., 0]
        return Statistics(
            torch.full_like(self.weights[:, 0], len(items), dtype=torch.float64),
            log_likelihood.double().sum(1),
            responsibilities.sum(2),
            (deviations @ responsibilities[..., None])[..., 0],
            squares.sum(1, keepdim=True) if self.covariance == "tied" else squares,
        )

    def maximize(self, statistics: Statistics) -> None:
        """The M-step from the statistics of all items; what has converged stays as it is.

        Raises:
            UsageError: a covariance is not positive definite.
        """
        _, _, counts, deviations, squares = statistics
        counts = counts + 10 * torch.finfo(torch.float64).eps  # as scikit-learn: a component may have no items
        shift = deviations / counts[..., None]
        if self.covariance == "full":
            covariances = squares / counts[..., None, None] - shift[..., None] * shift[..., None, :]
        elif self.covariance == "tied":
            between = (counts[..., None] * shift).mT @ shift
            covariances = (squares - between[:, None]) / counts.sum(1)[:, None, None, None]
        else:
            covariances = (squares / counts[..., None] - shift.square()).clamp(min=0)
        if self.covariance == "spherical":
            covariances = covariances.mean(2, keepdim=True)
        self.assign(counts / counts.sum(1, keepdim=True), self.means + shift, covariances)

    def assign(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        """Sets the parameters of the restarts that have not converged; ``covariances`` are not yet regularized."""
        regularized = covariances + self.regularization * self.identity
        if self.has_matrices:
            scale, failed = torch.linalg.cholesky_ex(regularized)
        else:
            scale = regularized.sqrt()
            failed = (scale.to(self.scale.dtype) == 0).any(2)
        if failed[self.is_open].any():
            raise UsageError(
                f"with model.regularization={self.regularization:g} a covariance is not positive definite: items of a "
                "component coincide or lie in a plane\n"
                "give a larger one, fewer components (model.num_components), or model.covariance=diag"
            )
        for buffer, value in ((self.weights, weights), (self.means, means), (self.scale, scale)):
            buffer[self.is_open] = value[self.is_open].to(buffer.dtype)

    @property
    def identity(self) -> Tensor:
        """What regularization adds a multiple of, in float64."""
        if self.has_matrices:
            return torch.eye(self.means.shape[2], dtype=torch.float64, device=self.device)
        return torch.ones((), dtype=torch.float64, device=self.device)

    def sum_over_processes(self, total: Tensor) -> Tensor:
        """In place."""
        return self.trainer.strategy.reduce(total, reduce_op="sum")

    def measure(self) -> None:
        """The end of a pass: how likely the items are in each restart, which is the best, and whether EM is done."""
        self.pass_is_complete = True
        num_items, log_likelihood = self.sum_over_processes(torch.stack(self.statistics[:2])).cpu()
        before, self.lower_bounds = self.lower_bounds, log_likelihood / num_items
        self.changes = torch.where(self.is_open, (self.lower_bounds - before).abs(), self.changes)
        self.best.copy_(self.lower_bounds.argmax())
        if not self.is_open.any():
            self.trainer.should_stop = True
        best, count = self.lower_bounds.max(), num_items[0].item()
        if (fall := (before - self.lower_bounds).max()) > self.tol:
            rank_zero_warn(
                f"the mean log-likelihood fell by {fall:.3g} nats an item, which EM on the same items does not do: "
                "look at dataset.flip and trainer.limit_train_batches, or give less model.regularization"
            )
        self.log_now(lower_bound=best, bic=self.bic(best, count), aic=self.aic(best, count))

    def on_train_end(self) -> None:
        if (change := self.changes[int(self.best)]) >= self.tol:
            rank_zero_warn(
                f"EM has not converged: the last pass changed the mean log-likelihood by {change:.3g} nats an item, "
                f"model.tol={self.tol:g}; give more passes (trainer.max_epochs) or a larger model.tol"
            )

    def validation_step(self, batch: Vectors | LabelledImages, batch_idx: int) -> None:
        log_likelihood = self.log_likelihood(batch[0])
        self.log("val/log_likelihood", log_likelihood.mean(), batch_size=len(log_likelihood), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state of EM; the statistics of a pass under way as ``(processes, ...)``."""
        shares: list[Any] = [self.all_gather(total) for total in self.statistics]
        checkpoint["em"] = {
            "pass_is_complete": self.pass_is_complete,
            "lower_bounds": self.lower_bounds,
            "changes": self.changes,
            "statistics": [
                share.reshape(-1, *total.shape) for share, total in zip(shares, self.statistics, strict=True)
            ],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Each process goes on with its own share or, if their number has changed, the first with the sum of all."""
        em, rank, processes = checkpoint["em"], self.trainer.global_rank, self.trainer.world_size
        self.pass_is_complete, self.lower_bounds, self.changes = (
            em["pass_is_complete"],
            em["lower_bounds"],
            em["changes"],
        )
        self.statistics = Statistics(
            *(share[rank] if len(share) == processes else share.sum(0) * (rank == 0) for share in em["statistics"])
        )

    def log_joint(self, items: Tensor) -> Tensor:
        """log of weight times density of each component, ``(N, *data_shape)`` -> ``(K, N)`` nats."""
        return self.mixture.log_joint(self.mixture.deviations(items.flatten(1)))

    def log_likelihood(self, items: Tensor) -> Tensor:
        """log p(x), ``(N, *data_shape)`` -> ``(N,)`` nats."""
        return self.log_joint(items).logsumexp(0)

    def responsibilities(self, items: Tensor) -> Tensor:
        """The probability of each component given an item, ``(N, *data_shape)`` -> ``(N, K)``."""
        return self.log_joint(items).softmax(0).T

    @property
    def num_free_parameters(self) -> int:
        """Of the covariances, the means and the weights, whose sum is 1."""
        components, dim = self.num_components, self.means.shape[2]
        covariances = {
            "full": components * dim * (dim + 1) // 2,
            "tied": dim * (dim + 1) // 2,
            "diag": components * dim,
            "spherical": components,
        }[self.covariance]
        return covariances + components * dim + components - 1

    def bic(self, mean_log_likelihood: Tensor, num_items: float) -> Tensor:
        """Schwarz's (Bayesian) information criterion of ``num_items`` training items; lower is better."""
        return -2 * num_items * mean_log_likelihood + self.num_free_parameters * math.log(num_items)

    def aic(self, mean_log_likelihood: Tensor, num_items: float) -> Tensor:
        """Akaike's information criterion of ``num_items`` training items; lower is better."""
        return -2 * num_items * mean_log_likelihood + 2 * self.num_free_parameters

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``(num_samples, *data_shape)``: each item's component first, then its noise; nothing is clamped."""
        weights, means, scale = (tensor.cpu() for tensor in self.mixture)
        scale = scale.expand(len(means), *scale.shape[1:])

        def draw() -> Tensor:
            component = int(torch.multinomial(weights, 1, generator=generator))
            noise = torch.randn(means.shape[1], generator=generator).to(means.dtype)
            return means[component] + (scale[component] @ noise if self.has_matrices else scale[component] * noise)

        return row_by_row(num_samples, draw).unflatten(1, self.data_shape).to(self.device)


def k_means_plus_plus(points: Tensor, num_seeds: int) -> tuple[Tensor, Tensor]:
    """Draws each next seed in proportion to its squared distance from the nearest seed so far.

    Arthur & Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007, section 2.2. With fewer distinct
    points than seeds some seeds are equal, and a warning says so.

    Shapes:
        points: ``(N, D)`` float64.
        returns: the seeds ``(num_seeds, D)`` and the squared distance of each point from the nearest seed, ``(N,)``.
    """
    chosen = [int(torch.randint(len(points), ()))]
    distances = (points - points[chosen[0]]).square().sum(1)
    for number in range(1, num_seeds):
        if not distances.any():
            rank_zero_warn(
                f"the {len(points)} items looked at have only {number} distinct ones for {num_seeds} components; some "
                "will be equal"
            )
            chosen += torch.randint(len(points), (num_seeds - number,)).tolist()
            break
        chosen.append(int(torch.multinomial(distances, 1)))
        distances = torch.minimum(distances, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen], distances
