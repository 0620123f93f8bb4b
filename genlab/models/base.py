"""The one base class of all models, and what a command may ask of a model."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from genlab.datasets.base import Dataset
from genlab.errors import NumericError

OptimizerFactory = Callable[..., Optimizer]
"""What an ``optimizer`` YAML becomes: called with the weights of each network or group that takes turns."""


class GenerativeModel(pl.LightningModule):
    """A model whose training step writes out its paper's updates with ``descend`` and ``report``.

    Optimization is manual for every model, so that networks that take turns and those that do not read the same.
    """

    batch_type: ClassVar[Any]
    """The NamedTuple of ``datasets.batches`` that the model eats, or a union of them."""

    saturates: ClassVar[bool] = True
    """Whether a ``train/discriminator`` near 0 means that the generator learns nothing: of a log loss."""

    best_by: ClassVar[tuple[str, Literal["min", "max"]] | None] = None
    """The logged value that chooses the best checkpoint; None: the newest is the best."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.reported: dict[str, float] = {}  # the newest value of each name

    def optimizers(self, use_pl_optimizer: bool = False) -> Any:
        """torch's own optimizers: the wrapped ones would count their steps, and ``global_step`` counts batches."""
        return super().optimizers(use_pl_optimizer)

    def check_data(self, dataset: Dataset) -> None:
        """For a model that cannot be fitted to just any data: called before the run folder is made.

        Raises:
            UsageError: says what does not fit.
        """

    def setup(self, stage: str) -> None:
        """torch's wrapper for several processes is for gradients: it refuses a model without weights to descend."""
        strategy: Any = self.trainer.strategy
        has_wrapper = isinstance(strategy, DDPStrategy)
        if has_wrapper and not list(self.parameters()):
            strategy.configure_ddp = lambda: None

    def descend(self, optimizer: Optimizer, loss: Tensor, name: str) -> None:
        """One step of ``optimizer`` down the gradient of ``loss``.

        Args:
            loss: scalar, the mean over the batch.
            name: the loss term as it is logged, ``train/<name>``; an error names it.

        Raises:
            NumericError: the loss or a gradient is not finite; the weights of this optimizer are left as they were.
        """
        if not math.isfinite(value := loss.item()):
            raise NumericError(f"the loss 'train/{name}' is {value}")
        optimizer.zero_grad()
        # Lightning's manual_backward, without its calls of hooks that nothing here listens to.
        if torch.distributed.is_initialized():
            self.trainer.strategy.pre_backward(loss)
        loss.backward()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        # A sum is finite if all its terms are, and takes half the time of the norm.
        sums = [weight.grad.sum() for weight in weights if weight.grad is not None]
        if not math.isfinite(torch.stack(sums).sum().item()):
            raise NumericError(f"a gradient of the loss 'train/{name}' is not finite")
        optimizer.step()

    @contextmanager
    def constant(self, *networks: nn.Module) -> Iterator[None]:
        """Within, no gradient is computed for the weights of ``networks``; it still flows through them."""
        for network in networks:
            network.requires_grad_(False)
        try:
            yield
        finally:
            for network in networks:
                network.requires_grad_(True)

    def draw(self, sampler: Callable[..., Tensor], num_rows: int, *shape: int) -> Tensor:
        """Random numbers of a training step: this process's rows of what one process alone would draw.

        That is if all processes have equally many rows: in all batches but perhaps the last of an epoch.

        Args:
            sampler: ``torch.rand``, ``torch.randn`` or alike.
            num_rows: items of this process's share of the batch.

        Returns:
            ``(num_rows, *shape)`` on the model's device.
        """
        rank, processes = self.trainer.global_rank, self.trainer.world_size
        return sampler(num_rows * processes, *shape, device=self.device)[rank::processes]

    def report(self, **values: Tensor) -> None:
        """Logs ``train/<name>`` every ``trainer.log_every_n_steps`` batches and at the last of an epoch."""
        trainer: Any = self.trainer  # which gets some of its attributes from elsewhere
        is_due = (trainer.global_step + 1) % trainer.log_every_n_steps == 0
        if is_due or trainer.is_last_batch:
            self.log_now(**values)

    def log_now(self, **values: Tensor) -> None:
        """Logs ``train/<name>`` at the step in work.

        The loggers are called at once, not by Lightning at the end of the step: a checkpoint of this step is written
        before that, so a run killed after it would resume with a gap in its curves.
        """
        trainer = self.trainer
        self.reported |= {f"train/{name}": value.item() for name, value in values.items()}
        named = {f"train/{name}": self.reported[f"train/{name}"] for name in values}
        for logger in trainer.loggers:
            logger.log_metrics(named | {"epoch": trainer.current_epoch}, trainer.global_step)


def row_by_row(num_rows: int, draw: Callable[[], Tensor]) -> Tensor:
    """Stacks ``num_rows`` draws: the nth is the same however many are drawn at a time, which one large draw is not."""
    return torch.stack([draw() for _ in range(num_rows)])


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
class HasComponents(Protocol):
    """Gaussians that can be drawn: weights ``(K,)``, means ``(K, D)``, covariances ``(K, D, D)``."""

    def components(self) -> tuple[Tensor, Tensor, Tensor]: ...

    def log_likelihood(self, items: Tensor) -> Tensor: ...


@runtime_checkable
class Classifies(Protocol):
    """log p(y|x) of each class, ``(N, num_classes)`` nats."""

    def log_posterior(self, images: Tensor) -> Tensor: ...


@runtime_checkable
class ReadsCodes(Protocol):
    """log q(c|x) of each value of a categorical code, ``(N, num_codes)`` nats."""

    num_codes: int

    def log_code_posterior(self, images: Tensor) -> Tensor: ...


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
class HasLikelihood(Protocol):
    """log p(x) of each item, ``(N,)`` nats."""

    def log_likelihood(self, items: Tensor) -> Tensor: ...


@runtime_checkable
class HasTemperature(Protocol):
    """Divides the logits that it draws by ``temperature``: below 1, what is likely comes more often."""

    temperature: float


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
