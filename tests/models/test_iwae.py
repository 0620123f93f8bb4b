"""Facts of Burda, Grosse & Salakhutdinov's bound and of its gradient."""

import math
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from genlab.config import build, compose
from genlab.datasets.batches import LabelledImages
from genlab.models.iwae import IWAE
from genlab.training import build_model


def small(latent_dim: int = 1, **changes: Any) -> IWAE:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"hidden_dims": (8,), "num_draws": 5, "warmup_epochs": 0, "backward": "all"}
    return IWAE((1, 3, 2), latent_dim, optimizer=torch.optim.Adam, **(settings | changes)).eval()


def black_and_white(num_images: int) -> Tensor:
    """Images that dynamic binarization leaves as they are."""
    bits = torch.randint(2, (num_images, 1, 3, 2), generator=torch.Generator().manual_seed(5))
    return bits * 2.0 - 1


def gradient_of_a_step(model: IWAE, images: Tensor, noise: Tensor | None = None, seed: int = 0) -> Tensor:
    """The gradient of the first layer, without a trainer; with noise that is given, or drawn."""
    torch.manual_seed(seed)

    def draw(sampler: Any, *shape: int) -> Tensor:
        return noise if sampler is torch.randn and noise is not None else sampler(*shape)

    def descend(optimizer: None, loss: Tensor, name: str) -> None:
        model.zero_grad()
        loss.backward()

    model.__dict__ |= {"draw": draw, "optimizers": lambda: None, "report": lambda **values: None, "descend": descend}
    model.training_step(LabelledImages(images, torch.zeros(len(images))), 0)
    gradient = next(model.parameters()).grad
    assert gradient is not None
    return gradient.clone()


@pytest.mark.parametrize("words", [["model=iwae"], ["+experiment=iwae_paper"]])
def test_the_network_is_the_papers(words: list[str]) -> None:
    model = build_model(compose("train", words).config)
    count = {name: sum(weight.numel() for weight in child.parameters()) for name, child in model.named_children()}
    assert count == {"encoder": 217_300, "decoder": 207_984}
    assert sum(count.values()) == 425_284
    assert [type(layer) for layer in model.decoder] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]


def test_the_weights_begin_as_glorot_has_them() -> None:
    model = IWAE((1, 28, 28), 50, (200, 200), 5, 0, "one", torch.optim.Adam)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.abs().max().item() == pytest.approx((6 / sum(layer.weight.shape)) ** 0.5, rel=0.01)
            assert not layer.bias.any()


@torch.no_grad()
def test_it_begins_with_the_mean_image() -> None:
    model, mean = small(latent_dim=3), torch.rand(1, 3, 2)
    model.begin(mean)
    nn.init.zeros_(model.decoder[-1].weight)
    torch.testing.assert_close(model.sample(2), (mean * 2 - 1).expand(2, 1, 3, 2))


def test_the_papers_schedule_has_8_stages_and_3280_passes() -> None:
    config = compose("train", ["+experiment=iwae_paper"]).config
    stages = [3**i for i in range(8)]
    assert config["trainer"]["max_epochs"] == sum(stages) == 3280
    assert config["schedule"]["milestones"] == [sum(stages[:i]) for i in range(1, 8)]
    scheduler = build(config["schedule"], "schedule")
    optimizer = build(config["optimizer"], "optimizer")([nn.Parameter(torch.zeros(1))])
    begun = scheduler(optimizer)
    optimizer.step()
    found = set()
    for _ in range(3280):
        found.add(round(optimizer.param_groups[0]["lr"], 9))
        begun.step()
    assert sorted(found, reverse=True) == pytest.approx([1e-3 * 10 ** (-i / 7) for i in range(8)], abs=1e-8)
    assert config["optimizer"]["eps"] == 1e-4
    assert config["dataset"]["batch_size"] == 20
    assert config["model"]["warmup_epochs"] == 0


