"""Restricted Boltzmann machine.

Hinton, "Training Products of Experts by Minimizing Contrastive Divergence", Neural Computation 14(8), 2002,
doi:10.1162/089976602760128018.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Source
from genlab.datasets.statistics import SEEN, mean_image
from genlab.losses.variational import binary, draws_for
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.randomness import own_generators, row_by_row


class RBM(GenerativeModel):
    """Binary pixels v and binary hidden units h with p(v, h) = exp(v·b + h·c + v·W·h) / Z.

    Given the one layer, the units of the other are independent, so both are drawn in turn, each as a block (Gibbs
    sampling). The gradient of log p(v) is that of minus the free energy at the data, plus that of the free energy at
    the model's own draws; the latter come from a few Gibbs steps only.

    Images are made binary anew each time they are seen: a pixel is 1 with its grey value as the probability. All
    likelihoods are those of such images, in nats an image.

    Args:
        image_shape: ``(C, H, W)``.
        num_hidden: hidden units (500 where MNIST's likelihood is reported most: Salakhutdinov & Murray, ICML 2008,
            doi:10.1145/1390156.1390266).
        chains: where the Gibbs steps begin. ``data``: at the images of the batch, which is contrastive divergence, CD
            (the paper); ``persistent``: where the last batch's ended, PCD (Tieleman, "Training Restricted Boltzmann
            Machines using Approximations to the Likelihood Gradient", ICML 2008, doi:10.1145/1390156.1390290).
        num_chains: persistent chains, whatever the batch size; of no account for ``data``.
        gibbs_steps: of each chain in a training step, the k of CD-k (paper: 1).
        sampling_steps: Gibbs steps from a random start to a sample.
        optimizer: called once (paper: gradient descent; Tieleman: its rate falls linearly to 0).

    Differs from the paper:
        - Persistent chains by default: after 12 epochs of MNIST the test log-likelihood is -97 nats, with CD-1 -140.
        - Hidden units enter the update by their probabilities: it is the free energy that is differentiated. This has
          the mean of the paper's update, and less noise.
        - Visible biases start at the log-odds of each pixel (Hinton, "A Practical Guide to Training Restricted
          Boltzmann Machines", 2010, section 8).
        - One model for all classes. The paper has one for each, to classify by.
    """

    batch_type = LabelledImages
    base_bias: Tensor
    fantasies: Tensor | None

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_hidden: PositiveInt,
        chains: Literal["data", "persistent"],
        num_chains: PositiveInt,
        gibbs_steps: PositiveInt,
        sampling_steps: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.gibbs_steps = gibbs_steps
        self.sampling_steps = sampling_steps
        self.optimizer = optimizer
        num_visible = math.prod(image_shape)
        self.weight = nn.Parameter(0.01 * torch.randn(num_visible, num_hidden))  # the guide's section 8
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))
        # Log-odds of the training pixels: an RBM without weights would have these for its visible biases.
        self.register_buffer("base_bias", torch.zeros(num_visible))
        self.register_buffer("fantasies", torch.zeros(num_chains, num_visible) if chains == "persistent" else None)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())

    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            self.begin(dataset_of(self.trainer).sources["train"])

    @torch.no_grad()
    def begin(self, source: Source) -> None:
        """Visible biases and persistent chains start as if pixels were independent, each as often white as in the data.

        Draws from torch's generator, which all processes have seeded alike.
        """
        white, count = (mean_image(source).flatten().double() + 1) / 2, min(len(source), SEEN)
        frequency = (count * white + 1) / (count + 2)  # Laplace's rule: no pixel is impossible
        self.base_bias.copy_(frequency.logit())
        self.visible_bias.copy_(self.base_bias)
        if self.fantasies is not None:
            self.fantasies.copy_(torch.rand(self.fantasies.shape) < frequency)

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        num_images = len(batch.images)
        visible = binary(batch.images, self.draw(torch.rand, num_images, *batch.images.shape[1:])).flatten(1)
        free_energy = self.free_energy(visible)
        loss = free_energy.mean() - self.free_energy(self.draw_fantasies(visible)).mean()
        values = {"free_energy_difference": loss}
        if self.is_due:  # it costs a sixth of a step
            uniform = self.draw(torch.rand, num_images)
            values["pseudo_likelihood"] = self.pseudo_likelihood(visible, free_energy, uniform).mean()
        self.descend(self.optimizers(), loss, "free_energy_difference")
        self.report(**values)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        visible = self.draw_visible(batch.images)
        uniform = torch.rand(len(visible)).to(visible.device)
        value = self.pseudo_likelihood(visible, self.free_energy(visible), uniform).mean()
        self.log("val/pseudo_likelihood", value, batch_size=len(visible), sync_dist=True)

    def free_energy(self, visible: Tensor) -> Tensor:
        """F(v), with p(v) = exp(-F(v)) / Z; the hidden units are summed over. In the precision of the weights.

        Shapes: ``(N, num_visible)``, 0 or 1 -> ``(N,)`` nats.
        """
        inputs = self.hidden_bias + visible @ self.weight
        # Beyond its threshold softplus is the identity; by default that is where float64 still differs.
        return -(visible * self.visible_bias).sum(1) - functional.softplus(inputs, threshold=40).sum(1)

    @torch.no_grad()
    def pseudo_likelihood(self, visible: Tensor, free_energy: Tensor, uniform: Tensor) -> Tensor:
        """The sum over all pixels of log p(pixel | all others), estimated from one pixel of each image.

        Besag, "Statistical Analysis of Non-Lattice Data", The Statistician 24(3), 1975, doi:10.2307/2987782. It needs
        no Z, so it can be watched while a model trains; it is no estimate of the likelihood.

        Shapes:
            visible: ``(N, num_visible)``, 0 or 1.
            free_energy: ``(N,)``, of ``visible``.
            uniform: ``(N,)`` in [0, 1), which choose the pixels.
            result: ``(N,)`` nats.
        """
        num_visible = visible.shape[1]
        pixels = (uniform[:, None] * num_visible).long().clamp_(max=num_visible - 1)  # the product may be rounded up
        flipped = visible.scatter(1, pixels, 1 - visible.gather(1, pixels))
        return num_visible * functional.logsigmoid(self.free_energy(flipped) - free_energy)

    def draw_fantasies(self, visible: Tensor) -> Tensor:
        """Draws of the model, as far as ``gibbs_steps`` come: ``(num_chains, num_visible)``, or as many as the images.

        Args:
            visible: the images of the batch, ``(N, num_visible)``, 0 or 1.
        """
        weights = [weights.detach() for weights in (self.weight, self.visible_bias, self.hidden_bias)]
        num_units = sum(self.weight.shape)
        if self.fantasies is None:
            for _ in range(self.gibbs_steps):
                visible, _ = gibbs_step(visible, self.draw(torch.rand, len(visible), num_units), *weights)
            return visible
        for _ in range(self.gibbs_steps):
            # Every process advances all chains, with the same numbers.
            uniform = torch.rand(len(self.fantasies), num_units, device=self.device)
            self.fantasies.copy_(gibbs_step(self.fantasies, uniform, *weights)[0])
        return self.fantasies.clone()

    def draw_visible(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images made binary, those that the bounds of other models are of with the same seed.

        Shapes: ``(N, C, H, W)`` in [-1, 1] -> ``(N, num_visible)``.
        """
        uniform, _ = draws_for(images, 0, 0, generator)
        return binary(images, uniform).flatten(1)

    def chain(self, num_chains: int, num_frames: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """Gibbs sampling seen at work: the probabilities of white pixels after each step, from random pixels on.

        Computed in float64 on the CPU: in float32, rounding would decide a pixel now and then, and with it the rest of
        the chain, so that images would depend on the device and on how many are drawn at a time.

        Returns:
            ``(num_chains, C, H, W)`` in [-1, 1] for each of ``num_frames`` steps.
        """
        weights = [weights.detach().cpu().double() for weights in (self.weight, self.visible_bias, self.hidden_bias)]
        generators = own_generators(num_chains, generator)

        def uniform(num_units: int) -> Tensor:
            return torch.stack([torch.rand(num_units, generator=own, dtype=torch.float64) for own in generators])

        frequency = self.base_bias.cpu().double().sigmoid()
        visible = (uniform(len(frequency)) < frequency).double()
        for _ in range(num_frames):
            visible, probability = gibbs_step(visible, uniform(sum(self.weight.shape)), *weights)
            yield (2 * probability - 1).unflatten(1, self.image_shape).to(self.weight)

    def sample(self, num_samples: int, condition: Any = None, generator: torch.Generator | None = None) -> Tensor:
        """Probabilities of white pixels after ``sampling_steps``, ``(num_samples, C, H, W)`` in [-1, 1]."""
        return deque(self.chain(num_samples, self.sampling_steps, generator), maxlen=1).pop()

    def draw_pixels(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each pixel -1 or 1, drawn with the probability that ``sample`` gives."""
        uniform = row_by_row(len(mean), torch.rand, mean.shape[1:], generator=generator)
        return binary(mean, uniform.to(mean.device)) * 2 - 1


def gibbs_step(
    visible: Tensor, uniform: Tensor, weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Draws the hidden units given the visible ones, then the visible ones given these.

    Shapes:
        visible: ``(N, num_visible)``, 0 or 1.
        uniform: ``(N, num_visible + num_hidden)`` in [0, 1).
        weight: ``(num_visible, num_hidden)``; the biases match its sides.
        result: the new visible units, and the probabilities that they were drawn with, as ``visible``.
    """
    for_visible, for_hidden = uniform.split(weight.shape, dim=1)
    hidden = (for_hidden < (hidden_bias + visible @ weight).sigmoid()).to(weight.dtype)
    probability = (visible_bias + hidden @ weight.T).sigmoid()
    return (for_visible < probability).to(weight.dtype), probability
