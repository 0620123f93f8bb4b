"""Bayes classifier: a density for each class, from which one can also sample.

Duda & Hart, "Pattern Classification and Scene Analysis", 1973, chapter 2; with a mixture for each class: Hastie &
Tibshirani, "Discriminant Analysis by Gaussian Mixtures", Journal of the Royal Statistical Society B 58(1), 1996,
doi:10.1111/j.2517-6161.1996.tb02073.x.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen, Source, some_items
from genlab.errors import NumericError, UsageError
from genlab.models.base import GenerativeModel
from genlab.models.from_em import SEEDING_ITEMS, FromEM
from genlab.networks.bayesian_mixture import BayesianMixture, moments_of
from genlab.networks.em import EM
from genlab.networks.gaussian_mixture import GaussianMixture, SingularCovarianceError
from genlab.networks.quadratic import Covariance
from genlab.randomness import own_generators


class BayesClassifier(FromEM, GenerativeModel):
    """p(y) and p(x|y), so p(x), p(y|x), and two ways to draw: from a class, or from p(y) and then p(x|y).

    An epoch is a pass over the data. Gaussians need one pass, and a second that measures them; mixtures take an
    iteration of EM in each until every class has converged. Likelihoods are densities of images in [-1, 1], in nats.

    Args:
        data_shape: of an image, which is flattened to D numbers.
        num_classes: labels are 0 to num_classes - 1.
        class_model: ``gaussian``; ``gmm``: a mixture fitted by maximum likelihood; ``vi_gmm``: by variational Bayes
            with a Dirichlet process, which leaves as many components as a class needs.
        num_components: of the mixture of each class; of ``vi_gmm`` the most; 1 of ``gaussian``.
        covariance: ``full``, ``tied`` (by the components of a class), ``diag`` or ``spherical``.
        start: of the mixtures: ``k-means``, ``k-means++`` or ``random``.
        tol: a mixture has converged when a pass changes its bound by less, in nats an item; of ``vi_gmm`` in nats of
            all items.
        regularization: added to the variance of each pixel, in squared units of images in [-1, 1]; in units of images
            in [0, 1] it is a quarter. Pixels that never change have no other variance.

    Differs from the paper:
        - Each component has a covariance of its own, or each class one; in Hastie & Tibshirani all classes share one.
          Variational mixtures are in neither.
        - Regularization, without which images with pixels that never change have no density.
    """

    batch_type = LabelledImages
    log_priors: Tensor

    def __init__(
        self,
        data_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        class_model: Literal["gaussian", "gmm", "vi_gmm"],
        num_components: PositiveInt,
        covariance: Covariance,
        start: Literal["k-means", "k-means++", "random"],
        tol: NonNegativeFloat,
        regularization: NonNegativeFloat,
    ) -> None:
        super().__init__()
        if class_model == "gaussian" and num_components > 1:
            raise ValueError(
                f"num_components={num_components} with class_model=gaussian; accepted: 1, or gmm or vi_gmm"
            )
        self.data_shape = data_shape
        self.num_classes = num_classes
        self.class_model = class_model
        self.start = start
        sizes = (num_classes, num_components, math.prod(data_shape), covariance, regularization)
        mixture = BayesianMixture(*sizes, "process", None) if class_model == "vi_gmm" else GaussianMixture(*sizes)
        # One M-step finds the likeliest Gaussian: whatever a pass changes after the first, it has converged.
        self.em = EM(mixture, tol if class_model != "gaussian" else 1e300)
        self.register_buffer("log_priors", torch.full((num_classes,), -math.log(num_classes), dtype=torch.float64))

    def check_data(self, dataset: Dataset) -> None:
        if dataset.num_classes != self.num_classes:
            raise UsageError(
                f"model.num_classes={self.num_classes}, but '{dataset.name}' has "
                f"{dataset.num_classes or 'no'} classes\nset model.num_classes={dataset.num_classes or 'and labels'}"
            )

    def begin(self, source: Source) -> None:
        """Draws a start for each class from torch's generator; the same on each process.

        Raises:
            UsageError: a class has fewer images than components.
        """
        members = self.members(source)
        num_components = self.mixture.means.shape[1]
        for label, items in enumerate(members):
            if len(items) < num_components:
                raise UsageError(
                    f"class {label} has {len(items)} training images, model.num_components={num_components}\n"
                    "give at most one component an image"
                )
            chosen = items[some_items(len(items), SEEDING_ITEMS)]
            points = source.__getitems__(Chosen(-1, chosen)).images.flatten(1).double().to(self.device)
            if label == 0:
                self.mixture.expectation.place(points.mean(0))
            if isinstance(self.mixture, BayesianMixture):
                self.mixture.set_prior(
                    label, *moments_of(self.images(source, items), self.mixture.expectation.features)
                )
            self.mixture.start(label, points, self.start)

    def members(self, source: Source) -> list[Tensor]:
        """The numbers of the items of each class."""
        parts = torch.arange(len(source)).split(4096)
        labels = torch.cat([source.__getitems__(Chosen(-1, part)).labels for part in parts])
        return [(labels == label).nonzero()[:, 0] for label in range(self.num_classes)]

    def images(self, source: Source, items: Tensor) -> Iterator[Tensor]:
        for part in items.split(4096):
            yield source.__getitems__(Chosen(-1, part)).images.flatten(1).to(self.device)

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        try:
            self.em.add(batch.images.flatten(1), batch.labels)
            value = self.mixture.expectation.log_normalizers.sum().item()
            if not math.isfinite(value):
                raise NumericError(f"the log-likelihood of a batch is {value}")
            if self.trainer.is_last_batch:
                self.measure()
        except SingularCovarianceError as error:
            raise UsageError(
                f"with model.regularization={self.mixture.regularization:g} a covariance is not positive definite: "
                f"pixels never change or follow from others\ngive a larger one{self.mixture.or_simpler}"
            ) from error

    def measure(self) -> None:
        """The end of a pass: p(y), how likely the images of each class are, and whether EM is done."""
        fall = self.em.end_pass(lambda total: self.trainer.strategy.reduce(total, reduce_op="sum")).max().item()
        counts = self.mixture.expectation.num_items
        if missing := (counts == 0).nonzero()[:, 0].tolist():
            raise UsageError(
                f"no image of class {missing[0]} was among those trained on\n"
                "give more of them: trainer.limit_train_batches=1.0 takes all"
            )
        self.log_priors.copy_((counts / counts.sum()).log())
        self.trainer.should_stop = self.trainer.should_stop or not self.em.is_open.any()
        if fall > self.em.tol and self.class_model != "vi_gmm":
            rank_zero_warn(
                f"the mean log-likelihood of a class fell by {fall:.3g} nats an item, which EM on the same items does "
                "not do: look at dataset.flip and trainer.limit_train_batches"
            )
        within = self.em.lower_bounds
        total = within.sum() if self.class_model == "vi_gmm" else (within * counts).sum() / counts.sum()
        self.log_now(lower_bound=total)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        joint = self.log_joint(batch.images)
        is_right = (joint.argmax(0) == batch.labels).float()
        self.log("val/accuracy", is_right.mean(), batch_size=len(is_right), sync_dist=True)
        self.log("val/log_likelihood", joint.logsumexp(0).mean(), batch_size=len(is_right), sync_dist=True)

    def log_joint(self, images: Tensor) -> Tensor:
        """log p(x, y) of each class, ``(N, C, H, W)`` -> ``(num_classes, N)`` nats."""
        return self.mixture.predictive_log_joint(images.flatten(1)).logsumexp(1) + self.log_priors[:, None]

    def log_likelihood(self, images: Tensor) -> Tensor:
        """log p(x), ``(N, C, H, W)`` -> ``(N,)`` nats."""
        return self.log_joint(images).logsumexp(0)

    def log_posterior(self, images: Tensor) -> Tensor:
        """log p(y|x), ``(N, C, H, W)`` -> ``(N, num_classes)`` nats."""
        return self.log_joint(images).log_softmax(0).T

    @property
    def component_means(self) -> Tensor:
        """``(num_classes · K, C, H, W)``, class by class."""
        return self.mixture.means.flatten(0, 1).unflatten(1, self.data_shape).float()

    @property
    def num_free_parameters(self) -> int:
        """Of all densities, and of p(y), whose sum is 1."""
        return self.num_classes * self.mixture.num_free_parameters() + self.num_classes - 1

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``(num_samples, C, H, W)`` from p(x|y); nothing is clamped.

        Args:
            condition: labels y ``(num_samples,)``; None draws each from p(y).
        """
        priors = self.log_priors.exp().cpu()
        own = own_generators(num_samples, generator)
        drawn = (int(torch.multinomial(priors, 1, generator=each)) for each in own)
        labels = list(drawn) if condition is None else condition.tolist()
        return self.mixture.draw(labels, own).float().unflatten(1, self.data_shape).to(self.device)
