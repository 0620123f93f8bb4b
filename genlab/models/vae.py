"""Variational autoencoder.

Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114.
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import LabelledImages
from genlab.datasets.statistics import mean_image
from genlab.losses.variational import (
    binary,
    discretized_logistic_log_likelihood,
    draws_for,
    gaussian_kl,
    gaussian_log_likelihood,
    importance_weighted_bound,
    joint_bernoulli_log_likelihood,
)
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from genlab.networks.mlp import mlp
from genlab.randomness import row_by_row

ROWS = 1000
"""Latents decoded at a time in the importance-weighted bound: 1,000 rows of 784 pixels stay in a processor's cache."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class VAE(GenerativeModel):
    """An encoder and a decoder, trained together on a lower bound of the likelihood.

    All likelihoods are in nats an image; bounds that are reported are the paper's, whatever ``beta``, ``free_bits`` and
    ``kl_warmup_epochs`` made of them in training.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector z (paper: 2 to 200).
        network: of encoder and decoder.
        hidden_dims: units of each hidden layer of the encoder (``mlp``; paper: one layer of 500 for MNIST), or channels
            of each of its convolutions with stride 2 (``convolutional``); the decoder mirrors it.
        activation: of the hidden layers (paper: tanh).
        decoder_distribution: p(x|z), for each pixel independently. ``bernoulli``: images are made binary anew each time
            they are seen, a pixel is 1 with its grey value as the probability, and likelihoods are those of such
            images. ``gaussian``: densities of pixels in [-1, 1]. ``discretized_logistic``: probabilities of levels.
        num_levels: grey levels of a pixel that ``discretized_logistic`` tells apart, 256 for 8 bits.
        beta: weight of the KL divergence in training (paper: 1; more makes a beta-VAE, Higgins et al., 2017).
        free_bits: nats of each latent, in the mean over a process's share of the batch, that training does not penalize
            (Kingma et al., 2016, arXiv:1606.04934, equation 15; paper: 0).
        kl_warmup_epochs: epochs in which the weight of the divergence grows from 0 to ``beta`` (Sønderby et al., 2016,
            arXiv:1602.02282, section 2.3; paper: 0).
        pixel_bias: of the decoder's last layer at the start: ``zeros``, or the ``log_odds`` of the mean training image
            (of its channels if convolutional), as Burda et al. have it.
        optimizer: called once, for both networks (paper: Adagrad, lr 0.01, 0.02 or 0.1).

    Differs from the paper:
        - ReLU instead of tanh, Adam instead of Adagrad, no weight decay, batches of 128 instead of 100: as most later
          code has it.
        - The Gaussian decoder learns one variance for all pixels, not one for each from z, which has no bound where a
          pixel never changes.
        - PyTorch's initial weights, uniform by fan-in, instead of N(0, 0.01).
        - Binary images are drawn anew each epoch, as later papers do it (Burda et al., 2016, section 5,
          arXiv:1509.00519), so the encoder cannot learn one drawing by heart.
        - What is encoded outside of training (walks, reconstructions, active units) are grey images, not binary ones.
        - Convolutions, the discretized logistic distribution (Kingma et al., 2016, with one scale for all pixels) and
          the weights of the divergence came later.
    """

    batch_type = LabelledImages
    best_by = ("val/elbo", "max")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        network: Literal["mlp", "convolutional"],
        hidden_dims: Annotated[tuple[PositiveInt, ...], Field(min_length=1)],
        activation: Literal["relu", "tanh"],
        decoder_distribution: Literal["bernoulli", "gaussian", "discretized_logistic"],
        num_levels: Annotated[int, Field(ge=2)],
        beta: NonNegativeFloat,
        free_bits: NonNegativeFloat,
        kl_warmup_epochs: NonNegativeInt,
        pixel_bias: Literal["zeros", "log_odds"],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.decoder_distribution = decoder_distribution
        self.num_levels = num_levels
        self.beta = beta
        self.free_bits = free_bits
        self.kl_warmup_epochs = kl_warmup_epochs
        self.pixel_bias = pixel_bias
        self.optimizer = optimizer
        self.encoder: nn.Module
        self.decoder: nn.Module
        kind, num_pixels = ACTIVATIONS[activation], math.prod(image_shape)
        if network == "mlp":
            self.encoder = nn.Sequential(nn.Flatten(), *mlp(num_pixels, *hidden_dims, 2 * latent_dim, activation=kind))
            pixels = mlp(latent_dim, *reversed(hidden_dims), num_pixels, activation=kind)
            self.decoder = nn.Sequential(*pixels, nn.Unflatten(1, image_shape))
        else:
            self.encoder = ConvolutionalEncoder(image_shape, hidden_dims, 2 * latent_dim, kind)
            self.decoder = ConvolutionalDecoder(latent_dim, hidden_dims, image_shape, kind)
        if decoder_distribution != "bernoulli":
            # log of the standard deviation, or of the logistic distribution's scale; a tenth of the range at first
            self.log_scale = nn.Parameter(torch.tensor(math.log(0.2)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def on_train_start(self) -> None:
        if self.pixel_bias == "log_odds" and self.trainer.global_step == 0:
            self.begin((mean_image(dataset_of(self.trainer).sources["train"]) + 1) / 2)

    @torch.no_grad()
    def begin(self, mean: Tensor) -> None:
        """Pixels start as often white as in the training images, whose mean is ``(C, H, W)`` in [0, 1]."""
        last = [layer for layer in self.decoder.modules() if isinstance(layer, nn.Linear | nn.ConvTranspose2d)][-1]
        assert last.bias is not None
        white = mean.flatten() if isinstance(last, nn.Linear) else mean.mean((1, 2))
        last.bias.copy_(white.clamp(0.001, 0.999).logit())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        num_images = len(batch.images)
        images = self.visible(batch.images, self.draw(torch.rand, num_images, *batch.images.shape[1:]))
        noise = self.draw(torch.randn, num_images, self.latent_dim)
        posterior = self.posterior(images)
        reconstruction = self.reconstruction(images, posterior, noise).mean()
        kl = gaussian_kl(*posterior).mean()
        penalty = self.penalized(*posterior) if self.free_bits else kl
        self.descend(self.optimizers(), reconstruction + self.kl_weight() * penalty, "negative_elbo")
        self.report(negative_elbo=reconstruction + kl, reconstruction=reconstruction, kl=kl)

    def kl_weight(self) -> float:
        """``beta``, or the part of it that the warm-up has come to."""
        if not self.kl_warmup_epochs:
            return self.beta
        warm = self.kl_warmup_epochs * self.trainer.num_training_batches
        return self.beta * min(1.0, self.trainer.global_step / warm)

    def penalized(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """The mean divergence with at least ``free_bits`` for each latent, a scalar."""
        of_each_latent = gaussian_kl(mean.T, log_variance.T) / len(mean)
        return of_each_latent.clamp(min=self.free_bits).sum()

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        elbo = self.elbo(batch.images)
        self.log("val/elbo", elbo.mean(), batch_size=len(elbo), sync_dist=True)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each ``(N, latent_dim)``, of images in [0, 1]: appendix C.2, equation 12."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        # Under autocast: bf16 is too coarse for the divergence.
        return mean.to(images.dtype), log_variance.to(images.dtype)

    def log_likelihood_given_latent(self, logits: Tensor, images: Tensor) -> Tensor:
        """log p(x|z), ``(N,)`` nats: appendix C.

        Args:
            logits: ``(N, C, H, W)`` of the decoder; their sigmoid is the mean of a pixel between black and white.
            images: the same shape, in [0, 1].
        """
        if self.decoder_distribution == "bernoulli":
            return joint_bernoulli_log_likelihood(logits.flatten(1), images.flatten(1))
        mean, targets = logits.sigmoid() * 2 - 1, images * 2 - 1
        if self.decoder_distribution == "gaussian":
            return gaussian_log_likelihood(mean, 2 * self.log_scale, targets).flatten(1).sum(1)
        likelihood = discretized_logistic_log_likelihood(mean, self.log_scale, targets, self.num_levels)
        return likelihood.flatten(1).sum(1)

    def reconstruction(self, images: Tensor, posterior: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """-log p(x|z) for one draw of z, ``(N,)`` nats."""
        mean, log_variance = posterior
        return -self.log_likelihood_given_latent(self.decoder(mean + (0.5 * log_variance).exp() * noise), images)

    def bound(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The two terms of the negative bound (equation 10, with L = 1), each ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [0, 1], binary for ``bernoulli``.
            noise: ``(N, latent_dim)`` from N(0, 1), the epsilon of equation 10.
        """
        posterior = self.posterior(images)
        return self.reconstruction(images, posterior, noise), gaussian_kl(*posterior)

    def elbo(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The lower bound of log p(x) with one draw of z for each image, ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here for ``bernoulli``.
        """
        uniform, noise = draws_for(images, 1, self.latent_dim, generator)
        reconstruction, kl = self.bound(self.visible(images, uniform), noise[:, 0])
        return -reconstruction - kl

    def iwae(self, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """The importance-weighted bound with k draws of z (Burda et al., 2016, equation 8), ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here for ``bernoulli``.
        """
        bounds = []
        for part in images.split(max(1, ROWS // k)):
            uniform, noise = draws_for(part, k, self.latent_dim, generator)
            visible = self.visible(part, uniform)
            posterior = self.posterior(visible)
            log_weights = [self.log_weights(visible, posterior, some) for some in noise.split(ROWS, dim=1)]
            bounds.append(importance_weighted_bound(torch.cat(log_weights, dim=1)))
        return torch.cat(bounds)

    def log_weights(self, images: Tensor, posterior: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """log of p(x, z) / q(z|x) for each draw of z, ``(N, k)`` nats; noise is ``(N, k, latent_dim)``."""
        mean, log_variance = posterior
        latent = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        repeated = images.repeat_interleave(noise.shape[1], dim=0)
        log_likelihood = self.log_likelihood_given_latent(self.decoder(latent.flatten(0, 1)), repeated).view(
            noise.shape[:2]
        )
        # log of p(z) / q(z|x), from the two Gaussians.
        return log_likelihood + 0.5 * ((noise.square() - latent.square()).sum(2) + log_variance.sum(1)[:, None])

    def visible(self, images: Tensor, uniform: Tensor) -> Tensor:
        """What the likelihoods are of: images in [-1, 1] brought to [0, 1] and, for ``bernoulli``, made binary."""
        return binary(images, uniform) if self.decoder_distribution == "bernoulli" else (images + 1) / 2

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)`` from the prior N(0, I)."""
        return row_by_row(num_samples, torch.randn, self.latent_dim, generator=generator).to(next(self.parameters()))

    def decode(self, latent: Tensor) -> Tensor:
        """The middle of p(x|z) in [-1, 1]: its mean, for ``bernoulli`` the probability of white. ``(N, C, H, W)``."""
        return self.decoder(latent).sigmoid() * 2 - 1

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mean of q(z|x) or, with a generator, one draw of it for each image: ``(N, latent_dim)``."""
        mean, log_variance = self.posterior((images + 1) / 2)
        if generator is None:
            return mean
        noise = row_by_row(len(images), torch.randn, self.latent_dim, generator=generator)
        return mean + (0.5 * log_variance).exp() * noise.to(mean.device)

    def draw_pixels(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Pixels drawn from p(x|z), given the mean that ``decode`` gives; all in [-1, 1], beyond which none is left."""
        if self.decoder_distribution == "gaussian":
            noise = row_by_row(len(mean), torch.randn, mean.shape[1:], generator=generator).to(mean.device)
            return (mean + self.log_scale.exp() * noise).clamp(-1, 1)
        uniform = row_by_row(len(mean), torch.rand, mean.shape[1:], generator=generator).to(mean.device)
        if self.decoder_distribution == "bernoulli":
            return binary(mean, uniform) * 2 - 1
        # The level nearest to a draw of the logistic distribution, by its inverse distribution function.
        drawn = mean + self.log_scale.exp() * uniform.logit(eps=1e-7)
        steps = (self.num_levels - 1) / 2
        return ((drawn.clamp(-1, 1) + 1) * steps).round() / steps - 1

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """The means of p(x|z) for latents of the prior, ``(num_samples, C, H, W)`` in [-1, 1]."""
        return self.decode(self.draw_latent(num_samples, generator))
