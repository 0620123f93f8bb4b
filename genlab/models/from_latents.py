"""What is the same in every model that maps latents of a known prior to data."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from genlab.datasets.base import Dataset
from genlab.errors import UsageError
from genlab.randomness import row_by_row


def uniform(*shape: int, **how: Any) -> Tensor:
    """Uniform in [-1, 1); arguments as of ``torch.rand``."""
    return torch.rand(*shape, **how).mul_(2).sub_(1)


class FromLatents:
    """What is the same in every model whose ``generator`` alone maps latents of a known prior to data."""

    latent_dim: int
    generator: nn.Module
    device: Any
    dtype: Any
    best_by: ClassVar[tuple[str, Literal["min", "max"]] | None] = ("val/frechet_distance", "min")
    prior: Callable[..., Tensor] = staticmethod(torch.randn)
    """``torch.randn`` or alike, of the numbers of a latent, each drawn alone."""

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)`` from the prior."""
        return row_by_row(num_samples, self.prior, self.latent_dim, generator=generator).to(self.device, self.dtype)

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, latent_dim)`` -> images ``(N, C, H, W)`` in (-1, 1), or points ``(N, D)``."""
        return self.generator(latent)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Data of latents from the prior, ``(num_samples, *data_shape)``.

        Batch norm uses its running statistics once the model is in evaluation mode, so that an image does not depend on
        those beside it.
        """
        return self.decode(self.draw_latent(num_samples, generator))


class FromLabels(FromLatents):
    """What is the same in every model whose latents are noise and, beside it, a class with a 1 in its place."""

    noise_dim: int
    num_classes: int

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, noise_dim + num_classes)``: noise from the prior and classes alike often."""
        return row_by_row(num_samples, self._draw_row, generator=generator).to(self.device, self.dtype)

    def _draw_row(self, generator: torch.Generator | None) -> Tensor:
        label = torch.randint(self.num_classes, (), generator=generator)
        return torch.cat([self.prior(self.noise_dim, generator=generator), one_hot(label, self.num_classes)])

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Images ``(num_samples, C, H, W)`` of labels ``(num_samples,)`` int64; None: of any classes."""
        latent = self.draw_latent(num_samples, generator)
        if condition is not None:
            latent[:, self.noise_dim :] = one_hot(condition.to(latent.device), self.num_classes)
        return self.decode(latent)

    def check_data(self, dataset: Dataset) -> None:
        if dataset.num_classes != self.num_classes:
            raise UsageError(
                f"model.num_classes={self.num_classes}, but '{dataset.name}' has "
                f"{dataset.num_classes or 'no'} classes\nset model.num_classes={dataset.num_classes or 'and labels'}"
            )


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """``(...,)`` int64 -> ``(..., num_classes)`` float32."""
    return nn.functional.one_hot(labels, num_classes).float()
