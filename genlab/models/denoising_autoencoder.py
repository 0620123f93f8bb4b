"""Denoising autoencoder.

Vincent, Larochelle, Lajoie, Bengio & Manzagol, "Stacked Denoising Autoencoders: Learning Useful Representations in a
Deep Network with a Local Denoising Criterion", JMLR 11, 2010, https://jmlr.org/papers/v11/vincent10a.html; first in
"Extracting and Composing Robust Features with Denoising Autoencoders", ICML 2008, doi:10.1145/1390156.1390294.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from genlab.datasets.batches import LabelledImages
from genlab.losses.variational import binary, joint_bernoulli_log_likelihood
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.mirrored import LatentActivation, mirrored_networks
from genlab.randomness import own_generators, row_by_row

SAMPLE_STEPS = 200
"""Steps of the chain before a sample; its first reconstructions are of noise."""


class DenoisingAutoencoder(GenerativeModel):
    """An autoencoder that sees corrupted images and must give back clean ones.

    The cost is the cross entropy of clean pixels in [0, 1], in nats an image.

    To corrupt an image and draw its pixels from the reconstruction, over and over, is a Markov chain whose distribution
    comes to that of the images as the reconstruction comes to the true one: Bengio et al., "Generalized Denoising
    Auto-Encoders as Generative Models", NIPS 2013, arXiv:1305.6663, theorem 1. Samples are the ends of such chains.
    Their pixels are black or white, so training makes images binary anew each time they are seen, a pixel white with
    its grey value as the probability.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector, also called the code (paper: 1000 to 3000 for MNIST).
        network: of encoder and decoder.
        hidden_dims: units of each hidden layer of the encoder (``mlp``; paper: none), or channels of each of its
            convolutions with stride 2 (``convolutional``); the decoder mirrors it.
        latent_activation: of the latent vector (paper: sigmoid).
        corruption: ``masking``: pixels become black; ``salt_and_pepper``: white or black, by a fair coin; ``gaussian``:
            noise is added (paper: all three).
        level: the probability that a pixel is corrupted; of ``gaussian`` the standard deviation of the noise, for
            images in [0, 1] (paper: 0 to 0.5).
        optimizer: called once, for both networks (paper: gradient descent).

    Differs from the paper:
        - One autoencoder, trained for what it restores; the paper stacks several as a start for classifiers. With a
          hidden layer of its own, its chains give clearer digits than without.
        - Each pixel is corrupted independently, instead of a fixed number of them.
        - Grey values are made binary in training, which the chain of Bengio et al. needs. Costs of validation and
          evaluation are of grey images, as those of other autoencoders.
        - Rectified units and Adam; encoder and decoder have weights of their own.
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
        corruption: Literal["masking", "salt_and_pepper", "gaussian"],
        level: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if corruption != "gaussian" and level > 1:
            raise ValueError(f"level={level} with corruption={corruption} is a probability: at most 1")
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.corruption = corruption
        self.level = level
        self.encoder, self.decoder = mirrored_networks(image_shape, latent_dim, network, hidden_dims, latent_activation)
        self.optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        images = binary(batch.images, self.draw(torch.rand, *batch.images.shape)) * 2 - 1
        seen = self.corrupted(images, self.draw(self.noise, *images.shape))
        reconstruction = self.reconstruction_cost(images, seen).mean()
        self.descend(self.optimizers(), reconstruction, "reconstruction")
        self.report(reconstruction=reconstruction)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        cost = self.reconstruction_cost(batch.images, self.corrupt(batch.images))
        self.log("val/reconstruction", cost.mean(), batch_size=len(cost), sync_dist=True)

    def reconstruction_cost(self, images: Tensor, seen: Tensor | None = None) -> Tensor:
        """Cross entropy of images and what the decoder makes of them, ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
            seen: what the encoder is given, of the same shape; None is the images, uncorrupted.
        """
        logits = self.decoder(self.encode(images if seen is None else seen))
        return -joint_bernoulli_log_likelihood(logits.flatten(1), (images.flatten(1) + 1) / 2)

    @property
    def noise(self) -> Any:
        """What draws the random numbers of a corruption, one for each pixel."""
        return torch.randn if self.corruption == "gaussian" else torch.rand

    def corrupted(self, images: Tensor, noise: Tensor) -> Tensor:
        """Images in [-1, 1] after a corruption by given random numbers of the same shape."""
        if self.corruption == "gaussian":
            return images + 2 * self.level * noise  # the pixels' range is 2 wide
        black, white = {"masking": (self.level, 0.0), "salt_and_pepper": (self.level / 2, self.level / 2)}[
            self.corruption
        ]
        return images.masked_fill(noise < black, -1).masked_fill(noise >= 1 - white, 1)

    def corrupt(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images in [-1, 1] after a corruption, which with ``gaussian`` may leave that range: ``(N, C, H, W)``."""
        noise = row_by_row(len(images), self.noise, images.shape[1:], generator=generator)
        return self.corrupted(images, noise.to(images))

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, latent_dim)``; nothing is drawn."""
        return self.encoder((images + 1) / 2)

    def decode(self, latent: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1]."""
        return self.decoder(latent).sigmoid() * 2 - 1

    def chain(self, num_chains: int, num_frames: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """The reconstructions of ``num_frames`` steps, each ``(num_chains, C, H, W)`` in [-1, 1], from noise on.

        Computed in float64 on the CPU: a pixel hangs on whether a random number is below its probability, and float32
        rounds that differently in batches of different sizes.
        """
        network = deepcopy(nn.Sequential(self.encoder, self.decoder)).cpu().double()
        own = own_generators(num_chains, generator)

        def draw(sampler: Any) -> Tensor:
            return torch.stack([sampler(self.image_shape, generator=each, dtype=torch.float64) for each in own])

        images = draw(torch.rand).round() * 2 - 1
        for _ in range(num_frames):
            with torch.no_grad():
                mean = network((self.corrupted(images, draw(self.noise)) + 1) / 2).sigmoid() * 2 - 1
            yield mean.to(self.device, self.dtype)
            images = binary(mean, draw(torch.rand)) * 2 - 1

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """What ``num_samples`` chains come to after 200 steps, ``(num_samples, C, H, W)`` in [-1, 1]."""
        for images in self.chain(num_samples, SAMPLE_STEPS, generator):
            last = images
        return last
