"""What is the same in every model that is fitted by expectation maximization, or by its variational kind."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from genlab.datasets.base import Dataset, dataset_of
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.datasets.loader import Source
from genlab.errors import UsageError
from genlab.networks.em import EM
from genlab.networks.gaussian_mixture import GaussianMixture
from genlab.randomness import own_generators

SEEDING_ITEMS = 10_000
"""The most training items, of a class if there are several, that a start is chosen among."""


class FromEM(ABC):
    """What is the same in every model of mixtures that an ``EM`` fits; an epoch is one pass over the data."""

    em: EM
    trainer: Any
    all_gather: Any

    @abstractmethod
    def begin(self, source: Source) -> None:
        """Draws the starts among the training items from torch's generator, which all processes have seeded alike."""

    @property
    def mixture(self) -> GaussianMixture:
        return self.em.mixture

    def configure_optimizers(self) -> list[Any]:
        """None: nothing here has gradients."""
        return []

    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            self.begin(dataset_of(self.trainer).sources["train"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["em"] = self.em.state(self.all_gather)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        pass_is_complete = bool(checkpoint["state_dict"]["em.pass_is_complete"])
        self.em.load_state(checkpoint["em"], pass_is_complete, self.trainer.global_rank, self.trainer.world_size)


class FromMixture(FromEM):
    """What is the same in every model that is one mixture of Gaussians: the best of the fits that ``em`` makes."""

    data_shape: tuple[int, ...]
    best: Tensor
    """Which fit is the model."""
    device: Any
    log: Any

    @abstractmethod
    def log_likelihood(self, items: Tensor) -> Tensor:
        """log p(x), ``(N, *data_shape)`` -> ``(N,)`` nats."""

    def check_data(self, dataset: Dataset) -> None:
        num_items, num_components = dataset.sizes()["train"], self.mixture.means.shape[1]
        if num_items < num_components:
            raise UsageError(
                f"{num_items} training items are fewer than model.num_components={num_components}\n"
                "give at most one component an item"
            )

    def validation_step(self, batch: Vectors | LabelledImages, batch_idx: int) -> None:
        log_likelihood = self.log_likelihood(batch[0])
        self.log("val/log_likelihood", log_likelihood.mean(), batch_size=len(log_likelihood), sync_dist=True)

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights ``(K,)``, means ``(K, D)`` and covariances ``(K, D, D)``."""
        return self.mixture.components(int(self.best))

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``(num_samples, *data_shape)``: each item's component first, then its noise; nothing is clamped."""
        drawn = self.mixture.draw([int(self.best)] * num_samples, own_generators(num_samples, generator))
        return drawn.float().unflatten(1, self.data_shape).to(self.device)
