"""Gaussian mixture model, fitted by expectation maximization (EM).

Dempster, Laird & Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", Journal of the Royal
Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveInt
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab import checkpoint as checkpoints
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.datasets.loader import Chosen, Source, some_items
from genlab.errors import DataError, NumericError, UsageError
from genlab.models.base import GenerativeModel
from genlab.models.from_em import SEEDING_ITEMS, FromMixture
from genlab.networks.em import EM
from genlab.networks.gaussian_mixture import GaussianMixture, SingularCovarianceError, criteria
from genlab.networks.quadratic import Covariance

STARTS = ("k-means", "k-means++", "random")


class GMM(FromMixture, GenerativeModel):
    """A mixture of Gaussians; an epoch is one iteration of EM, and memory does not grow with the number of items.

    A pass over the data measures the likelihood of the parameters and gathers the E-step's sums. The M-step is taken
    when the next pass begins, so what is logged, drawn and saved belongs together: the last ``train/lower_bound`` is
    the likelihood of the parameters that are kept, and BIC and AIC are exactly theirs.

    Likelihoods are densities of the items as the data set gives them, images in [-1, 1], in nats an item. Sums and
    parameters are float64; log densities of float32 items are in float32 where that is exact to 1e-4 nats.

    Args:
        data_shape: of an item, which is flattened to D numbers.
        num_components: K.
        covariance: ``full``: any, for each component; ``tied``: any, one for all components; ``diag``: a variance for
            each column of each component; ``spherical``: a variance for each component.
        start: ``k-means``, ``k-means++`` or ``random`` among at most 10,000 training items; or a file to begin with:
            an ``.npz`` with ``means`` and, if given, ``weights`` and ``covariances``, or a checkpoint of such a run.
        num_restarts: fits from different starts side by side, each until it converges; the likeliest is the model.
        tol: a fit has converged when a pass changes its mean log-likelihood by less, in nats an item.
        regularization: added to the variance of each column of each component, in squared units of the data.

    Differs from the paper:
        - The start, which the paper leaves open: k-means++ seeds are the means, and the mean squared distance of a
          column from the nearest seed is the variance; k-means gives the first M-step its clusters.
        - Regularization: without it the likelihood has no bound unless covariances are tied, as one component
          can shrink around one item.
        - The parameters of the last pass are kept, not those of an M-step after it whose likelihood is not known.
    """

    batch_type = Vectors | LabelledImages

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        num_components: PositiveInt,
        covariance: Covariance,
        start: str,
        num_restarts: PositiveInt,
        tol: NonNegativeFloat,
        regularization: NonNegativeFloat,
    ) -> None:
        super().__init__()
        if start not in STARTS and (not start.endswith((".npz", ".ckpt")) or num_restarts > 1):
            raise ValueError(
                f"start={start} with num_restarts={num_restarts}; accepted: {', '.join(STARTS)}, or with "
                "num_restarts=1 a file, .npz or .ckpt"
            )
        self.data_shape = data_shape
        self.start = start
        dim = math.prod(data_shape)
        mixture = GaussianMixture(num_restarts, num_components, dim, covariance, regularization)
        self.em = EM(mixture, tol)
        self.register_buffer("best", torch.tensor(0))

    def begin(self, source: Source) -> None:
        """Draws a start for each restart from torch's generator, which all processes have seeded alike."""
        chosen = some_items(len(source), SEEDING_ITEMS)
        points = source.__getitems__(Chosen(-1, chosen))[0].flatten(1).double().to(self.device)
        self.mixture.expectation.place(points.mean(0))
        if len(self.data_shape) == 1 and (fault := self.mixture.hides(points)):
            rank_zero_warn(fault)
        if self.start not in STARTS:
            given = read_start(Path(self.start).expanduser(), self.mixture)
            self.mixture.start(0, points, "random")
            for name, value in given.items():
                getattr(self.mixture, name)[0] = value
            return
        for restart in range(len(self.em.changes)):
            self.mixture.start(restart, points, self.start)

    def training_step(self, batch: Vectors | LabelledImages, batch_idx: int) -> None:
        try:
            self.em.add(batch[0].flatten(1))
        except SingularCovarianceError as error:
            raise UsageError(
                f"with model.regularization={self.mixture.regularization:g} a covariance is not positive definite: "
                "items of a component coincide or lie in a plane\n"
                f"give a larger one, or fewer components (model.num_components){self.mixture.or_simpler}"
            ) from error
        value = self.mixture.expectation.log_normalizers.sum().item()
        if not math.isfinite(value):
            raise NumericError(f"the log-likelihood of a batch is {value}")
        if self.trainer.is_last_batch:
            self.measure()

    def measure(self) -> None:
        """The end of a pass: how likely the items are in each restart, which is the best, and whether EM is done."""
        fall = self.em.end_pass(lambda total: self.trainer.strategy.reduce(total, reduce_op="sum")).max().item()
        self.best.copy_(self.em.lower_bounds.argmax())
        self.trainer.should_stop = self.trainer.should_stop or not self.em.is_open.any()
        if fall > self.em.tol:
            rank_zero_warn(
                f"the mean log-likelihood fell by {fall:.3g} nats an item, which EM on the same items does not do: "
                "look at dataset.flip and trainer.limit_train_batches, or give less model.regularization"
            )
        bound, count = self.em.lower_bounds.max(), self.mixture.expectation.num_items[0].item()
        bic, aic = criteria(bound.item(), count, self.num_free_parameters)
        self.log_now(lower_bound=bound, bic=bound.new_tensor(bic), aic=bound.new_tensor(aic))

    def on_train_end(self) -> None:
        change = self.em.changes[int(self.best)].item()
        if change >= self.em.tol:
            changed = f"the last pass changed the mean log-likelihood by {change:.3g} nats an item"
            rank_zero_warn(
                f"EM has not converged: {changed if change < 1e300 else 'there was one pass'}, "
                f"model.tol={self.em.tol:g}; give more passes (trainer.max_epochs) or a larger model.tol"
            )

    def log_joint(self, items: Tensor) -> Tensor:
        """log of weight times density of each component, ``(N, *data_shape)`` -> ``(K, N)`` nats."""
        return self.mixture.log_joint(items.flatten(1))[self.best]

    def log_likelihood(self, items: Tensor) -> Tensor:
        """log p(x), ``(N, *data_shape)`` -> ``(N,)`` nats."""
        return self.log_joint(items).logsumexp(0)

    def responsibilities(self, items: Tensor) -> Tensor:
        """The probability of each component given an item, ``(N, *data_shape)`` -> ``(N, K)``."""
        return self.log_joint(items).softmax(0).T

    @property
    def num_free_parameters(self) -> int:
        return self.mixture.num_free_parameters()

    @property
    def component_means(self) -> Tensor:
        """``(K, *data_shape)``, the heaviest component first."""
        order = self.mixture.weights[self.best].argsort(descending=True)
        return self.mixture.means[self.best][order].unflatten(1, self.data_shape).float()


