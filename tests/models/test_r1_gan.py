"""Facts of Mescheder, Geiger & Nowozin's penalty."""

import torch
from game import sgd, turns_of, without_trainer

from genlab.config import compose
from genlab.datasets.batches import LabelledImages, Vectors
from genlab.losses.adversarial import discriminator_loss, minimax_generator_loss
from genlab.models.r1_gan import R1GAN


def test_each_network_moves_in_its_own_turn_only() -> None:
    torch.manual_seed(0)
    model = without_trainer(R1GAN((1, 16, 16), 6, 4, 10.0, sgd))
    batch = LabelledImages(torch.rand(8, 1, 16, 16) * 2 - 1, torch.zeros(8, dtype=torch.int64))
    assert turns_of(model, batch) == ["discriminator", "generator"]


def test_the_discriminator_descends_the_loss_and_half_of_gamma_times_the_penalty() -> None:
    torch.manual_seed(0)
    model = without_trainer(R1GAN((2,), 4, 16, 10.0, sgd))
    losses: dict[str, torch.Tensor] = {}
    model.descend = lambda optimizer, loss, name: losses.update({name: loss.detach()})
    model.training_step(Vectors(torch.randn(32, 2)), 0)
    torch.testing.assert_close(losses["discriminator"], model.said["discriminator"] + 5 * model.said["r1_penalty"])


def test_the_dirac_gan_converges_with_the_penalty_and_circles_without() -> None:
    """Section 2 and theorem 4.1: a point θ against a linear discriminator ψ x, the data at 0."""
    radius = {}
    for gamma in (0.0, 1.0):
        theta, psi = torch.tensor([1.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)
        for _ in range(500):
            loss = discriminator_loss(psi * torch.zeros(1), psi * theta) + gamma / 2 * psi.square().sum()
            slope_psi = torch.autograd.grad(loss, psi)[0]
            slope_theta = torch.autograd.grad(minimax_generator_loss(psi * theta), theta)[0]
            with torch.no_grad():
                psi -= 0.1 * slope_psi
                theta -= 0.1 * slope_theta
        radius[gamma] = (theta.square() + psi.square()).sqrt().item()
    assert radius[1.0] < 0.01
    assert radius[0.0] > 0.9


def test_the_recipe_averages_the_generator() -> None:
    averaged = compose("train", ["model=r1_gan"]).config["callbacks"]["averaged_weights"]
    assert averaged["networks"] == ["generator"]
    assert averaged["decay"] == 0.999
