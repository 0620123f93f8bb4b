"""A data set and a model small enough to know every metric of them in closed form."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from genlab.datasets.base import Dataset
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.datasets.loader import Chosen, Source
from genlab.metrics.evaluation import Evaluation
from genlab.metrics.features import FeatureNetwork
from genlab.models.base import GenerativeModel
from genlab.randomness import row_by_row

PIXELS = FeatureNetwork("pixels", "0" * 64, "none", nn.Flatten())
"""The images themselves, row after row."""


class Items:
    """Given data, all of class 0 unless their ``labels`` are set."""

    def __init__(self, data: Tensor) -> None:
        self.data = data
        self.labels = torch.zeros(len(data), dtype=torch.long)

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, chosen: Chosen) -> Any:
        data = self.data[chosen.items]
        return Vectors(data) if data.ndim == 2 else LabelledImages(data, self.labels[chosen.items])


class Splits(Dataset):
    """Given splits."""

    def __init__(self, **splits: Tensor) -> None:
        data = next(iter(splits.values()))
        super().__init__("tiny", tuple(data.shape[1:]), 1, 0, 0)
        self.batch_type = Vectors if data.ndim == 2 else LabelledImages
        self.splits = splits

    def load(self) -> dict[str, Source]:
        return {split: Items(data) for split, data in self.splits.items()}

    def digest(self) -> str:
        return "tiny"


class LinearGaussian(GenerativeModel):
    """x = W z + b + noise: its likelihood is a Gaussian's, and q(z|x) has the right mean but is too wide."""

    batch_type = LabelledImages
    noise = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([[0.5, 0.1], [-0.2, 0.4], [0.3, 0.3], [0.0, -0.6]]))
        self.register_buffer("bias", torch.tensor([0.1, -0.1, 0.2, 0.0]))
        precision = torch.eye(2) + self.weight.T @ self.weight / self.noise**2
        self.posterior_covariance = precision.inverse()

    @property
    def marginal(self) -> MultivariateNormal:
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + self.noise**2 * torch.eye(4))

    def log_likelihood(self, items: Tensor) -> Tensor:
        return self.marginal.log_prob(items.flatten(1))

    def log_weights(self, images: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
        """log of p(x, z) / q(z|x) for k draws of z, ``(N, k)``."""
        x = images.flatten(1)[:, None]
        mean = (x - self.bias) @ self.weight @ self.posterior_covariance / self.noise**2
        posterior = MultivariateNormal(mean, 2 * self.posterior_covariance)
        noise = row_by_row(len(images), torch.randn, k, 2, generator=generator)
        latent = mean + noise @ torch.linalg.cholesky(2 * self.posterior_covariance).T
        likelihood = Normal(latent @ self.weight.T + self.bias, self.noise).log_prob(x).sum(2)
        return likelihood + Normal(0, 1).log_prob(latent).sum(2) - posterior.log_prob(latent)

    def elbo(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.log_weights(images, 1, generator)[:, 0]

    def iwae(self, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        return self.log_weights(images, k, generator).logsumexp(1) - math.log(k)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        noise = row_by_row(num_samples, torch.randn, 4, generator=generator)
        return (self.bias + noise @ self.marginal.scale_tril.T).view(num_samples, 1, 2, 2)


class Silent(GenerativeModel):
    """Can do nothing that is measured."""

    batch_type = LabelledImages


class Repeats(GenerativeModel):
    """Draws given images, from the first on, over and over."""

    batch_type = LabelledImages

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = images
        self.drawn = 0

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        items = torch.arange(self.drawn, self.drawn + num_samples) % len(self.images)
        self.drawn += num_samples
        return self.images[items]


def data_of(model: LinearGaussian, count: int, seed: int = 7) -> Tensor:
    return model.sample(count, None, torch.Generator().manual_seed(seed))


def evaluation(
    model: GenerativeModel, dataset: Dataset, network: FeatureNetwork | None = PIXELS, **settings: int
) -> Evaluation:
    defaults = {"num_samples": 100, "seed": 0, "batch_size": 32, "iwae_k": 5, "iwae_images": 50}
    return Evaluation(model.eval(), dataset, network, **(defaults | settings))