def read_start(path: Path, mixture: GaussianMixture) -> dict[str, Tensor]:
    """``means`` and, if they are there, ``weights`` and ``covariances`` of one mixture.

    Args:
        path: ``.npz`` with arrays of these names, or a checkpoint of a mixture of as many components.

    Raises:
        DataError: it is missing, damaged or of other shapes.
    """
    names = ("means", "weights", "covariances")
    if not path.is_file():
        raise DataError(f"model.start={path} is not there: give an .npz of means, a checkpoint, or {', '.join(STARTS)}")
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: torch.from_numpy(arrays[name]).double() for name in names if name in arrays}
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"model.start={path} holds something other than arrays of numbers ({error})") from error
    else:
        state = checkpoints.load(path)["state_dict"]
        found = {name: state[f"em.mixture.{name}"][state["best"]] for name in names if f"em.mixture.{name}" in state}
    shapes = {name: tuple(getattr(mixture, name)[0].shape) for name in names}
    wrong = [
        f"{name} {list(value.shape)}, not {list(shapes[name])}"
        for name, value in found.items()
        if value.shape != shapes[name]
    ]
    weights = found.get("weights")
    if not wrong and weights is not None and not ((weights > 0).all() and abs(weights.sum().item() - 1) < 1e-3):
        wrong = [f"weights {[round(weight, 4) for weight in weights.tolist()]}, not above 0 and 1 together"]
    if "means" not in found or wrong:
        raise DataError(f"model.start={path} does not fit this mixture: {'; '.join(wrong) or 'it has no means'}")
    return found
