"""Facts of Kingma & Welling's bound, against closed forms, torch.distributions and quadrature."""

import math

import pytest
import torch
from conftest import short_config, trained
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from genlab.models.vae import VAE, binary


def small(latent_dim: int = 1, seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    vae = VAE((1, 3, 2), latent_dim, 8, lambda parameters: torch.optim.Adam(parameters, lr=1e-2))
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.mul_(2)  # far from the start, where all bounds are alike
    return vae.eval()


def black_and_white(num_images: int) -> Tensor:
    """Images that dynamic binarization leaves as they are."""
    bits = torch.randint(2, (num_images, 1, 3, 2), generator=torch.Generator().manual_seed(5))
    return bits * 2.0 - 1


def exact_log_likelihood(vae: VAE, images: Tensor) -> Tensor:
    """log of the integral of p(x|z) N(z; 0, 1) for a one-dimensional z, by the trapezoidal rule."""
    latent = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    logits = vae.double().decoder(latent[:, None])
    log_joint = Bernoulli(logits=logits[:, None]).log_prob((images.double() + 1) / 2).flatten(2).sum(2)
    log_joint += Normal(0.0, 1.0).log_prob(latent)[:, None]
    return torch.logsumexp(log_joint, 0) + math.log(20 / 4000)


def test_the_networks_have_one_hidden_layer_each() -> None:
    vae = VAE((1, 28, 28), 20, 500, torch.optim.Adam)
    count = {name: sum(weight.numel() for weight in child.parameters()) for name, child in vae.named_children()}
    assert count == {
        "encoder": 784 * 500 + 500 + 500 * 40 + 40,
        "decoder": 20 * 500 + 500 + 500 * 784 + 784,
    }


def test_the_two_terms_are_those_of_the_paper() -> None:
    vae = small(latent_dim=3)
    images, noise = (black_and_white(7) + 1) / 2, torch.randn(7, 3)
    mean, log_std = vae.encoder(images)
    posterior = Normal(mean, log_std.exp())
    log_likelihood = Bernoulli(logits=vae.decoder(mean + log_std.exp() * noise)).log_prob(images)
    reconstruction, kl = vae.bound(images, noise)
    torch.testing.assert_close(reconstruction, -log_likelihood.flatten(1).sum(1))
    torch.testing.assert_close(kl, kl_divergence(posterior, Normal(torch.zeros(3), torch.ones(3))).sum(1))


def test_a_decoder_that_knows_nothing_costs_one_bit_a_pixel() -> None:
    vae = small(latent_dim=2)
    torch.nn.init.zeros_(vae.decoder.pixels.weight)
    torch.nn.init.zeros_(vae.decoder.pixels.bias)
    torch.nn.init.zeros_(vae.encoder.latent.weight)
    torch.nn.init.zeros_(vae.encoder.latent.bias)
    torch.testing.assert_close(vae.elbo(black_and_white(5)), torch.full((5,), -6 * math.log(2)))


@torch.no_grad()
def test_bounds_lie_below_the_likelihood_and_more_draws_come_closer() -> None:
    vae, images = small(), black_and_white(8)
    many = images.repeat(400, 1, 1, 1)
    elbo = vae.elbo(many, torch.Generator().manual_seed(1)).view(400, 8).mean(0)
    one = vae.iwae(many, 1, torch.Generator().manual_seed(2)).view(400, 8)
    ten = vae.iwae(many, 10, torch.Generator().manual_seed(3)).view(400, 8).mean(0)
    thousands = vae.iwae(images, 100_000, torch.Generator().manual_seed(4))
    exact = exact_log_likelihood(vae, images)
    assert (elbo < exact).all()
    assert (elbo < ten).all()
    assert (ten < exact + 0.02).all()
    assert ((one.mean(0) - elbo).abs() < 5 * one.std(0) / 400**0.5).all()
    torch.testing.assert_close(thousands.double(), exact, rtol=0, atol=0.05)


@torch.no_grad()
def test_the_bound_of_an_image_does_not_depend_on_its_batch() -> None:
    vae = small(latent_dim=4)
    grey = torch.rand(9, 1, 3, 2) * 2 - 1
    for bound in (vae.elbo, lambda images, generator: vae.iwae(images, 5, generator)):
        whole = bound(grey, torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(0)
        torch.testing.assert_close(whole, torch.cat([bound(part, generator) for part in grey.split(2)]))


def test_binary_images_have_the_grey_value_as_their_mean() -> None:
    grey = torch.tensor([-1.0, -0.5, 0.0, 0.8, 1.0])
    drawn = binary(grey.expand(100_000, 5), torch.rand(100_000, 5, generator=torch.Generator().manual_seed(0)))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), (grey + 1) / 2, rtol=0, atol=0.01)
    assert binary(torch.tensor([torch.nan]), torch.tensor([0.5])).isnan()
    assert drawn[:, 0].sum() == 0
    assert drawn[:, 4].sum() == 100_000


@torch.no_grad()
def test_encode_gives_the_mean_or_a_draw_of_the_posterior() -> None:
    vae, image = small(latent_dim=2), black_and_white(1)
    mean, log_std = vae.encoder((image + 1) / 2)
    assert torch.equal(vae.encode(image), mean)
    draws = vae.encode(image.repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert ((draws.mean(0) - mean).abs() < 5 * log_std.exp() / 20_000**0.5).all()
    torch.testing.assert_close(draws.std(0, keepdim=True), log_std.exp(), rtol=0.05, atol=0)


@torch.no_grad()
def test_samples_are_probabilities_and_pixels_are_drawn_from_them() -> None:
    vae = small(latent_dim=2)
    samples = vae.sample(6, None, torch.Generator().manual_seed(0))
    assert samples.shape == (6, 1, 3, 2)
    assert samples.abs().max() <= 1
    pixels = vae.draw_pixels(samples[:1].repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(1))
    assert set(pixels.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(pixels.mean(0), samples[0], rtol=0, atol=0.05)


@pytest.mark.slow
def test_two_hundred_steps_learn_mnist(tmp_path) -> None:
    config = short_config("vae", "trainer.max_epochs=1", "trainer.limit_train_batches=200", "dataset.batch_size=128")
    bound = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert bound > -185  # an untrained model has -543, one bit a pixel
