"""IcGAN: invertible conditional GAN, which edits the attributes of an image.

Perarnau, van de Weijer, Raducanu & Álvarez, "Invertible Conditional GANs for Image Editing", NIPS workshop on
adversarial training, 2016, arXiv:1611.06355.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torchvision.transforms.functional import gaussian_blur

from genlab.datasets.batches import ImagesWithAttributes
from genlab.latents import searched
from genlab.losses.adversarial import cross_entropy, nonsaturating_generator_loss
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_attributes import FromAttributes, coded
from genlab.networks.dcgan import initialize, num_doublings

REFINE_LR = 0.05
MASK_LATENTS = 16
MASK_SIZE, MASK_SIGMA = 5, 0.7
"""Of the blur of a mask, in pixels; sigma is that of Brock et al.'s code."""
SHOWN_FROM = 0.15
"""A pixel is the generated one entirely if it changes by this part, or more, of what the one that changes most does."""


class IcGAN(FromAttributes, GenerativeModel):
    """A conditional GAN, and then two encoders that find the latent and the attributes of an image.

    Args:
        image_shape: ``(C, H, W)``, square, as of DCGAN (paper: 3x64x64).
        attribute_names: of the data, in their order (paper: 18 of CelebA's).
        latent_dim: length of the noise z (paper: 100).
        width: channels of the largest map; they double as it halves (paper: 64).
        gan_epochs: epochs of the GAN, after which the encoders are trained (authors' code: 25, then 15).
        wrong_attributes: that a real image is shown with for the discriminator to refuse: those of another image of the
            batch, or its own with one ``flipped`` (paper: of another).
        edit_by: how ``edit`` shows a change: the generated image itself (``direct``), the photo plus the change of the
            generated image (``residual``), or the generated image where the attribute is seen and the photo elsewhere
            (``masked``) (paper: direct).
        mask_threshold: of ``masked``, the larger the less of an image changes; see ``mask``.
        refine_steps: of gradient descent on z before an edit, to reconstruct the image better (paper: none).
        optimizer: called once for each network of the GAN (paper: Adam, lr 2e-4, beta1 0.5).
        encoder_optimizer: called once for each encoder (authors' code: Adam, lr 1e-4, beta1 0.1).

    Differs from the paper:
        - A wrong y may be the right one with one attribute flipped: against those of another image, which mostly differ
          in hair or skin, a discriminator need not look for a smile.
        - Editing by mask is near Brock et al., "Neural Photo Editing with Introspective Adversarial Networks", 2017,
          arXiv:1609.07093, section 2, whose mask is the change of the one image, which is a part of ours: elsewhere the
          photo stays, with all that the generator cannot reconstruct.
        - ``residual`` editing, and steps that refine z, are not the paper's.
        - Attributes that are not asked for become those of the nearest training face, so that one colour of hair goes
          as another comes; the authors' code has a list of what excludes what.
        - The encoders begin with DCGAN's weights, as generator and discriminator do; in the authors' code they keep the
          default of their layers. They see all images, in the authors' code two thirds.
        - The encoder of latents sees a newly generated image at each step, not one of a set made before.
    """

    batch_type = ImagesWithAttributes
    best_by = None  # samples change no more once the encoders are trained

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        attribute_names: Annotated[list[str], Field(min_length=1)],
        latent_dim: PositiveInt,
        width: PositiveInt,
        gan_epochs: NonNegativeInt,
        wrong_attributes: Literal["of_another", "flipped"],
        edit_by: Literal["direct", "residual", "masked"],
        mask_threshold: NonNegativeFloat,
        refine_steps: NonNegativeInt,
        optimizer: OptimizerFactory,
        encoder_optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.attribute_names = attribute_names
        self.noise_dim = latent_dim
        self.latent_dim = latent_dim + len(attribute_names)
        self.gan_epochs = gan_epochs
        self.wrong_attributes = wrong_attributes
        self.edit_by = edit_by
        self.mask_threshold = mask_threshold
        self.refine_steps = refine_steps
        self.generator = Generator(self.latent_dim, width, image_shape)
        self.discriminator = Discriminator(width, image_shape, len(attribute_names))
        self.latent_encoder = Encoder(width, image_shape, 64 * width, latent_dim)
        self.attribute_encoder = Encoder(width, image_shape, 8 * width, len(attribute_names))
        self.optimizer = optimizer
        self.encoder_optimizer = encoder_optimizer
        self.register_buffer("attribute_rows", self.no_rows())
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        gan, encoders = (self.generator, self.discriminator), (self.latent_encoder, self.attribute_encoder)
        return [
            *(self.optimizer(network.parameters()) for network in gan),
            *(self.encoder_optimizer(network.parameters()) for network in encoders),
        ]

    def training_step(self, batch: ImagesWithAttributes, batch_idx: int) -> None:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        noise = self.draw(self.prior, len(images), self.noise_dim)
        if self.current_epoch < self.gan_epochs:
            self.gan_step(images, coded(batch.attributes), noise)
        else:
            self.encoder_step(images, coded(batch.attributes), noise)

    def gan_step(self, images: Tensor, attributes: Tensor, noise: Tensor) -> None:
        """One turn of the discriminator and of the generator; attributes are -1 or 1."""
        generator_optimizer, discriminator_optimizer, _, _ = self.optimizers()
        fake = self.generator(torch.cat([noise, attributes], 1))

        # A real image with wrong attributes is as wrong as a generated one with its own.
        real_logits = self.discriminator(images, attributes)
        wrong_logits = self.discriminator(images, self.wrong(attributes))
        fake_logits = self.discriminator(fake.detach(), attributes)
        d_loss = cross_entropy(real_logits, 1) + (cross_entropy(wrong_logits, 0) + cross_entropy(fake_logits, 0)) / 2
        self.descend(discriminator_optimizer, d_loss, "discriminator")

        with self.constant(self.discriminator):
            g_loss = nonsaturating_generator_loss(self.discriminator(fake, attributes))
            self.descend(generator_optimizer, g_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            real_score=real_logits.sigmoid().mean(),
            wrong_score=wrong_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def wrong(self, attributes: Tensor) -> Tensor:
        """``(N, A)`` of -1 and 1 -> the same that do not fit."""
        if self.wrong_attributes == "of_another":
            return attributes.roll(1, 0)
        flipped = self.draw(torch.rand, len(attributes)).mul(attributes.shape[1]).long()
        return attributes.scatter(1, flipped[:, None], -attributes.gather(1, flipped[:, None]))

    def encoder_step(self, images: Tensor, attributes: Tensor, noise: Tensor) -> None:
        """Equations 2 and 3: z is known of generated images only, attributes are those of real ones."""
        _, _, latent_optimizer, attribute_optimizer = self.optimizers()
        self.generator.eval()  # as it is sampled from
        with torch.no_grad():
            fake = self.generator(torch.cat([noise, attributes], 1))

        latent_loss = mse_loss(self.latent_encoder(fake), noise)
        self.descend(latent_optimizer, latent_loss, "latent_encoder")

        attribute_loss = mse_loss(self.attribute_encoder(images), attributes)
        self.descend(attribute_optimizer, attribute_loss, "attribute_encoder")

        self.report(latent_encoder=latent_loss, attribute_encoder=attribute_loss)

    def validation_step(self, batch: ImagesWithAttributes, batch_idx: int) -> None:
        attributes = coded(batch.attributes)
        right = (self.attribute_encoder(batch.images) > 0) == (attributes > 0)
        score = self.discriminator(batch.images, attributes).sigmoid().mean()
        values = {"val/real_score": score, "val/attribute_accuracy": right.float().mean()}
        self.log_dict(values, batch_size=len(batch.images), sync_dist=True)

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, noise_dim + A)``: z, and -1 or 1 for each attribute."""
        return torch.cat([self.latent_encoder(images), coded(self.attributes(images))], 1)

    def attributes(self, images: Tensor) -> Tensor:
        """``(N, A)``, 0 or 1, as the encoder sees them."""
        return (self.attribute_encoder(images) > 0).float()

    def edit(self, images: Tensor, condition: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` with other attributes.

        Args:
            condition: ``(N, A)``: 1 wanted, 0 not wanted, NaN as they are.
        """
        seen = self.attributes(images)
        wanted = self.completed(condition, seen)
        noise = self.refined(self.latent_encoder(images), seen, images)
        before, after = (self.decode(torch.cat([noise, coded(given)], 1)) for given in (seen, wanted))
        if self.edit_by == "direct":
            return after
        if self.edit_by == "residual":
            return (images + after - before).clamp(-1, 1)
        return torch.lerp(images, after, self.mask(seen, wanted) * shown(before, after))

    def mask(self, seen: Tensor, wanted: Tensor) -> Tensor:
        """Where these attributes are seen, ``(N, 1, H, W)`` in [0, 1].

        Those are the pixels that change with them, in the mean over some latents, by more than ``mask_threshold`` times
        what the one that changes most does.
        """
        generator = torch.Generator().manual_seed(0)
        change = torch.zeros((), device=self.device)
        for _ in range(MASK_LATENTS):
            noise = self.prior(self.noise_dim, generator=generator).to(seen).expand(len(seen), -1)
            before, after = (self.decode(torch.cat([noise, coded(given)], 1)) for given in (seen, wanted))
            change = change + (after - before).abs().mean(1, keepdim=True)
        is_changed = change > self.mask_threshold * change.amax((2, 3), keepdim=True)
        return gaussian_blur(is_changed.to(seen), [MASK_SIZE] * 2, [MASK_SIGMA] * 2)

    def refined(self, noise: Tensor, attributes: Tensor, images: Tensor) -> Tensor:
        """z after ``refine_steps`` of Adam on the squared error of its image, each image for itself."""

        def errors(noise: Tensor) -> Tensor:
            generated = self.decode(torch.cat([noise, coded(attributes)], 1))
            return (generated - images).square().flatten(1).sum(1)

        with self.constant(self.generator):
            return searched(noise, errors, self.refine_steps, REFINE_LR)


