"""Sparse autoencoder.

Ng, "Sparse Autoencoder", lecture notes of CS294A, Stanford, 2011,
https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf; the penalty on absolute values is one of Olshausen & Field,
"Emergence of Simple-Cell Receptive Field Properties by Learning a Sparse Code for Natural Images", Nature 381, 1996,
doi:10.1038/381607a0.
"""

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.variational import joint_bernoulli_log_likelihood
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.mirrored import LatentActivation, mirrored_networks


def l1_penalty(latent: Tensor) -> Tensor:
    """Sum of absolute values, in the mean over the batch.

    Shapes: ``(N, latent_dim)`` -> ``()``.
    """
    return latent.abs().sum(1).mean()


def kl_penalty(latent: Tensor, target: float) -> Tensor:
    """Sum over units of KL(Bernoulli(target) || Bernoulli(mean activation)), in nats: section 3 of the notes.

    Shapes: ``(N, latent_dim)`` in [0, 1] -> ``()``, at least 0.
    """
    mean = latent.mean(0).clamp(1e-7, 1 - 1e-7)
    return (target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()).sum()


class SparseAutoencoder(GenerativeModel):
    """An autoencoder that must give back an image with few of its units active.

    The cost is the cross entropy of pixels in [0, 1], in nats an image, and a weighted penalty. There is no
    distribution of latents, so the model draws no images.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector, the units whose activity is penalized (the notes' exercise: 25 for
            patches of 8x8).
        network: of encoder and decoder.
        hidden_dims: units of each hidden layer of the encoder (``mlp``; notes: none), or channels of each of its
            convolutions with stride 2 (``convolutional``); the decoder mirrors it.
        latent_activation: of the latent vector (notes: sigmoid).
        penalty: ``l1``: on the absolute value of each activation; ``kl``: on the mean of each unit's activation over
            the batch, or a process's share of it, which takes ``sigmoid``.
        weight: of the penalty (the exercise: 3, of ``kl``).
        target_activation: the mean activation that ``kl`` asks of each unit (notes: 0.05; the exercise: 0.01).
        optimizer: called once, for both networks (notes: L-BFGS over all images).

    Differs from the paper:
        - The recipe has rectified units and the penalty on absolute values, so units that are off are exactly 0. That
          of the notes is ``penalty=kl latent_activation=sigmoid``, with ``weight=3 target_activation=0.01`` in their
          exercise.
        - Smaller activations with larger weights of the decoder lower the penalty on absolute values as well: look at
          the share of active units.
        - Cross entropy instead of squared error, no weight decay, Adam; the mean activation is that of a batch.
    """

    batch_type = LabelledImages
    best_by = ("val/cost", "min")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        network: Literal["mlp", "convolutional"],
        hidden_dims: tuple[PositiveInt, ...],
        latent_activation: LatentActivation,
        penalty: Literal["l1", "kl"],
        weight: NonNegativeFloat,
        target_activation: float,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if penalty == "kl" and latent_activation != "sigmoid":
            raise ValueError(
                f"latent_activation={latent_activation} with penalty=kl: give sigmoid, whose values are probabilities"
            )
        if not 0 < target_activation < 1:
            raise ValueError(f"target_activation={target_activation}: give a number between 0 and 1")
        self.latent_dim = latent_dim
        self.penalty = penalty
        self.weight = weight
        self.target_activation = target_activation
        # Rectified units are off at 0, logistic ones nearer to 0 than to 1.
        self.threshold = 0.5 if latent_activation == "sigmoid" else 0.0
        self.encoder, self.decoder = mirrored_networks(image_shape, latent_dim, network, hidden_dims, latent_activation)
        self.optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        latent = self.encode(batch.images)
        reconstruction, penalty = self.reconstruction(batch.images, latent).mean(), self.sparsity(latent)
        cost = reconstruction + self.weight * penalty
        self.descend(self.optimizers(), cost, "cost")
        self.report(cost=cost, reconstruction=reconstruction, penalty=penalty, mean_activation=latent.mean())

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        latent = self.encode(batch.images)
        reconstruction = self.reconstruction(batch.images, latent).mean()
        values = {
            "val/cost": reconstruction + self.weight * self.sparsity(latent),
            "val/reconstruction": reconstruction,
            "val/active_share": self.active_share(latent),
        }
        self.log_dict(values, batch_size=len(latent), sync_dist=True)

    def sparsity(self, latent: Tensor) -> Tensor:
        """The penalty without its weight, ``()``, for latents ``(N, latent_dim)``."""
        return l1_penalty(latent) if self.penalty == "l1" else kl_penalty(latent, self.target_activation)

    def active_share(self, latent: Tensor) -> Tensor:
        """The share of units that are on, in the mean over images: ``()`` in [0, 1]."""
        return (latent.abs() > self.threshold).float().mean()

    def reconstruction(self, images: Tensor, latent: Tensor) -> Tensor:
        """Cross entropy of images in [-1, 1] and what the decoder makes of the latents, ``(N,)`` nats."""
        return -joint_bernoulli_log_likelihood(self.decoder(latent).flatten(1), (images.flatten(1) + 1) / 2)

    def reconstruction_cost(self, images: Tensor, seen: Tensor | None = None) -> Tensor:
        """Cross entropy of images and what the decoder makes of them, ``(N,)`` nats, without the penalty.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
            seen: what the encoder is given, of the same shape; None is the images.
        """
        return self.reconstruction(images, self.encode(images if seen is None else seen))

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, latent_dim)``; nothing is drawn."""
        return self.encoder((images + 1) / 2)

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1]."""
        return self.decoder(latent).sigmoid() * 2 - 1