def test_log_weights_are_those_of_the_three_distributions() -> None:
    model = small(latent_dim=3)
    images, noise = (black_and_white(7) + 1) / 2, torch.randn(7, 4, 3)
    mean, log_variance = model.posterior(images)
    posterior = Normal(mean[:, None], (0.5 * log_variance).exp()[:, None])
    latent = posterior.mean + posterior.stddev * noise
    expected = Bernoulli(logits=model.decoder(latent)).log_prob(images.flatten(1)[:, None]).sum(2)
    expected = expected + (Normal(0.0, 1.0).log_prob(latent) - posterior.log_prob(latent)).sum(2)
    found = model.log_weights(images, (mean, log_variance), noise)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bounds_rise_with_the_draws_to_the_likelihood() -> None:
    model, images = small(), black_and_white(8)
    many = images.repeat(400, 1, 1, 1)
    elbo = model.elbo(many, torch.Generator().manual_seed(1)).view(400, 8).mean(0)
    one, ten = (model.iwae(many, k, torch.Generator().manual_seed(k)).view(400, 8) for k in (1, 10))
    thousands = model.iwae(images, 100_000, torch.Generator().manual_seed(4))
    latent = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    logits = model.double().decoder(latent[:, None])[:, None]
    log_joint = Bernoulli(logits=logits).log_prob((images.double().flatten(1) + 1) / 2).sum(2)
    exact = torch.logsumexp(log_joint + Normal(0.0, 1.0).log_prob(latent)[:, None], 0) + math.log(20 / 4000)
    assert (elbo < ten.mean(0)).all()
    assert (ten.mean(0) < exact + 0.02).all()
    assert ((one.mean(0) - elbo).abs() < 5 * one.std(0) / 400**0.5).all()
    torch.testing.assert_close(thousands.double(), exact, rtol=0, atol=0.05)


@torch.no_grad()
def test_the_bound_of_an_image_does_not_depend_on_its_batch() -> None:
    model = small(latent_dim=4)
    grey = torch.rand(9, 1, 3, 2) * 2 - 1
    for k in (5, 700, 2500):
        whole = model.iwae(grey, k, torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(0)
        torch.testing.assert_close(whole, torch.cat([model.iwae(part, k, generator) for part in grey.split(2)]))


def test_one_draw_backward_has_the_gradient_of_all_in_the_mean() -> None:
    images = black_and_white(1)
    noise = torch.randn(1, 5, 1, generator=torch.Generator().manual_seed(1))
    expected = gradient_of_a_step(small(backward="all"), images, noise)
    model = small(backward="one")
    steps = torch.stack([gradient_of_a_step(model, images, noise, seed) for seed in range(2000)])
    assert ((steps.mean(0) - expected).abs() < 5 * steps.std(0) / 2000**0.5 + 1e-6).all()
    assert len({tuple(step.flatten().tolist()) for step in steps}) == 5


def test_draws_grow_by_equal_factors_to_their_number() -> None:
    model = small(num_draws=16, warmup_epochs=4)
    assert [model.draws_of_epoch(epoch) for epoch in range(7)] == [1, 2, 4, 8, 16, 16, 16]
    assert small(num_draws=16, warmup_epochs=0).draws_of_epoch(0) == 16


@torch.no_grad()
def test_samples_are_probabilities_and_pixels_are_drawn_from_them() -> None:
    model = small(latent_dim=2)
    samples = model.sample(6, None, torch.Generator().manual_seed(0))
    assert samples.shape == (6, 1, 3, 2)
    assert samples.abs().max() <= 1
    pixels = model.draw_pixels(samples[:1].repeat(20_000, 1, 1, 1), torch.Generator().manual_seed(1))
    assert set(pixels.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(pixels.mean(0), samples[0], rtol=0, atol=0.05)


@pytest.mark.slow
def test_three_hundred_steps_learn_mnist(tmp_path) -> None:
    words = ["trainer.max_epochs=1", "trainer.limit_train_batches=300", "dataset.batch_size=50", "model.num_draws=10"]
    config = short_config(
        "iwae", *words, "model.warmup_epochs=0", "optimizer.lr=3e-3", "trainer.check_val_every_n_epoch=1"
    )
    bound = trained(tmp_path, config | {"callbacks": {}})["callbacks"]["Checkpoints"]["best"]
    assert bound > -185  # an untrained model has -543, one bit a pixel
