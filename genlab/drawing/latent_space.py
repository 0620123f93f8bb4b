"""Pictures of a latent space: ways through it, a plane of it, and where test images lie in it."""

from typing import Any

import torch

from genlab.drawing.drawn import COUNT, Drawn
from genlab.drawing.request import Request, decode, test_images
from genlab.errors import UsageError
from genlab.latents import linear, priors_of, spherical
from genlab.models.capabilities import HasPrior, Reconstructs
from genlab.plots import new_figure

CODE_ROWS = 5


def walk(request: Request) -> Drawn:
    """Ways between the latents of two test images, or two of the prior."""
    model: Any = request.model
    steps, interpolation = request.steps, request.interpolation
    count = request.num_samples or max(1, COUNT // steps) * steps
    if count % steps:
        whole = count // steps * steps
        sizes = " or ".join(str(size) for size in (whole, whole + steps) if size)
        raise UsageError(f"kind=walk gives whole walks of steps={steps} images: num_samples={sizes}, not {count}")
    num_walks = count // steps
    is_normal = priors_of(model)[0] if isinstance(model, HasPrior) else torch.zeros(model.latent_dim, dtype=torch.bool)
    if interpolation == "spherical" and not is_normal.any():
        raise UsageError(
            f"interpolation=spherical: no latent of {request.name} has a normal prior; choose interpolation=linear"
        )
    if isinstance(model, Reconstructs):
        if request.truncation is not None:
            raise UsageError(f"truncation={request.truncation}: the walks of {request.name} join test images")
        ends = model.encode(test_images(request, 2 * num_walks)[0])
        interpolation = interpolation or "linear"
    else:
        ends = model.draw_latent(2 * num_walks, request.generator)
    start, end = ends[0::2], ends[1::2]
    latent = linear(start, end, steps)
    if interpolation != "linear" and is_normal.any():
        latent[..., is_normal] = spherical(start[:, is_normal], end[:, is_normal], steps)
    return Drawn(decode(model, latent.flatten(0, 1), request.batch_size), steps, "walk")


def latent_grid(request: Request) -> Drawn:
    """The plane of two latents, by equal shares of the prior."""
    model: Any = request.model
    if model.latent_dim != 2:
        raise UsageError(
            f"kind=latent_grid needs a plane of latents: train with model.latent_dim=2, not {model.latent_dim}"
        )
    count = request.num_samples or COUNT
    side = int(count**0.5)
    if side * side != count:
        raise UsageError(f"kind=latent_grid is a square: num_samples={side * side} or {(side + 1) ** 2}, not {count}")
    is_normal, is_uniform = priors_of(model)
    if not is_normal.all() and not is_uniform.all():
        raise UsageError(f"kind=latent_grid: the latents of {request.name} are neither normal nor uniform")
    # Equal shares of the prior between neighbours (Kingma & Welling, figure 4).
    shares = (torch.arange(side) + 0.5) / side
    axis = torch.special.ndtri(shares) if is_normal.all() else 2 * shares - 1
    latent = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1).to(request.model.device)
    return Drawn(decode(model, latent, request.batch_size), side)


def codes(request: Request) -> Drawn:
    """What each code changes in a few images: along a row that code alone differs."""
    model: Any = request.model
    count = request.num_samples or CODE_ROWS
    latent = model.vary_codes(count, request.generator_of(count)).flatten(0, 2)
    return Drawn(decode(model, latent, request.batch_size), model.num_codes)


def scatter(request: Request) -> Drawn:
    """The most likely latents of test images, and the labels of these."""
    model: Any = request.model
    if model.latent_dim < 2:
        raise UsageError("kind=latent_scatter needs a plane of latents: train with model.latent_dim=2 or more")
    new_figure(1, 1)  # before the work, whether it can be drawn
    images, labels = test_images(request, request.num_samples)
    latent = torch.cat([model.encode(part) for part in images.split(request.batch_size)])
    return Drawn(latent, picture="scatter", arrays={"labels": labels}, class_names=request.dataset.class_names)
