"""Generative adversarial network, the first.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio, "Generative Adversarial Nets", NIPS 2014,
arXiv:1406.2661.
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genlab.datasets.base import dataset_of
from genlab.datasets.batches import Images, Vectors
from genlab.datasets.statistics import mean_image
from genlab.losses.adversarial import discriminator_loss, minimax_generator_loss, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents, uniform
from genlab.networks.maxout import Maxout
from genlab.networks.mlp import mlp

LOSSES = {"nonsaturating": nonsaturating_generator_loss, "minimax": minimax_generator_loss}


class Pixels(nn.Module):
    """The sigmoid of the logits of white, brought from [0, 1] to [-1, 1]; tanh is exact near both ends."""

    def forward(self, logits: Tensor) -> Tensor:
        return (logits / 2).tanh()


class Brightness(nn.Module):
    """Pixels brought from [-1, 1] back to [0, 1], as the paper has them: background is 0 and moves no weight."""

    def forward(self, images: Tensor) -> Tensor:
        return (images + 1) / 2


class GAN(FromLatents, GenerativeModel):
    """A generator of rectified layers against a discriminator of maxout layers.

    Args:
        data_shape: ``(C, H, W)`` of images or ``(D,)`` of points.
        latent_dim: length of the latent vector z, uniform in (-1, 1) (authors' code: 100).
        hidden_dim: units of the generator's two hidden layers (authors' code: 1200).
        maxout_dim: units of the discriminator's two hidden layers (authors' code: 240).
        num_pieces: linear functions of each of these (authors' code: 5).
        input_dropout: share of the discriminator's inputs left out (authors' code: 0.2).
        dropout: share of its hidden units left out (authors' code: 0.5).
        objective: of the generator: ``minimax`` is algorithm 1, ``nonsaturating`` its replacement in section 3.
        initial_range: weights of the generator are uniform in ± this at first, a tenth of it for the discriminator
            (authors' code: 0.05 and 0.005).
        optimizer: called once for each network (authors' code: gradient descent, rate 0.1, with momentum 0.5).

    Differs from the paper:
        - The discriminator's loss is that of algorithm 1 and it steps first, the generator with the same latents; the
          authors' code halves the discriminator's loss and takes both steps at once.
        - z is uniform in (-1, 1) (authors' code: ± the root of 3).
        - Momentum stays as it is set, and the rate as ``schedule`` says; in the authors' code momentum grows to 0.7
          over 250 epochs and the rate is divided by 1.000004 with each step.
        - Pixels that are always black begin with a share of white of 0.001, at which they still learn (authors' code:
          1e-7).
        - Points have no sigmoid at the generator's end.
    """

    batch_type = Images | Vectors

    def __init__(
        self,
        data_shape: tuple[PositiveInt, ...],
        latent_dim: PositiveInt,
        hidden_dim: PositiveInt,
        maxout_dim: PositiveInt,
        num_pieces: PositiveInt,
        input_dropout: Annotated[float, Field(ge=0, lt=1)],
        dropout: Annotated[float, Field(ge=0, lt=1)],
        objective: Literal["nonsaturating", "minimax"],
        initial_range: Annotated[float, Field(gt=0)],
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.prior = uniform
        self.generator_loss = LOSSES[objective]
        self.optimizer = optimizer
        num_values = math.prod(data_shape)
        self.generator = mlp(latent_dim, hidden_dim, hidden_dim, num_values, activation=nn.ReLU)
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(input_dropout),
            Maxout(num_values, maxout_dim, num_pieces),
            nn.Dropout(dropout),
            Maxout(maxout_dim, maxout_dim, num_pieces),
            nn.Dropout(dropout),
            nn.Linear(maxout_dim, 1),
            nn.Flatten(0),
        )
        for network, width in ((self.generator, initial_range), (self.discriminator, initial_range / 10)):
            for layer in network.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.uniform_(layer.weight, -width, width)
                    nn.init.zeros_(layer.bias)
        self.is_of_images = len(data_shape) == 3
        if self.is_of_images:
            self.generator.extend([Pixels(), nn.Unflatten(1, data_shape)])
            self.discriminator.insert(0, Brightness())

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def on_train_start(self) -> None:
        """Pixels start as often white as in the training images, as in the authors' code."""
        if self.is_of_images and self.trainer.global_step == 0:
            white = (mean_image(dataset_of(self.trainer).sources["train"]) + 1) / 2
            *_, last = (layer for layer in self.generator.modules() if isinstance(layer, nn.Linear))
            with torch.no_grad():
                last.bias.copy_(white.flatten().clamp(0.001, 0.999).logit())

    def training_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        real = batch[0]
        fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))

        real_logits, fake_logits = self.discriminator(torch.cat([real, fake.detach()])).chunk(2)
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = self.generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: Images | Vectors, batch_idx: int) -> None:
        score = self.discriminator(batch[0]).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch[0]), sync_dist=True)
