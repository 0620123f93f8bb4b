"""Variational autoencoder.

Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114.
"""

import math
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.batches import LabelledImages
from genlab.models.base import GenerativeModel, OptimizerFactory, row_by_row


class Encoder(nn.Module):
    """q(z|x): a Gaussian with diagonal covariance (appendix C.2, equation 12).

    Shapes: ``(N, C, H, W)`` in [0, 1] -> mean ``(N, latent_dim)``, log_std ``(N, latent_dim)``.
    """

    def __init__(self, num_pixels: int, latent_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_pixels, hidden_dim)
        self.latent = nn.Linear(hidden_dim, 2 * latent_dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.latent(functional.relu(self.hidden(images.flatten(1)))).chunk(2, dim=1)
        return mean, log_std


class Decoder(nn.Module):
    """p(x|z): an independent Bernoulli distribution for each pixel (appendix C.1, equation 11).

    Shapes: ``(N, latent_dim)`` -> logits ``(N, C, H, W)``.
    """

    def __init__(self, latent_dim: int, hidden_dim: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.pixels = nn.Linear(hidden_dim, math.prod(image_shape))

    def forward(self, latent: Tensor) -> Tensor:
        return self.pixels(functional.relu(self.hidden(latent))).unflatten(1, self.image_shape)


class VAE(GenerativeModel):
    """An encoder and a decoder, trained together on a lower bound of the likelihood.

    Images are made binary anew each time they are seen: a pixel is 1 with its grey value as the probability. All
    likelihoods are those of such images, in nats an image.

    Args:
        image_shape: ``(C, H, W)``.
        latent_dim: length of the latent vector z (paper: 2 to 200).
        hidden_dim: units of the one hidden layer of each network (paper: 500 for MNIST).
        optimizer: called once, for both networks (paper: Adagrad, lr 0.01, 0.02 or 0.1).

    Differs from the paper:
        - ReLU instead of tanh, Adam instead of Adagrad, no weight decay, batches of 128 instead of 100: as most later
          code has it.
        - The encoder gives log σ, not log σ²; the bound is the same.
        - No Gaussian decoder, which the paper has for continuous data (Frey Face).
        - PyTorch's initial weights, uniform by fan-in, instead of N(0, 0.01).
        - Binary images are drawn anew each epoch, as later papers do it (Burda et al., 2016, section 5,
          arXiv:1509.00519), so the encoder cannot learn one drawing by heart.
    """

    batch_type = LabelledImages
    best_by = ("val/elbo", "max")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        hidden_dim: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(math.prod(image_shape), latent_dim, hidden_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, image_shape)
        self.optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        num_images = len(batch.images)
        images = binary(batch.images, self.draw(torch.rand, num_images, *batch.images.shape[1:]))
        noise = self.draw(torch.randn, num_images, self.latent_dim)
        reconstruction, kl = self.bound(images, noise)
        loss = reconstruction.mean() + kl.mean()
        self.descend(self.optimizers(), loss, "negative_elbo")
        self.report(negative_elbo=loss, reconstruction=reconstruction.mean(), kl=kl.mean())

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        elbo = self.elbo(batch.images)
        self.log("val/elbo", elbo.mean(), batch_size=len(elbo), sync_dist=True)

    def bound(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The two terms of the negative bound (equation 10, with L = 1), each ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)``, 0 or 1.
            noise: ``(N, latent_dim)`` from N(0, 1), the epsilon of equation 10.
        """
        # Under autocast: bf16 is too coarse for the divergence.
        mean, log_std = (part.to(noise.dtype) for part in self.encoder(images))
        logits = self.decoder(mean + log_std.exp() * noise)
        reconstruction = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
        # Appendix B: the divergence of q(z|x) from the prior N(0, I), in closed form.
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        return reconstruction.flatten(1).sum(1), kl.sum(1)

    def elbo(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The lower bound of log p(x) with one draw of z for each image, ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here.
        """
        draws = [self.draw_for(image, 1, generator) for image in images]
        binary_images, noise = (torch.stack(column) for column in zip(*draws, strict=True))
        reconstruction, kl = self.bound(binary_images, noise[:, 0])
        return -reconstruction - kl

    def iwae(self, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor:
        """The importance-weighted bound with k draws of z (Burda et al., 2016, equation 8), ``(N,)`` nats.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1]; made binary here.
        """
        bounds = []
        for image in images:
            image, noise = self.draw_for(image, k, generator)
            mean, log_std = self.encoder(image[None])
            latent = mean + log_std.exp() * noise
            logits = self.decoder(latent)
            # log p(x|z) = sum of x·logit - log(1 + e^logit); log p(z)/q(z|x) from the two Gaussians.
            log_likelihood = logits.flatten(1) @ image.flatten() - functional.softplus(logits).flatten(1).sum(1)
            log_ratio = 0.5 * (noise.square() - latent.square()).sum(1) + log_std.sum()
            bounds.append(torch.logsumexp(log_likelihood + log_ratio, dim=0) - math.log(k))
        return torch.stack(bounds)

    def draw_for(self, image: Tensor, k: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """One image ``(C, H, W)`` made binary, and k rows of noise.

        Drawn image by image, and noise from a generator of its own: neither the batch nor k nor ``latent_dim`` changes
        the binary images, so all bounds of a seed are of the same ones.
        """
        uniform = torch.rand(image.shape, generator=generator)
        own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        noise = torch.randn(k, self.latent_dim, generator=own)
        return binary(image, uniform.to(image.device)), noise.to(image.device)

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, latent_dim)`` from the prior N(0, I)."""
        return row_by_row(num_samples, lambda: torch.randn(self.latent_dim, generator=generator)).to(self.device)

    def decode(self, latent: Tensor) -> Tensor:
        """The probability of a white pixel, scaled from [0, 1] to [-1, 1]: ``(N, C, H, W)``."""
        return self.decoder(latent).sigmoid() * 2 - 1

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The mean of q(z|x) or, with a generator, one draw of it for each image: ``(N, latent_dim)``."""
        mean, log_std = self.encoder((images + 1) / 2)
        if generator is None:
            return mean
        noise = row_by_row(len(images), lambda: torch.randn(self.latent_dim, generator=generator))
        return mean + log_std.exp() * noise.to(mean.device)

    def draw_pixels(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each pixel -1 or 1, drawn with the probability that ``decode`` gives."""
        uniform = row_by_row(len(mean), lambda: torch.rand(mean.shape[1:], generator=generator))
        return binary(mean, uniform.to(mean.device)) * 2 - 1

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Probabilities of white pixels for latents of the prior, ``(num_samples, C, H, W)`` in [-1, 1]."""
        return self.decode(self.draw_latent(num_samples, generator))


def binary(images: Tensor, uniform: Tensor) -> Tensor:
    """Draws 1 with the probability ``(images + 1) / 2``, else 0.

    Shapes:
        images: any, in [-1, 1].
        uniform: the same shape, in [0, 1).
    """
    # 1 where images > 2·uniform - 1. A comparison would hide NaN in the data; clamp lets it through.
    return torch.sub(images, uniform, alpha=2).add_(1).mul_(1e30).clamp_(0, 1)
