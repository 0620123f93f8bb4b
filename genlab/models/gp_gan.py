"""GP-GAN: a blending GAN gives the colours of a composite, the Gaussian-Poisson equation its details at any size.

Wu, Zheng, Zhang & Huang, "GP-GAN: Towards Realistic High-Resolution Image Blending", ACM Multimedia 2019,
arXiv:1703.07195.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import mse_loss

from genlab.datasets.batches import PairedImages
from genlab.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.dcgan import Discriminator, initialize
from genlab.networks.encoder_decoder import EncoderDecoder
from genlab.networks.gaussian_poisson import blend_upwards, resized

NUM_LONG_TURNS, PERIOD = 25, 500
"""The generator's first turns, and every how many'th turn after them, that the critic prepares longer for."""


class GPGAN(GenerativeModel):
    """An encoder-decoder brings the pasted part and the background under one light; a critic knows photographs.

    Args:
        image_shape: ``(C, H, W)``, square, as of DCGAN (paper: 3x64x64).
        width: channels of the largest map, as in DCGAN (authors' code: 64).
        bottleneck: length of the vector between encoder and decoder (authors' code: 4000).
        adversarial_weight: of the critic's judgement; the squared error has the rest (paper: 0.001, equation 2).
        clip: bound of each of the critic's weights (authors' code: 0.01).
        critic_steps: batches of the critic for each turn of the generator (authors' code: 5).
        long_critic_steps: the same for the first 25 turns and for every 500th (authors' code: 100).
        beta: weight of the colours against the details in the Gaussian-Poisson equation (paper: 1).
        generator_lr: learning rate of the generator (authors' code: 2e-3).
        optimizer: called once for each network (authors' code: Adam, lr 2e-4 of the critic, beta1 0.5).

    Differs from the paper:
        - The pasted part is the crop itself in another gamma, contrast and colour of light, which stands for the same
          camera at another time: the Transient Attributes images are not part of genlab.
        - Images are normalized by running averages when they are blended, so that one does not depend on those beside
          it; the authors' code normalizes them by their batch.
        - Weights are clipped after the critic's step, not before it, and the network then moves on the same images;
          the authors' code reads others for it.
        - In the equation the colours go through the same Gaussian as the result, so that an image that is right already
          stays as it is, and the border is crossed with the differences of the destination; see ``gaussian_poisson``.
        - The smaller sizes of the pyramid are bicubic and each half of the next; the authors' code smooths with a
          Gaussian and makes squares.
    """

    batch_type = PairedImages
    best_by: ClassVar[tuple[str, Literal["min", "max"]] | None] = ("val/squared_error", "min")

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        bottleneck: PositiveInt,
        adversarial_weight: Annotated[float, Field(ge=0, le=1)],
        clip: PositiveFloat,
        critic_steps: PositiveInt,
        long_critic_steps: PositiveInt,
        beta: PositiveFloat,
        generator_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.size = image_shape[1:]
        self.adversarial_weight = adversarial_weight
        self.clip = clip
        self.critic_steps = critic_steps
        self.long_critic_steps = long_critic_steps
        self.beta = beta
        self.generator_lr = generator_lr
        self.generator = EncoderDecoder(image_shape, image_shape, width, bottleneck)
        self.critic = Discriminator(width, image_shape)
        self.optimizer = optimizer
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters(), lr=self.generator_lr),
            self.optimizer(self.critic.parameters()),
        ]

    def training_step(self, batch: PairedImages, batch_idx: int) -> None:
        generator_optimizer, critic_optimizer = self.optimizers()
        with torch.no_grad():
            blended = self.generator(batch.source)
        critic_loss = wasserstein_critic_loss(self.critic(batch.target), self.critic(blended))
        self.descend(critic_optimizer, critic_loss, "critic")
        with torch.no_grad():
            for weight in self.critic.parameters():
                weight.clamp_(-self.clip, self.clip)
        self.report(critic=critic_loss, wasserstein_distance=-critic_loss)

        if is_turn(self.global_step + 1, self.critic_steps, self.long_critic_steps):
            with self.constant(self.critic):
                blended = self.generator(batch.source)
                squared_error = mse_loss(blended, batch.target)
                adversarial = wasserstein_generator_loss(self.critic(blended))
                loss = torch.lerp(squared_error, adversarial, self.adversarial_weight)
                self.descend(generator_optimizer, loss, "generator")
            self.report(generator=loss, squared_error=squared_error)

    def validation_step(self, batch: PairedImages, batch_idx: int) -> None:
        """``val/squared_error`` of blended images to the photographs; that of the composites is the least to beat."""
        errors = {
            "val/squared_error": mse_loss(self.generator(batch.source), batch.target),
            "val/squared_error_of_composites": mse_loss(batch.source, batch.target),
        }
        self.log_dict(errors, batch_size=len(batch.source), sync_dist=True)

    def blend(self, source: Tensor, destination: Tensor, mask: Tensor) -> Tensor:
        """The source where the mask chooses it, in the destination, as if it had always been there.

        Shapes:
            source, destination, result: ``(N, C, H, W)`` in [-1, 1], any size.
            mask: ``(N, 1, H, W)`` bool.
        """
        small = resized(torch.where(mask, source, destination), self.size)
        # In mixed precision the network gives numbers that no Fourier transform takes.
        colours = self.generator(small).to(source)
        return blend_upwards(colours, source, destination, mask, self.beta)


def is_turn(batch: int, critic_steps: int, long_critic_steps: int) -> bool:
    """Whether the generator has a turn with this batch, counted from 1.

    It has one with the last batch of each that the critic prepares for: ``long_critic_steps`` batches for the first 25
    turns and for every 500th, ``critic_steps`` for others.
    """
    first = NUM_LONG_TURNS * long_critic_steps + (PERIOD - NUM_LONG_TURNS) * critic_steps
    num_long = NUM_LONG_TURNS
    if batch > first:
        batch, num_long = (batch - first - 1) % (long_critic_steps + (PERIOD - 1) * critic_steps) + 1, 1
    if batch <= num_long * long_critic_steps:
        return batch % long_critic_steps == 0
    return (batch - num_long * long_critic_steps) % critic_steps == 0
