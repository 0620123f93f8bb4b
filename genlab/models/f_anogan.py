"""f-AnoGAN: anomalies found by an encoder instead of AnoGAN's search.

Schlegl, Seeböck, Waldstein, Langs & Schmidt-Erfurth, "f-AnoGAN: Fast Unsupervised Anomaly Detection with Generative
Adversarial Networks", Medical Image Analysis 54, 2019, doi:10.1016/j.media.2019.01.010.
"""

import warnings
from collections.abc import Callable
from itertools import pairwise

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, mse_loss, pad, relu

from genlab.datasets.batches import LabelledImages
from genlab.latents import searched
from genlab.losses.adversarial import gradient_penalty, wasserstein_critic_loss, wasserstein_generator_loss
from genlab.losses.residual import check_side, residual_map
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents
from genlab.networks.dcgan import num_doublings

REFINE_LR = 0.03

Norm = Callable[[int], nn.Module]
"""Makes the normalization of so many channels."""


def layer_norm(channels: int) -> nn.Module:
    """Over all channels and pixels of an image, with a gain and a bias for each channel."""
    return nn.GroupNorm(1, channels)


def spread(weight: Tensor) -> Tensor:
    """Kernels of 3x3 averaged over 2x2 pixels, which are kernels of 4x4: ``(O, I, 3, 3)`` -> ``(O, I, 4, 4)``."""
    return avg_pool2d(pad(weight, [1] * 4), 2, stride=1)


class UpBlock(nn.Module):
    """Doubles the side: norm, ReLU and a convolution, twice, beside a convolution of 1x1.

    Repeating pixels before a convolution of 3x3 is one transposed convolution of 4x4, at less than half the cost.

    Shapes: ``(N, inputs, H, W)`` -> ``(N, outputs, 2H, 2W)``.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        doubling = 4 * spread(self.conv1.weight).flip(2, 3).transpose(0, 1)
        hidden = conv_transpose2d(relu(self.norm1(maps)), doubling, stride=2, padding=1)
        return self.conv2(relu(self.norm2(hidden))) + interpolate(self.shortcut(maps), scale_factor=2)


class DownBlock(nn.Module):
    """Halves the side: norm, ReLU and a convolution, twice, and the average of 2x2 pixels, beside one of 1x1.

    A convolution of 3x3 before that average is one of 4x4 with a stride of 2, at less than half the cost.

    Shapes: ``(N, inputs, H, W)`` -> ``(N, outputs, H / 2, W / 2)``.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(inputs)
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        hidden = relu(self.norm2(self.conv1(relu(self.norm1(maps)))))
        halved = conv2d(hidden, spread(self.conv2.weight), self.conv2.bias, stride=2, padding=1)
        return halved + self.shortcut(avg_pool2d(maps, 2))


def widths(width: int, image_shape: tuple[int, ...]) -> list[int]:
    """Channels of each map from the largest to the smallest: of 64x64 and width 64, 64, 128, 256, 512 and 512."""
    return [width * min(2**level, 8) for level in range(num_doublings(image_shape) + 1)]


class Generator(nn.Sequential):
    """A linear layer to the smallest map, and a block for each doubling.

    Shapes: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1).
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, ...]) -> None:
        channels = widths(width, image_shape)[::-1]
        side = image_shape[1] >> num_doublings(image_shape)
        super().__init__(
            nn.Linear(latent_dim, channels[0] * side * side),
            nn.Unflatten(1, (channels[0], side, side)),
            *(UpBlock(*pair) for pair in pairwise(channels)),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, image_shape[0], 3, padding=1),
            nn.Tanh(),
        )


class Features(nn.Sequential):
    """A convolution and a block for each halving.

    Shapes: ``(N, C, H, W)`` -> ``(N, num_features)``, of 64x64 images 128 times ``width``.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...], norm: Norm) -> None:
        channels = widths(width, image_shape)
        self.num_features = channels[-1] * (image_shape[1] >> num_doublings(image_shape)) ** 2
        super().__init__(
            nn.Conv2d(image_shape[0], width, 3, padding=1),
            *(DownBlock(*pair, norm) for pair in pairwise(channels)),
            nn.Flatten(),
        )


