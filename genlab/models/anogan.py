"""AnoGAN: anomalies are what a GAN of normal images cannot draw.

Schlegl, Seeböck, Waldstein, Schmidt-Erfurth & Langs, "Unsupervised Anomaly Detection with Generative Adversarial
Networks to Guide Marker Discovery", IPMI 2017, arXiv:1703.05921.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.latents import searched
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.losses.residual import check_side, residual_map
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents, uniform
from genlab.networks.dcgan import Discriminator, Generator, initialize

START_SEED = 0


class AnoGAN(FromLatents, GenerativeModel):
    """A DCGAN of normal images; of any image, the latent is searched whose image is most like it.

    Args:
        image_shape: ``(C, H, W)``, square, the side 4, 5, 6 or 7 times a power of 2 (paper: 1x64x64).
        latent_dim: length of the latent vector z (paper: not given; DCGAN's 100).
        prior: of z, N(0, 1) or uniform in (-1, 1) (paper: uniform).
        width: channels of the largest map (paper: 64).
        search_steps: steps down the gradient in the latent space for each image (paper: 500).
        search_lr: Adam's learning rate in the latent space (paper: not given).
        num_starts: latents drawn for the start of a search, the nearest to the image is taken (paper: 1).
        feature_weight: lambda, of the features in the loss of the search and in the anomaly score (paper: 0.1).
        map_side: side of the square of pixels over which the anomaly map is averaged, odd (paper: 1).
        edge_weight: how much less a difference counts in that map where the restored image has edges (paper: 0).
        optimizer: called once for each network (paper: Adam, as DCGAN has it).

    Differs from the paper:
        - The discriminator has no batch norm and so biases: its features, and with them the score of an image, would
          depend on the other images of a batch. Kernels are 4x4, as in ``dcgan``.
        - A search starts at the best of a few latents, the same for every image, so that an image has one score.
        - The map may be averaged and weighted: a restored image that is off by part of a pixel differs at each of its
          edges as much as a lesion does.
    """

    batch_type = LabelledImages

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        prior: Literal["normal", "uniform"],
        width: PositiveInt,
        search_steps: PositiveInt,
        search_lr: PositiveFloat,
        num_starts: PositiveInt,
        feature_weight: Annotated[float, Field(ge=0, le=1)],
        map_side: PositiveInt,
        edge_weight: NonNegativeFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        check_side(map_side, image_shape)
        self.map_side = map_side
        self.edge_weight = edge_weight
        self.latent_dim = latent_dim
        self.prior = torch.randn if prior == "normal" else uniform
        self.search_steps = search_steps
        self.search_lr = search_lr
        self.num_starts = num_starts
        self.feature_weight = feature_weight
        self.generator = Generator(latent_dim, width, image_shape)
        self.discriminator = Discriminator(width, image_shape, batch_norm=False)
        self.optimizer = optimizer
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer(self.generator.parameters()), self.optimizer(self.discriminator.parameters())]

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        fake = self.generator(self.draw(self.prior, len(batch.images), self.latent_dim))

        real_logits, fake_logits = self.discriminator(batch.images), self.discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """``val/real_score`` far below ``train/real_score``: the discriminator knows its images by heart."""
        score = self.discriminator(batch.images).sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch.images), sync_dist=True)

    def features(self, images: Tensor) -> Tensor:
        """f, what the discriminator's last layer sees: ``(N, C, H, W)`` -> ``(N, D)``."""
        for layer in list(self.discriminator)[:-2]:
            images = layer(images)
        return images.flatten(1)

    def distance(self, images: Tensor, restored: Tensor) -> Tensor:
        """``(1 - lambda) sum |x - G(z)| + lambda sum |f(x) - f(G(z))|`` of each image, ``(N,)`` (section 2.2)."""
        residual = (images - restored).abs().flatten(1).sum(1)
        features = (self.features(images).detach() - self.features(restored)).abs().sum(1)
        return (1 - self.feature_weight) * residual + self.feature_weight * features

    def search(self, images: Tensor) -> Tensor:
        """The latents whose images are most like these: ``(N, C, H, W)`` -> ``(N, latent_dim)``.

        The searches of a batch have nothing to do with each other. The model has to be in evaluation mode.
        """
        starts = self.draw_latent(self.num_starts, torch.Generator().manual_seed(START_SEED))
        with torch.no_grad():
            drawn = self.generator(starts)
            nearest = torch.stack([(drawn - image).abs().flatten(1).sum(1).argmin() for image in images])
        with self.constant(self.generator, self.discriminator):
            return searched(
                starts[nearest],
                lambda latent: self.distance(images, self.generator(latent)),
                self.search_steps,
                self.search_lr,
            )

    def restore(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the normal images most like them, G of the latents found."""
        return self.generator(self.search(images))

    def anomaly_score(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N,)``: the loss at the end of the search (section 2.3), which is a sum over pixels."""
        return self.distance(images, self.restore(images) if restored is None else restored)

    def anomaly_map(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``|x - G(z)|`` as ``residual_map`` averages and weights it, ``(N, 1, H, W)``."""
        restored = self.restore(images) if restored is None else restored
        return residual_map(images, restored, self.map_side, self.edge_weight)
