"""Diagrams, drawn by matplotlib, which comes with the extra ``plots``; none of it is imported before one is drawn."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genlab.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Density = Callable[[Tensor], Tensor]


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; it belongs to no window and needs no screen.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("this diagram needs matplotlib", "plots") from error
    return Figure(figsize=(width, height), layout="constrained")


def principal_components(points: Tensor) -> tuple[Tensor, Tensor]:
    """The plane in which the points vary most, and the share of the variance along its two axes.

    The sign of an axis is free; here its largest weight is positive, so that two pictures of the same points agree.

    Shapes:
        points: ``(N, D)``, D at least 2.
        returns: ``(N, 2)`` and ``(2,)`` in [0, 1], float64; 0 of points that are all equal.
    """
    centred = points.double() - points.double().mean(0)
    variances, axes = torch.linalg.eigh(centred.T @ centred)
    variances, axes = variances.flip(0)[:2].clamp(min=0), axes.flip(1)[:, :2]
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return centred @ (axes * largest.sign()), variances / centred.square().sum().clamp(min=1e-300)


def latent_scatter(latent: Tensor, labels: Tensor, names: Sequence[str] | None, path: Path) -> None:
    """A picture of latents, a colour for each class: two as they are, more by their principal components.

    Shapes:
        latent: ``(N, D)``, D at least 2.
        labels: ``(N,)``.

    Args:
        names: of the classes, by label; None shows the labels.
        path: of the PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(7, 6)
    axes = figure.add_subplot()
    latent, labels = latent.cpu(), labels.cpu()
    if latent.shape[1] == 2:
        points = latent
        axis_names = ["first latent", "second latent"]
    else:
        points, shares = principal_components(latent)
        order = ("first", "second")
        axis_names = [
            f"{which} principal component ({share:.0%} of the variance)"
            for which, share in zip(order, shares.tolist(), strict=True)
        ]
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    x, y = points[:, 0].numpy(), points[:, 1].numpy()
    classes = labels.unique().tolist()
    if len(classes) > 20:  # more colours than an eye tells apart
        figure.colorbar(axes.scatter(x, y, s=8, c=labels.numpy(), cmap="turbo"), label="class")
    else:
        colours = "tab10" if len(classes) <= 10 else "tab20"
        from matplotlib import colormaps

        listed: Any = colormaps[colours]  # a kind with a list of colours
        for colour, label in zip(listed.colors, classes, strict=False):
            of_class = (labels == label).numpy()
            name = names[label] if names else str(label)
            axes.scatter(x[of_class], y[of_class], s=8, color=colour, label=name)
        figure.legend(loc="outside right upper", frameon=False, markerscale=2)
    figure.savefig(path, dpi=120)


def comparison(setting: str, numbers: Sequence[float], values: Mapping[str, Sequence[float]], folder: Path) -> None:
    """Draws ``comparison.png``: each value over the setting; the least of an information criterion is marked.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(4 * len(values), 3.5)
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    for place, (name, found) in enumerate(values.items()):
        axes = figure.add_subplot(1, len(values), place + 1)
        axes.plot([numbers[at] for at in order], [found[at] for at in order], "o-", markersize=4)
        axes.set_xlabel(setting)
        axes.set_title(name)
        if min(numbers) > 0 and max(numbers) >= 50 * min(numbers):
            axes.set_xscale("log")
        if name.endswith(("bic", "aic")):
            least = min(order, key=found.__getitem__)
            axes.plot(numbers[least], found[least], "o", color="tab:red", label=f"least at {numbers[least]:g}")
            axes.legend()
    figure.savefig(folder / "comparison.png", dpi=120)


def samples_frame(items: Tensor, samples: Tensor, title: str, path: Path) -> None:
    """One picture of samples in the plane over the data.

    Shapes:
        items: ``(N, 2)``.
        samples: ``(M, 2)``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(5, 5)
    axes = figure.add_subplot()
    low, high = items.min(0).values, items.max(0).values
    margin = 0.3 * (high - low).clamp(min=1e-6)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    axes.plot(items[:, 0], items[:, 1], ".", markersize=2, color="tab:blue", alpha=0.3, label="data")
    axes.plot(samples[:, 0], samples[:, 1], ".", markersize=2, color="tab:orange", label="samples")
    axes.set(xlim=(left, right), ylim=(bottom, top), title=title)
    axes.legend(loc="upper right", markerscale=5)
    figure.savefig(path, dpi=80)


def mixture_frame(
    items: Tensor, parts: tuple[Tensor, Tensor, Tensor], density: Density, title: str, path: Path
) -> None:
    """One picture of a mixture in the plane: items, contours of its density, and an ellipse for each component.

    Ellipses are at one and two standard deviations, the more opaque the heavier.

    Shapes:
        items: ``(N, 2)``.
        parts: weights ``(K,)``, means ``(K, 2)`` and covariances ``(K, 2, 2)``.

    Args:
        density: log p of points ``(M, 2)`` -> ``(M,)``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(6, 6)
    weights, means, covariances = parts
    from matplotlib.patches import Ellipse

    axes = figure.add_subplot()
    low, high = items.min(0).values, items.max(0).values
    extent = high - low
    margin = 0.05 * torch.where(extent > 0, extent, extent.max() if extent.any() else 1)  # a column may be constant
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    x, y = torch.linspace(left, right, 80), torch.linspace(bottom, top, 80)
    plane = torch.cartesian_prod(x, y)
    height = density(plane).cpu().reshape(80, 80).T
    axes.contour(
        x, y, height, levels=height.max().item() - torch.arange(12, 0, -1).numpy(), cmap="Greys", linewidths=0.7
    )
    axes.plot(items[:, 0], items[:, 1], ".", markersize=2, color="tab:blue", alpha=0.4)
    for mean, covariance, weight in zip(means, covariances, weights, strict=True):
        variances, directions = torch.linalg.eigh(covariance)
        angle = torch.atan2(directions[1, 1], directions[0, 1]).rad2deg().item()
        for times in (1, 2):
            width, breadth = (2 * times * variances.sqrt()).flip(0).tolist()
            alpha = 0.3 + 0.7 * (weight / weights.max()).item()
            axes.add_patch(
                Ellipse(tuple(mean.tolist()), width, breadth, angle=angle, fill=False, color="tab:red", alpha=alpha)
            )
    axes.set(xlim=(left, right), ylim=(bottom, top), title=title)
    figure.savefig(path, dpi=80)
