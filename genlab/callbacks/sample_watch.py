"""What the losses of a game do not tell: whether samples come near the data, are all alike, or are copies."""

from typing import NamedTuple

import pytorch_lightning as pl
import torch
from pydantic import PositiveInt
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from genlab.callbacks.averaged_weights import exchanged, kept_by
from genlab.callbacks.progress import reported
from genlab.datasets.base import Dataset, dataset_of
from genlab.datasets.batches import Images, Vectors
from genlab.datasets.loader import Chosen, mixed_items
from genlab.errors import CollapseError
from genlab.metrics.features import FeatureNetwork, embedded
from genlab.metrics.frechet import frechet_distance
from genlab.models.from_latents import FromLatents

LEAST_DIVERSITY = 0.5
"""Mean distance between samples over that between images, below which the generator has collapsed."""

LEAST_DISTANCE = 0.4
"""Median distance of samples to the training images over that of held-out images, below which samples are copies."""

LEAST_LOSS = 0.01
"""Of a discriminator, in nats: below it generated items are told from real ones without doubt."""

YOUNG = 1000
"""Batches before which nothing is warned of: samples are all alike at first."""

COMPARED = 5000
"""Training items that samples are compared with."""


class Data(NamedTuple):
    """What samples are compared with, the same after every epoch.

    Args:
        training: some of the training items.
        spread, nearness: of held-out items.
        features: of held-out items.
    """

    training: Tensor
    spread: float
    nearness: float
    features: Tensor | None


class SampleWatch(pl.Callback):
    """Looks at samples of a generator after each validation, and warns once of each thing that goes wrong.

    Nothing is warned of in the first 1,000 batches.

    Logs ``val/frechet_distance`` to held-out items, by which the best checkpoint is chosen: on the features of the
    embedded classifier that knows the data set, of points on the points themselves, and not at all where there is
    neither. Logs ``val/diversity``, the mean distance between samples over that between held-out items, and
    ``val/nearness``, the median distance of samples to the nearest of at most 5,000 training items over that of
    held-out items; both are about 1 when all goes well.

    Args:
        num_samples: samples, and at most as many held-out items.
        stop: ends the training with exit code 5 where it would warn.
    """

    def __init__(self, num_samples: PositiveInt, stop: bool) -> None:
        self.num_samples = num_samples
        self.stop = stop
        self.told: set[str] = set()
        self.network: FeatureNetwork | None = None
        self.data: Data | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        dataset = dataset_of(trainer)
        fits = isinstance(pl_module, FromLatents) and issubclass(dataset.batch_type, Images | Vectors)
        if not fits or "validation" not in dataset.sources or len(dataset.sources["validation"]) < 2:
            return
        self.network = embedded(dataset.features).to(pl_module.device) if dataset.features else None
        held_out, training = items_of(dataset, "validation", self.num_samples), items_of(dataset, "train", COMPARED)
        features = self.features(held_out, pl_module.device)
        self.data = Data(training, spread(held_out), nearest(held_out, training), features)

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.data is None:
            return
        assert isinstance(pl_module, FromLatents)
        with exchanged(pl_module, kept_by(trainer)):
            samples = pl_module.sample(self.num_samples, None, torch.Generator().manual_seed(0)).float().cpu()
        values = {
            "val/diversity": spread(samples) / self.data.spread,
            "val/nearness": nearest(samples, self.data.training) / self.data.nearness,
        }
        if self.data.features is not None:
            features = self.features(samples, pl_module.device)
            assert features is not None
            values["val/frechet_distance"] = frechet_distance(self.data.features, features)
        loss = reported(pl_module).get("train/discriminator") if pl_module.saturates else None
        # Batch norm and losses differ between processes, which have to come to one judgement.
        values, loss = trainer.strategy.broadcast((values, loss))
        pl_module.log_dict(values)
        if trainer.global_step >= YOUNG:
            self.judge(trainer, values, loss)

    @torch.no_grad()
    def features(self, items: Tensor, device: torch.device) -> Tensor | None:
        """What a Fréchet distance compares: ``(N, D)``; None where nothing knows the images."""
        if items.ndim == 2:
            return items
        if self.network is None:
            return None
        return torch.cat([self.network.features(part.to(device)) for part in items.split(250)])

    def judge(self, trainer: pl.Trainer, values: dict[str, float], loss: float | None) -> None:
        """Warns of what is wrong, or stops.

        Raises:
            CollapseError: something is, and ``stop`` is set.
        """
        if loss is not None and loss < LEAST_LOSS:
            self.tell(
                trainer,
                f"the discriminator is saturated: its loss is {loss:.2g} nats, below {LEAST_LOSS}, so the generator "
                "learns next to nothing",
                "try a smaller optimizer.lr, or another seed or model",
            )
        if values["val/diversity"] < LEAST_DIVERSITY:
            self.tell(
                trainer,
                f"the generator has collapsed: samples differ {values['val/diversity']:.2f} times as much from each "
                f"other as held-out items do, below {LEAST_DIVERSITY}",
                "try a smaller optimizer.lr, or a model with a penalty, as dragan or wgan_gp",
            )
        if values["val/nearness"] < LEAST_DISTANCE:
            self.tell(
                trainer,
                f"samples are copies: they lie {values['val/nearness']:.2f} times as far from the training items as "
                f"held-out items do, below {LEAST_DISTANCE}",
                "look at them by 'genlab sample RUN kind=neighbours'; more data or a smaller model would help",
            )

    def tell(self, trainer: pl.Trainer, fault: str, advice: str) -> None:
        message = f"after step {trainer.global_step} {fault}\n{advice}"
        if self.stop:
            raise CollapseError(f"{message}\nthe last checkpoint is kept; callbacks.sample_watch.stop=false only warns")
        if (kind := fault.split(":")[0]) not in self.told:
            self.told.add(kind)
            rank_zero_warn(message)


def items_of(dataset: Dataset, split: str, count: int) -> Tensor:
    """At most ``count`` items of a split, ``(N, ...)`` on the CPU."""
    source = dataset.sources[split]
    return source.__getitems__(Chosen(-1, mixed_items(len(source), count)))[0]


def spread(items: Tensor) -> float:
    """The mean distance between two different items."""
    distances = torch.pdist(items.flatten(1).float())
    return max(distances.mean().item(), 1e-12)


def nearest(items: Tensor, others: Tensor) -> float:
    """The median distance of items to the nearest of the others."""
    return max(torch.cdist(items.flatten(1).float(), others.flatten(1).float()).amin(1).median().item(), 1e-12)
