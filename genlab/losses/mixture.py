"""Mixtures of logistic distributions cut into the levels of a pixel, whose colours depend on each other.

Salimans, Karpathy, Chen & Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", ICLR 2017, arXiv:1701.05517, sections 2.1 and 2.2.

The parameters of a pixel are K logits, which all colours share, and then for each colour K means, K log scales and,
if there are three colours, K coefficients. Given the component, the mean of red is its own; that of green moves by the
first coefficient times red; that of blue by the second times red and the third times green.
"""

import torch
from torch import Tensor
from torch.nn import functional

from genlab.losses.categorical import images_of, nearest_level
from genlab.losses.variational import discretized_logistic_log_likelihood

MIN_LOG_SCALE = -7.0
"""Below it no scale falls: the authors' code."""


def num_parameters(num_components: int, num_colours: int) -> int:
    """Of a pixel: 10 of each component for RGB, 3 for grey images.

    Raises:
        ValueError: neither 1 nor 3 colours.
    """
    if num_colours not in (1, 3):
        raise ValueError(f"{num_colours} colours; the mixture couples 3, or has 1")
    return num_components * (10 if num_colours == 3 else 3)


def unpacked(parameters: Tensor, num_colours: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits of the components, means, log scales and coefficients, in float32 at least.

    Shapes:
        parameters: ``(N, P, ...)``.
        result: ``(N, K, ...)``, and three of ``(N, C, K, ...)``; of one colour there are no coefficients, C = 0.
    """
    parameters = parameters.to(torch.promote_types(parameters.dtype, torch.float32))
    num_components = parameters.shape[1] // (10 if num_colours == 3 else 3)
    logits, others = parameters.split([num_components, parameters.shape[1] - num_components], dim=1)
    means, log_scales, *coefficients = others.unflatten(1, (num_colours, -1, num_components)).unbind(2)
    coupling = coefficients[0].tanh() if coefficients else means[:, :0]
    return logits, means, log_scales.clamp(min=MIN_LOG_SCALE), coupling


def coupled(colours: Tensor, coefficients: Tensor) -> Tensor:
    """What the colours add to the means of those after them; 0 of a single colour.

    Shapes:
        colours: ``(N, C, K or 1, ...)``.
        coefficients: ``(N, C, K, ...)``, without elements if C is 1.
        result: ``(N, C, K or 1, ...)``.
    """
    if colours.shape[1] == 1:
        return torch.zeros_like(colours)
    red, green, _ = colours.unbind(1)
    of_green = coefficients[:, 0] * red
    of_blue = coefficients[:, 1] * red + coefficients[:, 2] * green
    return torch.stack([torch.zeros_like(of_green), of_green, of_blue], dim=1)


def counted_from(origins: Tensor, parameters: Tensor) -> Tensor:
    """The parameters of pixels, given those of their differences from the origins of the components.

    Not of the paper: what is alike all around needs no more than a difference of 0, as a lossless codec has it.

    Shapes:
        origins: ``(N, C, K, ...)`` in [-1, 1].
        parameters: ``(N, P, ...)`` -> the same, in float32 at least.
    """
    num_colours, num_components = origins.shape[1:3]
    _, _, _, coefficients = unpacked(parameters, num_colours)
    logits, others = parameters.split([num_components, parameters.shape[1] - num_components], dim=1)
    means, *further = others.unflatten(1, (num_colours, -1, num_components)).unbind(2)
    means = means + origins - coupled(origins, coefficients)
    return torch.cat([logits.to(means.dtype), torch.stack([means, *further], dim=2).flatten(1, 3)], dim=1)


def discretized_logistic_mixture(images: Tensor, parameters: Tensor, levels: int = 256) -> Tensor:
    """-log p(x), as the authors' code has it: positive, and summed over all pixels and colours.

    Exact: where the authors' code takes the density in the middle of a level that is less likely than 1e-5 for the
    difference of the distribution function at its ends, that difference is computed without cancellation. So the
    probabilities of all levels sum to 1 whatever the parameters.

    Args:
        levels: of a colour, equally spaced from -1 to 1. The first also has all that lies below it, the last all above.

    Shapes:
        images: ``(N, C, H, W)`` in [-1, 1], on the levels; one colour or three.
        parameters: ``(N, P, H, W)``, with 3 or 10 for each component.
        result: ``(N,)`` nats, at least 0, in float32 or better.
    """
    logits, means, log_scales, coefficients = unpacked(parameters, images.shape[1])
    targets = images.to(means.dtype)[:, :, None]
    means = means + coupled(targets, coefficients)
    of_colours = discretized_logistic_log_likelihood(means, log_scales, targets, levels)
    of_pixels = (of_colours.sum(1) + functional.log_softmax(logits, dim=1)).logsumexp(1)
    return -of_pixels.flatten(1).sum(1)


def sample_logistic_mixture(
    parameters: Tensor, uniforms: Tensor, levels: int = 256, temperature: float = 1.0
) -> Tensor:
    """Draws pixels, each one of the levels.

    The component by the inverse of its distribution function, then each colour by that of its logistic distribution,
    brought to the nearest level before the next colour depends on it: a draw of what ``discretized_logistic_mixture``
    is the likelihood of. (The authors' code draws the component with K random numbers, and does not round.)

    Args:
        temperature: divides the logits and multiplies the scales.

    Shapes:
        parameters: ``(N, P)``, of one colour or three as ``uniforms`` says.
        uniforms: ``(N, 1 + C)`` in [0, 1), of the component and of each colour.
        result: ``(N, C)`` in [-1, 1].
    """
    num_colours = uniforms.shape[1] - 1
    logits, means, log_scales, coefficients = unpacked(parameters, num_colours)
    below = (logits / temperature).softmax(1).cumsum(1)
    # The sum may fall short of 1 by rounding.
    component = (uniforms[:, :1] >= below).sum(1, keepdim=True).clamp_(max=logits.shape[1] - 1)[:, None]

    def chosen(of_components: Tensor) -> Tensor:
        return of_components.take_along_dim(component, 2)[:, :, 0]

    free = chosen(means) + chosen(log_scales).exp() * temperature * uniforms[:, 1:].logit()
    if num_colours == 1:
        return on_levels(free, levels)
    coupling = chosen(coefficients)
    red = on_levels(free[:, 0], levels)
    green = on_levels(free[:, 1] + coupling[:, 0] * red, levels)
    blue = on_levels(free[:, 2] + coupling[:, 1] * red + coupling[:, 2] * green, levels)
    return torch.stack([red, green, blue], dim=1)


def on_levels(values: Tensor, num_levels: int) -> Tensor:
    """The nearest level of each value, of any shape; they may be infinite."""
    return images_of(nearest_level(values.clamp(-1, 1), num_levels), num_levels)
