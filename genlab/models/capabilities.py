"""What a command may ask of a model: each capability is a few methods, and who has them has it."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class CountsFreeParameters(Protocol):
    """Fitted without gradients: how many numbers are free."""

    @property
    def num_free_parameters(self) -> int: ...


@runtime_checkable
class Samples(Protocol):
    """Draws new data.

    ``generator`` is on the CPU, whatever the device of the model, so that a seed means the same samples everywhere.
    """

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor: ...


@runtime_checkable
class TakesLabels(Samples, Protocol):
    """Draws of a class: ``sample`` takes labels ``(num_samples,)`` int64 as its condition; None draws any."""

    num_classes: int


@runtime_checkable
class TakesAttributes(Samples, Protocol):
    """Draws of attributes: ``sample`` takes ``(num_samples, A)``: 1 wanted, 0 not wanted, NaN either; None draws any.

    ``condition`` is ``(A,)`` such numbers of words, as ``glasses`` and ``no_smile``.
    """

    attribute_names: list[str]

    def condition(self, words: Sequence[str]) -> Tensor: ...


@runtime_checkable
class TakesText(Samples, Protocol):
    """Draws text: ``sample`` gives tokens ``(num_samples, T)``, and goes on from ``(num_samples, L)`` of them.

    ``condition`` is the tokens ``(L,)`` of what is typed, and ``text_of`` the text of tokens ``(T,)``.
    """

    def condition(self, text: str) -> Tensor: ...

    def text_of(self, tokens: Tensor) -> str: ...


@runtime_checkable
class RewritesText(Protocol):
    """Gives a text another wording."""

    def rewrite(self, text: str, generator: torch.Generator | None = None) -> str: ...


@runtime_checkable
class PredictsTokens(Protocol):
    """log p of each token of one text ``(L,)`` that has all of what it is predicted from, ``(M,)`` nats, M ≤ L."""

    def token_log_likelihoods(self, tokens: Tensor) -> Tensor: ...


@runtime_checkable
class Edits(Protocol):
    """Changes attributes of images ``(N, C, H, W)`` in [-1, 1]: ``(N, A)``: 1 wanted, 0 not wanted, NaN as they are."""

    attribute_names: list[str]

    def condition(self, words: Sequence[str]) -> Tensor: ...

    def edit(self, images: Tensor, condition: Tensor) -> Tensor: ...


@runtime_checkable
class RunsChains(Protocol):
    """Samples by a Markov chain: images ``(num_chains, C, H, W)`` in [-1, 1], one frame after another."""

    def chain(self, num_chains: int, num_frames: int, generator: torch.Generator | None = None) -> Iterator[Tensor]: ...


@runtime_checkable
class HasMeans(Protocol):
    """A mixture: the mean of each component, ``(K, *data_shape)``."""

    @property
    def component_means(self) -> Tensor: ...


@runtime_checkable
class HasLikelihood(Protocol):
    """log p(x) of each item, ``(N,)`` nats."""

    def log_likelihood(self, items: Tensor) -> Tensor: ...


@runtime_checkable
class HasComponents(HasLikelihood, Protocol):
    """Gaussians that can be drawn: weights ``(K,)``, means ``(K, D)``, covariances ``(K, D, D)``.

    ``responsibilities`` are the probability of each given an item, ``(N, K)``.
    """

    def components(self) -> tuple[Tensor, Tensor, Tensor]: ...

    def responsibilities(self, items: Tensor) -> Tensor: ...


@runtime_checkable
class Classifies(HasLikelihood, Protocol):
    """log p(y|x) of each class, ``(N, num_classes)`` nats."""

    num_classes: int

    def log_posterior(self, images: Tensor) -> Tensor: ...


@runtime_checkable
class ReadsCodes(Protocol):
    """log q(c|x) of each value of a categorical code, ``(N, num_codes)`` nats.

    ``vary_codes`` gives latents ``(codes, num_rows, num_codes, latent_dim)`` of which one code changes along a row.
    """

    num_codes: int

    def log_code_posterior(self, images: Tensor) -> Tensor: ...

    def vary_codes(self, num_rows: int, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class Decodes(Protocol):
    """Makes data from latents ``(N, latent_dim)``."""

    latent_dim: int

    def decode(self, latent: Tensor) -> Tensor: ...


@runtime_checkable
class HasPrior(Decodes, Protocol):
    """Latents have a known distribution."""

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class Reconstructs(Decodes, Protocol):
    """Maps images to latents and back.

    ``encode`` gives the most likely latents or, with a generator, one draw of their posterior for each image.
    """

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class Corrupts(Reconstructs, Protocol):
    """Is trained to undo a corruption of images in [-1, 1], of the same shape."""

    def corrupt(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class HasReconstructionCost(Reconstructs, Protocol):
    """Cross entropy of images in [-1, 1] and their reconstructions from ``seen``, else from themselves, ``(N,)`` nats.

    Pixels count as probabilities of white.
    """

    def reconstruction_cost(self, images: Tensor, seen: Tensor | None = None) -> Tensor: ...


@runtime_checkable
class DrawsPixels(Protocol):
    """Draws images from p(x|z), given its mean in [-1, 1]."""

    def draw_pixels(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class BoundsLikelihood(Protocol):
    """Lower bounds of log p(x), ``(N,)`` nats."""

    def elbo(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...

    def iwae(self, images: Tensor, k: int, generator: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class HasTemperature(Protocol):
    """Divides the logits that it draws by ``temperature``: below 1, what is likely comes more often."""

    temperature: float


@runtime_checkable
class HasGuidance(Protocol):
    """Draws towards the class that is asked for, the more the larger ``guidance``; 0 is the model itself."""

    guidance: float
    num_classes: int


@runtime_checkable
class PredictsPixels(HasTemperature, Protocol):
    """Has a likelihood of images brought to ``num_levels`` levels, which ``quantize`` does; draws them pixel by pixel.

    ``complete`` draws the pixels that are not ``known``, ``(N, 1, H, W)`` bool; ``grow`` gives the same images as they
    are after each row, 0 where nothing is drawn yet.
    """

    num_levels: int
    binarization: str

    def quantize(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...

    def log_likelihood(self, items: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def complete(
        self, images: Tensor, known: Tensor, condition: Any = None, generator: torch.Generator | None = None
    ) -> Tensor: ...

    def grow(
        self, images: Tensor, known: Tensor, condition: Any = None, generator: torch.Generator | None = None
    ) -> Iterator[Tensor]: ...


@runtime_checkable
class DetectsAnomalies(Protocol):
    """Knows normal images alone: how far an image is from them, ``(N,)``, and where, ``(N, 1, H, W)``; large is far.

    ``restore`` gives the normal images ``(N, C, H, W)`` that others are measured against; who has them need not have
    them computed again.
    """

    def restore(self, images: Tensor) -> Tensor: ...

    def anomaly_score(self, images: Tensor, restored: Tensor | None = None) -> Tensor: ...

    def anomaly_map(self, images: Tensor, restored: Tensor | None = None) -> Tensor: ...


@runtime_checkable
class Translates(Protocol):
    """Makes images of images in [-1, 1]: ``(N, C, H, W)`` -> ``(N, C', scale · H, scale · W)``.

    H and W are any multiples of ``stride``. No image has to do with another of its batch. ``generator`` is of what is
    random, if anything is; without one, the same for every image. ``directions`` are ``x_to_y`` or that and ``y_to_x``.
    """

    directions: tuple[str, ...]
    stride: int
    scale: int

    def translate(
        self, images: Tensor, direction: str = "x_to_y", generator: torch.Generator | None = None
    ) -> Tensor: ...


@runtime_checkable
class Restores(Translates, Protocol):
    """Is trained to undo ``degrade`` of images in [-1, 1], which ``degradation`` says in words.

    ``baseline`` is the answer without learning, which ``baseline_name`` says in words.
    """

    baseline_name: str

    @property
    def degradation(self) -> str: ...

    def degrade(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor: ...

    def baseline(self, degraded: Tensor) -> Tensor: ...


@runtime_checkable
class FillsHoles(Restores, Protocol):
    """Restores images with holes, and tells where in them these are, ``(N, 1, H, W)`` bool."""

    def hole(self, degraded: Tensor) -> Tensor: ...


@runtime_checkable
class Blends(Protocol):
    """Puts what a mask ``(N, 1, H, W)`` bool chooses of a source into a destination, ``(N, C, H, W)`` in [-1, 1]."""

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor: ...