class Critic(nn.Module):
    """``(N, C, H, W)`` in [-1, 1] -> scores ``(N,)``, large for real images.

    Each score depends on its own image alone: it has layer norm, as the gradient penalty needs it.
    """

    def __init__(self, width: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.features = Features(width, image_shape, layer_norm)
        self.score = nn.Linear(self.features.num_features, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.score(self.features(images)).flatten(0)


class Encoder(nn.Module):
    """``(N, C, H, W)`` in [-1, 1] -> latents ``(N, latent_dim)`` in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.features = Features(width, image_shape, nn.BatchNorm2d)
        self.latent = nn.Linear(self.features.num_features, latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.latent(self.features(images)).tanh()


class FAnoGAN(FromLatents, GenerativeModel):
    """A WGAN-GP of normal images; then an encoder learns to find the latent of an image, of an anomalous one the
    latent of a normal image like it.

    The encoder is the paper's ``izi_f``: it is trained on images to images, and on features of the critic.

    Args:
        image_shape: ``(C, H, W)``, square, the side 4, 5, 6 or 7 times a power of 2 (paper: 1x64x64).
        latent_dim: length of the latent vector z (paper: 128).
        width: channels of the largest map (paper: 64).
        penalty_weight: lambda, of the gradient penalty (paper: 10).
        critic_steps: batches of the critic for each step of the generator (paper: 5).
        feature_weight: kappa, of the features in the encoder's loss and in the anomaly score (paper: 1).
        map_side: side of the square of pixels over which the anomaly map is averaged, odd (paper: 1).
        edge_weight: how much less a difference counts in that map where the restored image has edges (paper: 0).
        refine_steps: of Adam down the squared error of the pixels, from the encoder's latent, before an image is
            restored (paper: none, for speed).
        gan_epochs: epochs that train generator and critic; all further ones train the encoder (paper: 7 epochs, then
            50,000 batches).
        optimizer: of generator and critic, each (paper: Adam, lr 1e-4, betas 0 and 0.9).
        encoder_optimizer: of the encoder (paper: RMSProp, lr 5e-5).

    Differs from the paper:
        - Weights begin as torch has them; the authors' code draws them from uniform distributions of its own.
        - The latent of the encoder may be refined, by the squared error of the pixels.
        - The map may be averaged and weighted: a restored image that is off by part of a pixel differs at each of its
          edges as much as a lesion does.
    """

    batch_type = LabelledImages
    best_by = ("val/residual", "min")  # the best samples are drawn before the encoder is trained

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        latent_dim: PositiveInt,
        width: PositiveInt,
        penalty_weight: NonNegativeFloat,
        critic_steps: PositiveInt,
        feature_weight: NonNegativeFloat,
        map_side: PositiveInt,
        edge_weight: NonNegativeFloat,
        refine_steps: NonNegativeInt,
        gan_epochs: PositiveInt,
        optimizer: OptimizerFactory,
        encoder_optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        check_side(map_side, image_shape)
        self.latent_dim = latent_dim
        self.map_side = map_side
        self.edge_weight = edge_weight
        self.refine_steps = refine_steps
        self.penalty_weight = penalty_weight
        self.critic_steps = critic_steps
        self.feature_weight = feature_weight
        self.gan_epochs = gan_epochs
        self.generator = Generator(latent_dim, width, image_shape)
        self.critic = Critic(width, image_shape)
        self.encoder = Encoder(latent_dim, width, image_shape)
        self.optimizer = optimizer
        self.encoder_optimizer = encoder_optimizer
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters()),
            self.optimizer(self.critic.parameters()),
            self.encoder_optimizer(self.encoder.parameters()),
        ]

    def on_fit_start(self) -> None:
        if (epochs := self.trainer.max_epochs) is not None and 0 <= epochs <= self.gan_epochs:
            warnings.warn(
                f"model.gan_epochs={self.gan_epochs} of trainer.max_epochs={epochs}: no epoch is left to train the "
                "encoder, without which no anomaly is found",
                stacklevel=2,
            )

    def training_step(self, batch: LabelledImages, batch_idx: int) -> None:
        if self.current_epoch < self.gan_epochs:
            self.train_gan(batch.images)
        else:
            self.train_encoder(batch.images)

    def train_gan(self, real: Tensor) -> None:
        generator_optimizer, critic_optimizer, _ = self.optimizers()
        with torch.no_grad():
            fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
        distance = -wasserstein_critic_loss(self.critic(real), self.critic(fake))
        penalty = gradient_penalty(self.critic, real, fake, self.draw(torch.rand, len(real)))
        critic_loss = -distance + self.penalty_weight * penalty
        self.descend(critic_optimizer, critic_loss, "critic")
        self.report(critic=critic_loss, wasserstein_distance=distance, gradient_penalty=penalty)

        if (self.global_step + 1) % self.critic_steps == 0:
            with self.constant(self.critic):
                fake = self.generator(self.draw(self.prior, len(real), self.latent_dim))
                generator_loss = wasserstein_generator_loss(self.critic(fake))
                self.descend(generator_optimizer, generator_loss, "generator")
            self.report(generator=generator_loss)

    def train_encoder(self, images: Tensor) -> None:
        *_, encoder_optimizer = self.optimizers()
        self.generator.eval()
        with self.constant(self.generator, self.critic):
            restored = self.generator(self.encoder(images))
            residual = mse_loss(restored, images)
            features = mse_loss(self.critic.features(restored), self.critic.features(images))
            self.descend(encoder_optimizer, residual + self.feature_weight * features, "encoder")
        self.report(encoder=residual + self.feature_weight * features, residual=residual, features=features)

    def validation_step(self, batch: LabelledImages, batch_idx: int) -> None:
        """``val/wasserstein_distance`` far below that of training: the critic knows its images by heart."""
        fake = self.generator(self.draw(self.prior, len(batch.images), self.latent_dim))
        distance = -wasserstein_critic_loss(self.critic(batch.images), self.critic(fake))
        residual = mse_loss(self.generator(self.encoder(batch.images)), batch.images)
        values = {"val/wasserstein_distance": distance, "val/residual": residual}
        self.log_dict(values, batch_size=len(batch.images), sync_dist=True)

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """``(N, C, H, W)`` -> the latents of the normal images nearest to them, ``(N, latent_dim)``."""

        def errors(latent: Tensor) -> Tensor:
            return (self.generator(latent) - images).square().flatten(1).sum(1)

        with self.constant(self.generator):
            return searched(self.encoder(images), errors, self.refine_steps, REFINE_LR)

    def restore(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the normal images nearest to them."""
        return self.generator(self.encode(images))

    def anomaly_score(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N,)``: mean squared error of pixels and kappa times that of features."""
        restored = self.restore(images) if restored is None else restored
        residual = (restored - images).square().flatten(1).mean(1)
        features = (self.critic.features(restored) - self.critic.features(images)).square().mean(1)
        return residual + self.feature_weight * features

    def anomaly_map(self, images: Tensor, restored: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``|x - G(E(x))|`` as ``residual_map`` averages and weights it, ``(N, 1, H, W)``."""
        restored = self.restore(images) if restored is None else restored
        return residual_map(images, restored, self.map_side, self.edge_weight)
