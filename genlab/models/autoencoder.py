"""Autoencoder.

Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313, 2006,
doi:10.1126/science.1127647.
"""

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.variational import joint_bernoulli_log_likelihood
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.mirrored import LatentActivation, mirrored_networks


class Autoencoder(GenerativeModel):
    """An encoder and a decoder, trained together to give back what the encoder was given.

    The cost is the cross entropy of pixels in [0, 1], in nats an image. It cannot fall below the entropy of the grey
    values themselves, and is the likelihood of nothing unless all pixels are 0 or 1. There is no distribution of
    latents, so the model draws no images.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector, also called the code (paper: 30 for MNIST).
        network: of encoder and decoder.
        hidden_dims: units of each hidden layer of the encoder (``mlp``; paper: 1000, 500 and 250 for MNIST), or
            channels of each of its convolutions with stride 2 (``convolutional``); the decoder mirrors it.
        latent_activation: of the latent vector (paper: linear).
        optimizer: called once, for both networks (paper: conjugate gradients).

    Differs from the paper:
        - The recipe has one layer of 300 rectified units, 784-300-784, as courses begin with. The paper's own networks
          are ``hidden_dims=[1000,500,250] latent_dim=30 latent_activation=linear``, and 2 latents for its figure 3.
        - Rectified instead of logistic units and the initial weights of He et al. (2015) make the paper's pretraining,
          layer by layer, needless; Adam instead of conjugate gradients.
        - Convolutions came later.
    """

    batch_type = LabelledImages
    best_by = ("val/reconstruction", "min")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        network: Literal["mlp", "convolutional"],
        hidden_dims: tuple[PositiveInt, ...],
        latent_activation: LatentActivation,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder, self.decoder = mirrored_networks(image_shape, latent_dim, network, hidden_dims, latent_activation)
        self.optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        reconstruction = self.reconstruction_cost(batch.images).mean()
        self.descend(self.optimizers(), reconstruction, "reconstruction")
        self.report(reconstruction=reconstruction)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        cost = self.reconstruction_cost(batch.images)
        self.log("val/reconstruction", cost.mean(), batch_size=len(cost), sync_dist=True)

    def reconstruction_cost(self, images: Tensor, seen: Tensor | None = None) -> Tensor:
        """Cross entropy of images and what the decoder makes of them, ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
            seen: what the encoder is given, of the same shape; None is the images.
        """
        logits = self.decoder(self.encode(images if seen is None else seen))
        return -joint_bernoulli_log_likelihood(logits.flatten(1), (images.flatten(1) + 1) / 2)

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, latent_dim)``; nothing is drawn."""
        return self.encoder((images + 1) / 2)

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1]."""
        return self.decoder(latent).sigmoid() * 2 - 1
