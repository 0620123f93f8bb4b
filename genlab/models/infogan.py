"""InfoGAN.

Chen, Duan, Houthooft, Schulman, Sutskever & Abbeel, "InfoGAN: Interpretable Representation Learning by Information
Maximizing Generative Adversarial Nets", NIPS 2016, arXiv:1606.03657.
"""

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from genlab.datasets.batches import Images
from genlab.losses.adversarial import discriminator_loss, nonsaturating_generator_loss
from genlab.losses.variational import gaussian_log_likelihood
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.models.from_latents import FromLatents, one_hot, uniform
from genlab.randomness import row_by_row


def initialize(module: nn.Module) -> None:
    """As in the authors' code: weights from N(0, 0.02), gains of batch norm from N(1, 0.02), biases 0."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm1d | nn.BatchNorm2d):
        is_gain = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        nn.init.normal_(module.weight, 1.0 if is_gain else 0.0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def generator(latent_dim: int, width: int, image_shape: tuple[int, int, int]) -> nn.Sequential:
    """Table 1: ``(N, latent_dim)`` -> ``(N, C, H, W)`` in (-1, 1)."""
    side = image_shape[1] // 4
    return nn.Sequential(
        nn.Linear(latent_dim, 16 * width),
        nn.BatchNorm1d(16 * width),
        nn.ReLU(),
        nn.Linear(16 * width, 2 * width * side * side),
        nn.BatchNorm1d(2 * width * side * side),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, side, side)),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, image_shape[0], 4, stride=2, padding=1),
        nn.Tanh(),
    )


class Discriminator(nn.Module):
    """Table 1: D and Q share all but their last layers.

    Batch norm normalizes by the batch in evaluation, too, as in DCGAN.

    Shapes: ``(N, C, H, W)`` in [-1, 1] -> logits ``(N,)`` and the parameters of Q ``(N, num_outputs)``.
    """

    def __init__(self, num_outputs: int, width: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        side = image_shape[1] // 4
        self.shared = nn.Sequential(
            nn.Conv2d(image_shape[0], width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.BatchNorm2d(2 * width, track_running_stats=False),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(2 * width * side * side, 16 * width),
            nn.BatchNorm1d(16 * width, track_running_stats=False),
            nn.LeakyReLU(0.1),
        )
        self.real_or_fake = nn.Sequential(nn.Linear(16 * width, 1), nn.Flatten(0))
        self.code = nn.Sequential(
            nn.Linear(16 * width, 2 * width),
            nn.BatchNorm1d(2 * width, track_running_stats=False),
            nn.LeakyReLU(0.1),
            nn.Linear(2 * width, num_outputs),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.shared(images)
        return self.real_or_fake(features), self.code(features)


class InfoGAN(FromLatents, GenerativeModel):
    """Part of the latent is a code that a third network has to read off the image, so that the code means something.

    Args:
        image_shape: ``(C, H, W)``, square, the side a multiple of 4 (paper: 1x28x28).
        width: channels of the largest map (paper: 64); the smaller has twice, the hidden layers 16 times as many.
        noise_dim: length of the noise that is not read (paper: 62).
        num_codes: values of the categorical code (paper: 10).
        num_continuous: continuous codes, uniform in (-1, 1) (paper: 2).
        categorical_weight: lambda of the categorical code (paper: 1).
        continuous_weight: lambda of the continuous codes (paper: less, so that it is of the size of the game; authors'
            code: 1 on MNIST, where the variance is fixed).
        generator_lr: learning rate of the generator (paper: 1e-3).
        optimizer: called once for each network (paper: Adam, lr 2e-4 of D and Q; authors' code: beta1 0.5).

    Differs from the paper:
        - Noise is uniform in (-1, 1), weights begin normal, and batch norm comes before the activations, as in the
          authors' code; images end in tanh.
        - The generator's loss is the one that does not saturate, as in the authors' code; the paper's equation is the
          minimax game.
        - The generator's step has the latents of the discriminator's; the authors' code draws others.
        - The authors' code fixes the variance of continuous codes at 1; here it is learned, as the paper says.
    """

    batch_type = Images

    def __init__(
        self,
        image_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        width: PositiveInt,
        noise_dim: PositiveInt,
        num_codes: PositiveInt,
        num_continuous: NonNegativeInt,
        categorical_weight: NonNegativeFloat,
        continuous_weight: NonNegativeFloat,
        generator_lr: PositiveFloat,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        if image_shape[1] != image_shape[2] or image_shape[1] % 4:
            raise ValueError(f"image_shape={list(image_shape)}: expected a square whose side is a multiple of 4")
        self.noise_dim = noise_dim
        self.num_codes = num_codes
        self.num_continuous = num_continuous
        self.latent_dim = noise_dim + num_codes + num_continuous
        self.categorical_weight = categorical_weight
        self.continuous_weight = continuous_weight
        self.generator_lr = generator_lr
        self.optimizer = optimizer
        self.generator = generator(self.latent_dim, width, image_shape)
        self.discriminator = Discriminator(num_codes + 2 * num_continuous, width, image_shape)
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.generator.parameters(), lr=self.generator_lr),
            self.optimizer(self.discriminator.parameters()),
        ]

    def training_step(self, batch: Images, batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()
        images = batch.images
        noise = self.draw(uniform, len(images), self.noise_dim)
        category = self.draw(torch.rand, len(images)).mul(self.num_codes).long()
        continuous = self.draw(uniform, len(images), self.num_continuous)
        fake = self.generator(torch.cat([noise, one_hot(category, self.num_codes), continuous], 1))

        real_logits, _ = self.discriminator(images)
        fake_logits, code = self.discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        # Equation 6, with Q's step taken together with D's, as in the authors' code; D's shared layers descend it, too.
        self.descend(discriminator_optimizer, d_loss + self.code_loss(code, category, continuous), "discriminator")

        with self.constant(self.discriminator):
            logits, code = self.discriminator(fake)
            g_loss, code_loss = nonsaturating_generator_loss(logits), self.code_loss(code, category, continuous)
            self.descend(generator_optimizer, g_loss + code_loss, "generator")

        self.report(
            discriminator=d_loss,
            generator=g_loss,
            code=code_loss,
            real_score=real_logits.sigmoid().mean(),
            fake_score=fake_logits.sigmoid().mean(),
        )

    def code_loss(self, code: Tensor, category: Tensor, continuous: Tensor) -> Tensor:
        """Minus the bound of equation 5 without the codes' own entropy, weighted: the mean of ``-log q(c|x)`` in nats.

        Shapes:
            code: ``(N, num_codes + 2 * num_continuous)``: logits, means and log variances.
            category: ``(N,)`` int64.
            continuous: ``(N, num_continuous)``.
        """
        logits, mean, log_variance = code.split([self.num_codes, self.num_continuous, self.num_continuous], 1)
        likelihood = gaussian_log_likelihood(mean, log_variance, continuous).sum(1).mean()
        return self.categorical_weight * cross_entropy(logits, category) - self.continuous_weight * likelihood

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        if len(batch.images) == 1:
            return  # which has no batch statistics
        score = self.discriminator(batch.images)[0].sigmoid().mean()
        self.log("val/real_score", score, batch_size=len(batch.images), sync_dist=True)

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, noise_dim + num_codes + num_continuous)``."""

        def row(*, generator: torch.Generator | None) -> Tensor:
            category = torch.randint(self.num_codes, (), generator=generator)
            continuous = uniform(self.num_continuous, generator=generator)
            noise = uniform(self.noise_dim, generator=generator)
            return torch.cat([noise, one_hot(category, self.num_codes), continuous])

        return row_by_row(num_samples, row, generator=generator).to(self.device, self.dtype)

    def vary_codes(self, num_rows: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents of which one code changes along a row and all else stays, as in figure 2.

        First the categorical code, then each continuous one from -2 to 2, twice as far as in training.

        Returns:
            ``(1 + num_continuous, num_rows, num_codes, latent_dim)``; each code has the same rows.
        """
        rows = self.draw_latent(num_rows, generator)[:, None].repeat(1 + self.num_continuous, 1, self.num_codes, 1)
        first = self.noise_dim + self.num_codes
        rows[0, :, :, self.noise_dim : first] = torch.eye(self.num_codes)
        for number in range(self.num_continuous):
            rows[1 + number, :, :, first + number] = torch.linspace(-2, 2, self.num_codes)
        return rows

    def log_code_posterior(self, images: Tensor) -> Tensor:
        """log Q(c|x) of the categorical code, ``(N, C, H, W)`` -> ``(N, num_codes)`` nats."""
        return log_softmax(self.discriminator(images)[1][:, : self.num_codes], 1)
