"""What may be done with latents: truncate those of any model with a prior, give one's own, join two, and search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from genlab.errors import UsageError
from genlab.models.capabilities import HasPrior
from genlab.randomness import row_by_row

DrawLatent = Callable[[int, torch.Generator | None], Tensor]
"""As ``HasPrior.draw_latent``."""

NUM_PROBES = 4096
LARGEST_DISTANCE = 0.05


def priors_of(model: HasPrior) -> tuple[Tensor, Tensor]:
    """Which numbers of a latent are drawn from N(0, 1), and which uniformly from [-1, 1]: bool ``(latent_dim,)`` each.

    Others are neither, as a class with a 1 in its place. It is told from draws, and so of every model: the largest
    distance between the distribution function of 4,096 draws and that of the prior is below 0.05. Of draws from this
    prior it is larger with a probability of 2 exp(-2 · 4096 · 0.05²) = 3e-9 (Kolmogorov's and Smirnov's test); the
    distance between the two priors is 0.16.
    """
    # The class's, which is the model's own within ``latents_by`` too.
    latent = type(model).draw_latent(model, NUM_PROBES, torch.Generator().manual_seed(0))
    draws = latent.cpu().double().sort(0).values
    shares = ((torch.arange(NUM_PROBES, dtype=torch.float64) + 0.5) / NUM_PROBES)[:, None]
    of_normal, of_uniform = torch.special.ndtr(draws), ((draws + 1) / 2).clamp(0, 1)
    is_normal, is_uniform = ((of - shares).abs().amax(0) < LARGEST_DISTANCE for of in (of_normal, of_uniform))
    return is_normal, is_uniform


def truncated(model: HasPrior, truncation: float) -> DrawLatent:
    """Draws from the middle of the prior: the smaller ``truncation``, the more typical and the less various.

    Normal numbers of a size above ``truncation`` are drawn again until there is none: Brock, Donahue & Simonyan, "Large
    Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR 2019, arXiv:1809.11096, section 3.1. Uniform
    numbers are multiplied by it, if it is below 1. Others, as classes, are as they were. Where batch norm normalizes by
    running averages, which are those of whole latents, images fade as ``truncation`` becomes small.

    Raises:
        UsageError: no number is normal or uniform, or all that could be truncated would become wider.
    """
    name, own, (is_normal, is_uniform) = type(model).__name__, model.draw_latent, priors_of(model)
    if not is_normal.any() and not is_uniform.any():
        raise UsageError(
            f"truncation={truncation}: the latents of {name} are neither normal nor uniform; leave the word out"
        )
    if not is_normal.any() and truncation > 1:
        raise UsageError(f"truncation={truncation}: the latents of {name} are uniform in [-1, 1]; give at most 1")
    scale = torch.where(is_uniform, min(truncation, 1.0), 1.0)

    def row(*, generator: torch.Generator | None) -> Tensor:
        latent = own(1, generator)[0].cpu() * scale
        while (beyond := is_normal & (latent.abs() > truncation)).any():
            latent[beyond] = torch.randn(int(beyond.sum()), generator=generator, dtype=latent.dtype)
        return latent

    def draw(num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        where: Any = model
        return row_by_row(num_samples, row, generator=generator).to(where.device)

    return draw


@contextmanager
def latents_by(model: Any, draw_latent: DrawLatent) -> Iterator[None]:
    """Within, the model draws its latents by this function: ``sample`` calls the model's own ``draw_latent``.

    After it, it draws them as before, be it within another such.
    """
    before = vars(model).get("draw_latent")
    model.draw_latent = draw_latent  # hides the method of the class
    try:
        yield
    finally:
        if before is None:
            del model.draw_latent
        else:
            model.draw_latent = before


def linear(start: Tensor, end: Tensor, num_steps: int) -> Tensor:
    """Straight ways in equal steps, both ends included: ``(N, D)`` and ``(N, D)`` -> ``(N, num_steps, D)``."""
    share = torch.linspace(0, 1, num_steps, device=start.device, dtype=start.dtype)[:, None]
    return torch.lerp(start[:, None], end[:, None], share)


def spherical(start: Tensor, end: Tensor, num_steps: int) -> Tensor:
    """Ways along great circles, in equal angles: White, "Sampling Generative Networks", 2016, arXiv:1609.04468.

    Normal latents of many dimensions all lie near a sphere of the radius √D; the middle of a straight way lies far
    inside it, where the model was never trained. Where the two ends are parallel or opposite, the way is straight.

    Shapes: ``(N, D)`` and ``(N, D)`` -> ``(N, num_steps, D)``, both ends included.
    """
    angle = functional.cosine_similarity(start, end).clamp(-1, 1).acos()[:, None, None]
    share = torch.linspace(0, 1, num_steps, device=start.device, dtype=start.dtype)[:, None]
    way = (((1 - share) * angle).sin() * start[:, None] + (share * angle).sin() * end[:, None]) / angle.sin()
    return torch.where(angle.sin() > 1e-3, way, linear(start, end, num_steps))


def searched(start: Tensor, errors: Callable[[Tensor], Tensor], steps: int, lr: float) -> Tensor:
    """Latents after ``steps`` steps of Adam down their errors; none has to do with another of its batch.

    The sum of the errors is minimized, and Adam scales each number by itself. No weight gets a gradient.

    Shapes:
        start, result: ``(N, latent_dim)``.
        errors: ``(N, latent_dim)`` -> ``(N,)``, of models in evaluation mode.
    """
    latent = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([latent], lr=lr)
    with torch.enable_grad():
        for _ in range(steps):
            (latent.grad,) = torch.autograd.grad(errors(latent).sum(), latent)
            adam.step()
    return latent.detach()
