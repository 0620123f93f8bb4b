"""The latents of any model with a prior that give the images nearest to given ones, by gradient descent.

Zhu, Krähenbühl, Shechtman & Efros, "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016,
arXiv:1609.03552, section 4.1.
"""

from typing import Any

import torch
from torch import Tensor

from genlab.latents import priors_of
from genlab.models.capabilities import HasPrior


def project(
    model: HasPrior, images: Tensor, steps: int, num_starts: int, lr: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """From several starts, ``steps`` steps of Adam down the mean squared error; of each image the best is taken.

    Only numbers with a normal or uniform prior move, the latter within [-1, 1]; others, as classes, stay what a start
    has drawn. An image's latent does not depend on the other images.

    Shapes:
        images: ``(N, C, H, W)`` in [-1, 1].
        returns: latents ``(N, latent_dim)`` and mean squared errors ``(N,)``.

    Args:
        model: in evaluation mode.
        lr: Adam's learning rate.
        generator: draws the starts, which are the same for every image.
    """
    network: Any = model
    is_normal, is_uniform = (is_kind.to(images.device) for is_kind in priors_of(model))
    starts = model.draw_latent(num_starts, generator)
    latent = starts.repeat(len(images), 1).requires_grad_()
    wanted = images.repeat_interleave(num_starts, 0)
    adam = torch.optim.Adam([latent], lr=lr)
    learns = [weight for weight in network.parameters() if weight.requires_grad]
    try:
        network.requires_grad_(False)
        with torch.enable_grad():
            for _ in range(steps):
                # A sum, so that no image's gradient depends on how many others there are.
                (latent.grad,) = torch.autograd.grad(errors(model, latent, wanted).sum(), latent)
                latent.grad *= is_normal | is_uniform
                adam.step()
                latent.data = torch.where(is_uniform, latent.data.clamp(-1, 1), latent.data)
    finally:
        for weight in learns:
            weight.requires_grad_(True)
    latent = latent.detach()
    with torch.no_grad():
        found = errors(model, latent, wanted).view(-1, num_starts)
    best = found.argmin(1)
    rows = torch.arange(len(images), device=images.device)
    return latent.view(-1, num_starts, latent.shape[1])[rows, best], found[rows, best]


def errors(model: HasPrior, latent: Tensor, images: Tensor) -> Tensor:
    """Mean squared errors of the images that latents give, ``(N,)``."""
    return (model.decode(latent) - images).square().flatten(1).mean(1)