def shown(before: Tensor, after: Tensor) -> Tensor:
    """How much of each pixel of an edited image is to be seen, by how much it changes, ``(N, 1, H, W)`` in [0, 1]."""
    change = (after - before).abs().mean(1, keepdim=True)
    whole = SHOWN_FROM * change.amax((2, 3), keepdim=True)
    return (change / whole.clamp(min=torch.finfo(change.dtype).tiny)).clamp(max=1)


class Generator(nn.Sequential):
    """DCGAN's, of z and y together, with biases.

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, ...]) -> None:
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.Unflatten(1, (latent_dim, 1, 1))]
        layers += [nn.ConvTranspose2d(latent_dim, channels[0], image_shape[1] >> doublings)]
        for wide, narrow in zip(channels, [*channels[1:], image_shape[0]], strict=True):
            layers += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True), nn.ConvTranspose2d(wide, narrow, 4, 2, 1)]
        super().__init__(*layers, nn.Tanh())


class Discriminator(nn.Module):
    """DCGAN's, with biases; y is told after the first convolution, at each place of its map.

    Batch norm keeps no running averages, as in DCGAN.

    Shapes: ``(N, C, H, W)`` in [-1, 1], ``(N, A)`` of -1 and 1 -> logits ``(N,)``.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...], num_attributes: int) -> None:
        super().__init__()
        doublings = num_doublings(image_shape)
        channels = [width * 2**level for level in range(doublings)]
        self.first = nn.Sequential(nn.Conv2d(image_shape[0], width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True))
        seen = [width + num_attributes, *channels[1:]]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(seen[:-1], channels[1:], strict=True):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs, track_running_stats=False)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        last = nn.Conv2d(seen[-1], 1, image_shape[1] >> doublings)
        self.rest = nn.Sequential(*layers, last, nn.Flatten(0))

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        features = self.first(images)
        return self.rest(torch.cat([features, attributes[:, :, None, None].expand(-1, -1, *features.shape[2:])], 1))


class Encoder(nn.Sequential):
    """Strided 5x5 convolutions and a hidden layer, each with batch norm and ReLU.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> ``(N, outputs)``.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...], hidden_dim: int, outputs: int) -> None:
        doublings = num_doublings(image_shape)
        channels = [image_shape[0], *(max(1, width // 2) * 2**level for level in range(doublings))]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 5, 2, 2), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
        features = channels[-1] * (image_shape[1] >> doublings) ** 2
        layers += [nn.Flatten(), nn.Linear(features, hidden_dim), nn.BatchNorm1d(hidden_dim), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(hidden_dim, outputs))
