"""Importance-weighted autoencoder.

Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016, arXiv:1509.00519.
"""

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import LabelledImages
from genlab.datasets.statistics import mean_image
from genlab.losses.variational import (
    binary,
    draws_for,
    gaussian_kl,
    importance_weighted_bound,
    joint_bernoulli_log_likelihood,
)
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.mlp import mlp
from genlab.randomness import row_by_row

ROWS = 1000
"""Latents decoded at a time where no gradient is needed: 1,000 rows of 784 pixels stay in a processor's cache."""


class IWAE(GenerativeModel):
    """A VAE trained on a tighter bound of the likelihood: the log of the mean of k importance weights.

    Images are made binary anew each time they are seen: a pixel is 1 with its grey value as the probability. All
    likelihoods are those of such images, in nats an image.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector (paper: 50, in the networks with one stochastic layer).
        hidden_dims: units of the encoder's hidden layers; the decoder mirrors it (paper: 200 and 200).
        num_draws: k, draws of the latent for each image (paper: 1, 5 and 50).
        warmup_epochs: epochs in which k grows from 1 to ``num_draws`` by equal factors (paper: 0). What many draws cost
            is spent at the end, where the tighter bound matters, so that a run of given time sees more images.
        backward: through ``all`` draws, as equation 14 has it, or through ``one`` of them, drawn with its normalized
            weight as the probability (end of section 3): the same gradient in the mean, three times as fast.
        optimizer: called once, for both networks (paper: Adam, lr 1e-3 falling to 1e-4, eps 1e-4, section 5).

    Differs from the paper:
        - One stochastic layer; the paper has two as well.
        - A recipe for minutes: 75 passes instead of 3,280, batches of 100 instead of 20, a higher rate that falls as a
          cosine instead of in 8 stages, k grows, and the gradient goes through one draw.
        - The encoder gives log σ², where the authors' code gives log σ; the bound is the same.
        - What is encoded outside of training (walks, reconstructions, active units) are grey images, not binary ones.
        - Trained on 55,000 images: 5,000 of the 60,000 are held out.
    """

    batch_type = LabelledImages
    best_by = ("val/bound", "max")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        hidden_dims: Annotated[tuple[PositiveInt, ...], Field(min_length=1)],
        num_draws: PositiveInt,
        warmup_epochs: NonNegativeInt,
        backward: Literal["all", "one"],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.latent_dim = latent_dim
        self.num_draws = num_draws
        self.warmup_epochs = warmup_epochs
        self.backward_through = backward
        num_pixels = math.prod(image_shape)
        self.encoder = mlp(num_pixels, *hidden_dims, 2 * latent_dim, activation=nn.Tanh)
        self.decoder = mlp(latent_dim, *reversed(hidden_dims), num_pixels, activation=nn.Tanh)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)  # section 5
                nn.init.zeros_(layer.bias)
        self.optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            self.begin((mean_image(dataset_of(self.trainer).sources["train"]) + 1) / 2)

    @torch.no_grad()
    def begin(self, mean: Tensor) -> None:
        """Each pixel starts as often white as in the training images, whose mean is ``(C, H, W)`` in [0, 1].

        The authors' code has it so; without it the learning rate of the recipe is too large.
        """
        pixels = self.decoder[-1]
        assert isinstance(pixels, nn.Linear)
        pixels.bias.copy_(mean.clamp(0.001, 0.999).logit().flatten())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        num_images = len(batch.images)
        images = binary(batch.images, self.draw(torch.rand, num_images, *self.image_shape))
        num_draws = self.draws_of_epoch(self.current_epoch)
        noise = self.draw(torch.randn, num_images, num_draws, self.latent_dim)
        posterior = self.posterior(images)
        if self.backward_through == "all":
            bound = importance_weighted_bound(self.log_weights(images, posterior, noise)).mean()
            self.descend(self.optimizers(), -bound, "negative_bound")
        else:
            with torch.no_grad():
                log_weights = self.log_weights(images, posterior, noise)
                bound = importance_weighted_bound(log_weights).mean()
            # The largest of log w - log(-log u) is one draw with the normalized weights as probabilities.
            gumbel = -(-self.draw(torch.rand, num_images, num_draws).log()).log()
            chosen = (log_weights + gumbel).argmax(1)
            noise = noise[torch.arange(num_images, device=noise.device), chosen, None]
            loss = -self.log_weights(images, posterior, noise).mean()
            self.descend(self.optimizers(), loss, "negative_log_weight")
        self.report(negative_bound=-bound, kl=gaussian_kl(*posterior).mean())

    def draws_of_epoch(self, epoch: int) -> int:
        """k in an epoch, counted from 0."""
        if epoch >= self.warmup_epochs:
            return self.num_draws
        return round(self.num_draws ** (epoch / self.warmup_epochs))

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        bound = self.iwae(batch.images, self.num_draws)
        self.log("val/bound", bound.mean(), batch_size=len(bound), sync_dist=True)

    def log_weights(self, images: Tensor, posterior: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
        """log of p(x, z) / q(z|x) for each draw of z, ``(N, k)`` nats.

        Args:
            images: ``(N, C, H, W)``, 0 or 1.
            posterior: mean and log variance of q(z|x), each ``(N, latent_dim)``.
            noise: ``(N, k, latent_dim)`` from N(0, 1).
        """
        mean, log_variance = posterior
        latent = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        log_ratio = 0.5 * ((noise.square() - latent.square()).sum(2) + log_variance.sum(1)[:, None])
        return self.log_likelihood_given_latent(images, latent) + log_ratio

    def log_likelihood_given_latent(self, images: Tensor, latent: Tensor) -> Tensor:
        """log p(x|z), ``(N, k)`` nats: of ``(N, C, H, W)`` binary images, for ``(N, k, latent_dim)`` latents."""
        return joint_bernoulli_log_likelihood(self.decoder(latent), images.flatten(1)[:, None])

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each ``(N, latent_dim)``, of images in [0, 1]."""
        mean, log_variance = self.encoder(images.flatten(1)).chunk(2, dim=1)
        # Under autocast: bf16 is too coarse for the divergence.
        return mean.to(images.dtype), log_variance.to(images.dtype)

    def elbo(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The evidence lower bound of log p(x) with one draw of z for each image, ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here.
        """
        uniform, noise = draws_for(images, 1, self.latent_dim, generator)
        images = binary(images, uniform)
        mean, log_variance = self.posterior(images)
        latent = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        return self.log_likelihood_given_latent(images, latent)[:, 0] - gaussian_kl(mean, log_variance)

    def iwae(self, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """The importance-weighted bound with k draws of z (equation 8), ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here.
        """
        bounds = []
        for part in images.split(max(1, ROWS // k)):
            uniform, noise = draws_for(part, k, self.latent_dim, generator)
            visible = binary(part, uniform)
            posterior = self.posterior(visible)
            log_weights = [self.log_weights(visible, posterior, some) for some in noise.split(ROWS, dim=1)]
            bounds.append(importance_weighted_bound(torch.cat(log_weights, dim=1)))
        return torch.cat(bounds)

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)`` from the prior N(0, I)."""
        return row_by_row(num_samples, torch.randn, self.latent_dim, generator=generator).to(next(self.parameters()))

    def decode(self, latent: Tensor) -> Tensor:
        """The probability of a white pixel, scaled from [0, 1] to [-1, 1]: ``(N, C, H, W)``."""
        return self.decoder(latent).sigmoid().unflatten(1, self.image_shape) * 2 - 1

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mean of q(z|x) or, with a generator, one draw of it for each image: ``(N, latent_dim)``."""
        mean, log_variance = self.posterior((images + 1) / 2)
        if generator is None:
            return mean
        noise = row_by_row(len(images), torch.randn, self.latent_dim, generator=generator)
        return mean + (0.5 * log_variance).exp() * noise.to(mean.device)

    def draw_pixels(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each pixel -1 or 1, drawn with the probability that ``decode`` gives."""
        uniform = row_by_row(len(mean), torch.rand, mean.shape[1:], generator=generator)
        return binary(mean, uniform.to(mean.device)) * 2 - 1

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Probabilities of white pixels for latents of the prior, ``(num_samples, C, H, W)`` in [-1, 1]."""
        return self.decode(self.draw_latent(num_samples, generator))
