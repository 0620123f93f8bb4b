"""Prints how fast genlab trains adversarial models beside plain loops of the same networks and losses.

    python scripts/bench_gan.py            # about 10 minutes on 2 cores that do nothing else
    python scripts/bench_gan.py --rounds 1

Each round measures every line once, in turn, in this process; a figure is the median over the rounds of the ratios
within a round.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from bench_train import beside_plain_loops, config_of, rounds_given, show
from torch import Tensor

from genlab.datasets.batches import LabelledImages
from genlab.losses.adversarial import (
    discriminator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    nonsaturating_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from genlab.training import build_model

STEPS = 8
WORDS = {
    "dcgan": ("model=dcgan", "dataset.data_shape=[1,64,64]", "model.width=64", "dataset.batch_size=64"),
    "wgan_gp": (
        *("model=wgan_gp", "dataset=fashion_mnist", "dataset.data_shape=[1,64,64]", "model.width=64"),
        "model.critic_steps=1",
    ),
    "sngan": ("model=sngan", "dataset=mnist_32", "model.generator_width=64", "model.discriminator_width=64"),
}

Losses = tuple[Callable[[Any, Tensor, Tensor], Tensor], Callable[[Any, Tensor], Tensor]]


def dcgan_losses() -> Losses:
    def judge(network: Any, real: Tensor, fake: Tensor) -> Tensor:
        return discriminator_loss(network(real), network(fake))

    return judge, lambda network, fake: nonsaturating_generator_loss(network(fake))


def wgan_gp_losses() -> Losses:
    def judge(network: Any, real: Tensor, fake: Tensor) -> Tensor:
        penalty = gradient_penalty(network, real, fake, torch.rand(len(real)))
        return wasserstein_critic_loss(network(real), network(fake)) + 10 * penalty

    return judge, lambda network, fake: wasserstein_generator_loss(network(fake))


def sngan_losses() -> Losses:
    def judge(network: Any, real: Tensor, fake: Tensor) -> Tensor:
        return hinge_discriminator_loss(*network(torch.cat([real, fake])).chunk(2))

    return judge, lambda network, fake: hinge_generator_loss(network(fake))


LOSSES = {"dcgan": dcgan_losses(), "wgan_gp": wgan_gp_losses(), "sngan": sngan_losses()}


def bare(name: str, batches: list[LabelledImages]) -> float:
    """Seconds of full steps, float32, after as many to warm up."""
    model: Any = build_model(config_of(*WORDS[name]))
    generator, judge = model.generator, getattr(model, "discriminator", None) or model.critic
    generator_optimizer, judge_optimizer = model.configure_optimizers()
    judge_loss, generator_loss = LOSSES[name]
    for _ in range(2):
        started = time.perf_counter()
        for real, _ in batches:
            with torch.set_grad_enabled(name == "dcgan"):  # it trains the generator on the same images
                fake = generator(torch.randn(len(real), model.latent_dim))
            judge_optimizer.zero_grad()
            judge_loss(judge, real, fake.detach()).backward()
            judge_optimizer.step()
            judge.requires_grad_(False)
            generator_optimizer.zero_grad()
            if name != "dcgan":
                fake = generator(torch.randn(len(real), model.latent_dim))
            generator_loss(judge, fake).backward()
            generator_optimizer.step()
            judge.requires_grad_(True)
        seconds = time.perf_counter() - started
    return seconds


def main() -> None:
    rounds = rounds_given(__doc__, 5)
    show(beside_plain_loops(WORDS, STEPS, bare, rounds), rounds)


if __name__ == "__main__":
    main()
