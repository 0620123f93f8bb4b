"""Facts of Kingma & Welling's bound, against closed forms, torch.distributions and quadrature."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from genlab.config import compose
from genlab.datasets.batches import LabelledImages
from genlab.losses.variational import discretized_logistic_log_likelihood, gaussian_kl
from genlab.models.vae import VAE
from genlab.networks.convolutional import ConvolutionalEncoder
from genlab.training import build_model


def vae_of(latent_dim: int, image_shape: tuple[int, int, int] = (1, 3, 2), **changes: Any) -> VAE:
    settings: dict[str, Any] = {"network": "mlp", "hidden_dims": (8,), "activation": "relu", "num_levels": 4}
    settings |= {"decoder_distribution": "bernoulli", "beta": 1.0, "free_bits": 0.0, "kl_warmup_epochs": 0}
    settings |= {"pixel_bias": "zeros"}
    return VAE(image_shape, latent_dim, optimizer=torch.optim.Adam, **(settings | changes))


def small(latent_dim: int = 1, seed: int = 0, **changes: Any) -> VAE:
    torch.manual_seed(seed)
    vae = vae_of(latent_dim, **changes)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.mul_(2)  # far from the start, where all bounds are alike
    return vae.eval()


class Step:
    """One training step without a trainer: the loss that was descended and the values that were reported."""

    def __init__(self, vae: VAE, images: Tensor, step: int = 0) -> None:
        torch.manual_seed(0)
        self.reported: dict[str, Tensor] = {}
        trainer = SimpleNamespace(global_step=step, num_training_batches=10)
        vae.__dict__ |= {"_trainer": trainer, "draw": lambda sampler, *shape: sampler(*shape)}
        vae.__dict__ |= {"optimizers": lambda: None, "report": self.report, "descend": self.descend}
        vae.training_step(LabelledImages(images, torch.zeros(len(images))), 0)

    def report(self, **values: Tensor) -> None:
        self.reported = values

    def descend(self, optimizer: None, loss: Tensor, name: str) -> None:
        self.loss = loss


def black_and_white(num_images: int) -> Tensor:
    """Images that dynamic binarization leaves as they are."""
    bits = torch.randint(2, (num_images, 1, 3, 2), generator=torch.Generator().manual_seed(5))
    return bits * 2.0 - 1


def exact_log_likelihood(vae: VAE, images: Tensor) -> Tensor:
    """log of the integral of p(x|z) N(z; 0, 1) for a one-dimensional z, by the trapezoidal rule."""
    latent = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    logits = vae.double().decoder(latent[:, None])
    visible = (images.double() + 1) / 2
    log_joint = torch.stack(
        [vae.log_likelihood_given_latent(logits, image.expand_as(logits)) for image in visible], dim=1
    )
    log_joint += Normal(0.0, 1.0).log_prob(latent)[:, None]
    return torch.logsumexp(log_joint, 0) + math.log(20 / 4000)


def test_the_networks_have_one_hidden_layer_each() -> None:
    vae = vae_of(20, (1, 28, 28), hidden_dims=(500,))
    count = {name: sum(weight.numel() for weight in child.parameters()) for name, child in vae.named_children()}
    assert count == {
        "encoder": 784 * 500 + 500 + 500 * 40 + 40,
        "decoder": 20 * 500 + 500 + 500 * 784 + 784,
    }


def test_burdas_network_has_425284_parameters() -> None:
    vae = build_model(compose("train", ["+experiment=vae_burda"]).config)
    assert sum(weight.numel() for weight in vae.parameters()) == 425_284
    assert [type(layer) for layer in vae.decoder] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear, nn.Unflatten]


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 17, 8)])
def test_the_convolutional_networks_take_images_of_any_sides(image_shape: tuple[int, int, int]) -> None:
    vae = vae_of(5, image_shape, network="convolutional", hidden_dims=(4, 6))
    images = torch.rand(3, *image_shape) * 2 - 1
    assert isinstance(vae.encoder, ConvolutionalEncoder)
    assert vae.encode(images).shape == (3, 5)
    assert vae.sample(2).shape == (2, *image_shape)
    assert vae.elbo(images).shape == (3,)


@torch.no_grad()
def test_a_fully_connected_decoder_begins_with_the_mean_image() -> None:
    vae, mean = vae_of(3), torch.rand(1, 3, 2)
    vae.begin(mean)
    nn.init.zeros_(vae.decoder[-2].weight)
    torch.testing.assert_close(vae.sample(2), (mean * 2 - 1).expand(2, 1, 3, 2))


@torch.no_grad()
def test_a_convolutional_decoder_begins_with_the_mean_of_each_channel() -> None:
    vae, mean = vae_of(3, (3, 9, 8), network="convolutional", hidden_dims=(4, 6)), torch.rand(3, 9, 8)
    vae.begin(mean)
    nn.init.zeros_(vae.decoder.convolutions[-1].weight)
    torch.testing.assert_close(vae.sample(2), (mean.mean((1, 2)) * 2 - 1).view(3, 1, 1).expand(2, 3, 9, 8))


@pytest.mark.parametrize(("pixel_bias", "begins"), [("zeros", False), ("log_odds", True)])
def test_the_mean_image_is_taken_only_where_it_is_asked_for(tmp_path, pixel_bias: str, begins: bool) -> None:
    words = ["trainer.max_steps=1", "optimizer.lr=1e-9", f"model.pixel_bias={pixel_bias}"]
    weights = trained(tmp_path / "run", short_config("vae", *words))["state_dict"]
    border = weights["decoder.2.bias"][:28]  # the first row of MNIST is always black
    assert bool((border < -6).all()) is begins


def test_the_two_terms_are_those_of_the_paper() -> None:
    vae = small(latent_dim=3)
    images, noise = (black_and_white(7) + 1) / 2, torch.randn(7, 3)
    mean, log_variance = vae.posterior(images)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    log_likelihood = Bernoulli(logits=vae.decoder(mean + posterior.stddev * noise)).log_prob(images)
    reconstruction, kl = vae.bound(images, noise)
    torch.testing.assert_close(reconstruction, -log_likelihood.flatten(1).sum(1))
    torch.testing.assert_close(kl, kl_divergence(posterior, Normal(torch.zeros(3), torch.ones(3))).sum(1))


def test_a_decoder_that_knows_nothing_costs_one_bit_a_pixel() -> None:
    vae = small(latent_dim=2)
    for parameter in vae.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(vae.elbo(black_and_white(5)), torch.full((5,), -6 * math.log(2)))


@pytest.mark.parametrize("distribution", ["bernoulli", "gaussian", "discretized_logistic"])
@torch.no_grad()
def test_bounds_lie_below_the_likelihood_and_more_draws_come_closer(distribution: str) -> None:
    vae, images = small(decoder_distribution=distribution), black_and_white(8)
    if distribution != "bernoulli":
        vae.log_scale.fill_(0.5)  # wide, so that few draws tell something
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


@torch.no_grad()
def test_encode_gives_the_mean_or_a_draw_of_the_posterior() -> None:
    vae, image = small(latent_dim=2), black_and_white(1)
    mean, log_variance = vae.posterior((image + 1) / 2)
    std = (0.5 * log_variance).exp()
    assert torch.equal(vae.encode(image), mean)
    draws = vae.encode(image.repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert ((draws.mean(0) - mean).abs() < 5 * std / 20_000**0.5).all()
    torch.testing.assert_close(draws.std(0, keepdim=True), std, rtol=0.05, atol=0)


@torch.no_grad()
def test_samples_are_probabilities_and_pixels_are_drawn_from_them() -> None:
    vae = small(latent_dim=2)
    samples = vae.sample(6, None, torch.Generator().manual_seed(0))
    assert samples.shape == (6, 1, 3, 2)
    assert samples.abs().max() <= 1
    pixels = vae.draw_pixels(samples[:1].repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(1))
    assert set(pixels.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(pixels.mean(0), samples[0], rtol=0, atol=0.05)


@torch.no_grad()
def test_pixels_are_drawn_from_the_gaussian_and_clipped() -> None:
    vae = small(decoder_distribution="gaussian")
    vae.log_scale.fill_(math.log(0.1))
    pixels = vae.draw_pixels(torch.tensor([-1.0, 0.0, 0.3]).repeat(20_000, 1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(pixels[:, 1:].mean(0), torch.tensor([0.0, 0.3]), rtol=0, atol=0.005)
    torch.testing.assert_close(pixels[:, 1:].std(0), torch.full((2,), 0.1), rtol=0.05, atol=0)
    assert pixels.min() == -1
    assert (pixels[:, 0] == -1).float().mean() == pytest.approx(0.5, abs=0.02)


@torch.no_grad()
def test_levels_are_drawn_with_the_probabilities_of_the_discretized_logistic() -> None:
    vae = small(decoder_distribution="discretized_logistic")
    pixels = vae.draw_pixels(torch.full((50_000, 1), 0.1), torch.Generator().manual_seed(0))
    levels = torch.linspace(-1, 1, 4)
    expected = discretized_logistic_log_likelihood(torch.tensor(0.1), vae.log_scale, levels, 4).exp()
    counted = torch.stack([(pixels - level).abs().lt(1e-6).float().mean() for level in levels])
    torch.testing.assert_close(counted, expected, rtol=0, atol=0.01)


def test_the_loss_is_the_negative_bound_by_default() -> None:
    step = Step(small(latent_dim=3), black_and_white(9))
    assert step.loss == step.reported["negative_elbo"]
    torch.testing.assert_close(step.loss, step.reported["reconstruction"] + step.reported["kl"])


def test_beta_weighs_the_divergence_in_training_and_in_no_bound() -> None:
    plain, weighed = (small(latent_dim=3, beta=beta) for beta in (1.0, 4.0))
    steps = [Step(vae, black_and_white(9)) for vae in (plain, weighed)]
    torch.testing.assert_close(steps[1].loss, steps[0].loss + 3 * steps[0].reported["kl"])
    assert steps[0].reported == steps[1].reported
    for bound in (VAE.elbo, lambda vae, images, generator: vae.iwae(images, 3, generator)):
        bounds = [bound(vae, black_and_white(4), torch.Generator().manual_seed(0)) for vae in (plain, weighed)]
        assert torch.equal(*bounds)


def test_free_bits_are_not_penalized() -> None:
    images = black_and_white(9)
    kl = Step(small(latent_dim=3), images).reported["kl"]
    vae = small(latent_dim=3, free_bits=100.0)
    step = Step(vae, images)
    torch.testing.assert_close(step.loss, step.reported["reconstruction"] + 3 * 100)
    assert step.reported["kl"] == kl
    step.loss.backward()
    with_reward = [parameter.grad.clone() for parameter in vae.encoder.parameters() if parameter.grad is not None]
    vae.zero_grad()
    step = Step(vae, images)
    step.reported["reconstruction"].backward()
    torch.testing.assert_close(with_reward, [parameter.grad for parameter in vae.encoder.parameters()])


def test_each_latent_has_free_bits_of_its_own() -> None:
    vae, images = small(latent_dim=3), black_and_white(9)
    step = Step(vae, images)
    mean, log_variance = vae.posterior((images + 1) / 2)
    of_each_latent = gaussian_kl(mean[..., None], log_variance[..., None]).mean(0)
    between = of_each_latent.sort().values[:2].mean().item()  # one latent is below
    freed = Step(small(latent_dim=3, free_bits=between), images)
    torch.testing.assert_close(freed.loss, step.loss + between - of_each_latent.min())


def test_the_divergence_warms_up_in_a_straight_line() -> None:
    steps = [Step(small(beta=2.0, kl_warmup_epochs=3), black_and_white(9), step) for step in (0, 15, 30, 500)]
    weights = [((step.loss - step.reported["reconstruction"]) / step.reported["kl"]).item() for step in steps]
    assert weights == pytest.approx([0, 1, 2, 2], abs=1e-5)


@pytest.mark.slow
def test_two_hundred_steps_learn_mnist(tmp_path) -> None:
    config = short_config("vae", "trainer.max_epochs=1", "trainer.limit_train_batches=200", "dataset.batch_size=128")
    bound = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert bound > -185  # an untrained model has -543, one bit a pixel
