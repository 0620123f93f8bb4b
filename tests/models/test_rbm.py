"""Facts of restricted Boltzmann machines, against sums over all their states."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from alone import alone
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from genlab.config import build, compose
from genlab.datasets.batches import LabelledImages
from genlab.datasets.loader import Chosen
from genlab.losses.variational import binary, draws_for
from genlab.metrics.log_partition import annealed, enumerated, estimate
from genlab.models.rbm import RBM, gibbs_step


def small(chains: Any = "persistent", gibbs_steps: int = 1, num_chains: int = 5, seed: int = 0) -> RBM:
    """Four pixels and three hidden units that depend on each other."""
    torch.manual_seed(seed)
    model = RBM((1, 2, 2), 3, chains, num_chains, gibbs_steps, 20, torch.optim.SGD).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def states(num_units: int) -> Tensor:
    """All states of some units, ``(2^num_units, num_units)``."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=num_units)), dtype=torch.float64)


def probabilities(model: RBM) -> Tensor:
    """p(v) of all 16 images, by the sum over all states of both layers."""
    visible, hidden = states(4), states(3)
    energy = visible @ model.visible_bias[:, None] + (hidden @ model.hidden_bias) + visible @ model.weight @ hidden.T
    return energy.flatten().softmax(0).view(16, 8).sum(1)


class Given:
    """Images in the order they are given."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, chosen: Chosen) -> LabelledImages:
        return LabelledImages(self.images[chosen.items], torch.zeros(len(chosen.items), dtype=torch.long))


def test_mnist_with_500_hidden_units_has_393284_parameters() -> None:
    model = RBM((1, 28, 28), 500, "persistent", 10, 1, 1, torch.optim.SGD)
    assert sum(weight.numel() for weight in model.parameters()) == 784 * 500 + 784 + 500 == 393_284
    assert model.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not model.hidden_bias.any()


def test_the_free_energy_sums_over_the_hidden_units() -> None:
    model = small()
    visible, hidden = states(4), states(3)
    energy = visible @ model.visible_bias[:, None] + (hidden @ model.hidden_bias) + visible @ model.weight @ hidden.T
    assert model.free_energy(visible).dtype == torch.float64
    torch.testing.assert_close(model.free_energy(visible), -energy.logsumexp(1), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close((-model.free_energy(visible)).softmax(0), probabilities(model), rtol=1e-12, atol=0)


def test_free_energy_and_pseudo_likelihood_are_those_of_scikit_learn() -> None:
    model = small()
    peer = BernoulliRBM(3, random_state=7)
    peer.components_ = model.weight.T.detach().numpy()
    peer.intercept_visible_, peer.intercept_hidden_ = (
        bias.detach().numpy() for bias in (model.visible_bias, model.hidden_bias)
    )
    visible = states(4)
    free_energy = model.free_energy(visible).detach()
    np.testing.assert_allclose(free_energy, peer._free_energy(visible.numpy()), rtol=1e-12)
    pixels = np.random.RandomState(7).randint(0, 4, 16)  # the ones that score_samples flips
    ours = model.pseudo_likelihood(visible, free_energy, torch.tensor((pixels + 0.5) / 4))
    np.testing.assert_allclose(ours, peer.score_samples(visible.numpy()), rtol=1e-10)


def test_the_pseudo_likelihood_is_the_sum_of_the_conditionals() -> None:
    model, visible = small(), states(4)
    joint, free_energy = probabilities(model), model.free_energy(visible)
    expected = torch.zeros(16, dtype=torch.float64)
    for pixel in range(4):
        flipped = torch.arange(16) ^ (8 >> pixel)
        expected += (joint / (joint + joint[flipped])).log()
    found = [model.pseudo_likelihood(visible, free_energy, torch.full((16,), (i + 0.5) / 4)) for i in range(4)]
    torch.testing.assert_close(torch.stack(found).mean(0), expected)


def test_the_gradient_is_the_difference_of_two_correlations(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of data minus that of the model's draws, through which no gradient flows."""
    model = small("data")
    data, drawn = states(4)[:9], states(4)[3:10]
    (model.free_energy(data).mean() - model.free_energy(drawn).mean()).backward()
    hidden = [torch.sigmoid(model.hidden_bias + visible @ model.weight) for visible in (data, drawn)]
    assert model.weight.grad is not None
    expected = drawn.T @ hidden[1] / len(drawn) - data.T @ hidden[0] / len(data)
    torch.testing.assert_close(model.weight.grad, expected)
    monkeypatch.setattr(model, "draw", lambda sampler, *shape: sampler(*shape))
    assert not model.draw_fantasies(data).requires_grad


def test_a_gibbs_step_draws_from_the_conditionals_and_keeps_the_distribution() -> None:
    model = small()
    weights = [weights.detach() for weights in (model.weight, model.visible_bias, model.hidden_bias)]
    joint, count = probabilities(model).detach(), 200_000
    generator = torch.Generator().manual_seed(0)
    start = torch.multinomial(joint, count, replacement=True, generator=generator)
    uniform = torch.rand(count, 7, dtype=torch.float64, generator=generator)
    visible, probability = gibbs_step(states(4)[start], uniform, *weights)
    found = torch.bincount((visible @ torch.tensor([8.0, 4.0, 2.0, 1.0]).double()).long(), minlength=16)
    chi_squared = ((found - count * joint).square() / (count * joint)).sum()
    assert chi_squared < 15 + 4 * 30**0.5  # 15 degrees of freedom
    torch.testing.assert_close(probability.mean(0), visible.mean(0), rtol=0, atol=0.01)


@pytest.mark.parametrize("chains", ["data", "persistent"])
def test_chains_go_on_for_k_steps_from_the_data_or_from_where_they_were(
    chains: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(chains, gibbs_steps=3)
    monkeypatch.setattr(model, "draw", lambda sampler, *shape: sampler(*shape).double())
    weights = [weights.detach() for weights in (model.weight, model.visible_bias, model.hidden_bias)]
    data = states(4)[3:7]
    persistent = torch.zeros(5, 4, dtype=torch.float64)
    for seed, batch in enumerate((data, data[:1])):  # the second batch is a short one
        expected = batch if chains == "data" else persistent
        torch.manual_seed(seed)
        for _ in range(3):
            expected, _ = gibbs_step(expected, torch.rand(len(expected), 7).double(), *weights)
        torch.manual_seed(seed)
        assert torch.equal(model.draw_fantasies(batch), expected)
        persistent = expected if chains == "persistent" else persistent
    assert ("fantasies" in model.state_dict()) is (chains == "persistent")
    if chains == "persistent":
        assert torch.equal(model.state_dict()["fantasies"], persistent)


def test_biases_and_chains_start_at_the_frequencies_of_the_pixels() -> None:
    model = small(num_chains=20_000)
    white = torch.tensor([1.0, -0.5, 0.0, -1.0]).view(1, 1, 2, 2)
    torch.manual_seed(0)
    model.begin(Given(white.repeat(98, 1, 1, 1)))
    frequency = (98 * torch.tensor([1.0, 0.25, 0.5, 0.0]).double() + 1) / 100  # Laplace's rule
    torch.testing.assert_close(model.visible_bias.detach(), frequency.logit())
    torch.testing.assert_close(model.base_bias, frequency.logit())
    assert model.fantasies is not None
    assert set(model.fantasies.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(model.fantasies.mean(0), frequency, rtol=0, atol=0.02)


def test_chains_converge_to_the_distribution() -> None:
    model = small()
    generator = torch.Generator().manual_seed(0)
    mean = (model.sample(2000, None, generator).mean(0).flatten() + 1) / 2
    torch.testing.assert_close(mean, (probabilities(model) @ states(4)).detach(), rtol=0, atol=0.05)


def test_a_sample_is_the_last_frame_of_a_chain_whatever_runs_beside_it() -> None:
    model = small().float()
    frames = list(model.chain(3, 20, torch.Generator().manual_seed(4)))
    assert [frame.shape for frame in frames] == [(3, 1, 2, 2)] * 20
    assert all(frame.abs().max() <= 1 for frame in frames)
    assert torch.equal(frames[-1], model.sample(3, None, torch.Generator().manual_seed(4)))
    generator = torch.Generator().manual_seed(4)
    alone = torch.cat([model.sample(1, None, generator) for _ in range(3)])
    torch.testing.assert_close(frames[-1], alone, rtol=0, atol=1e-6)


def test_pixels_are_drawn_from_their_probabilities() -> None:
    mean = torch.tensor([-1.0, -0.5, 0.2, 1.0]).view(1, 1, 2, 2).repeat(20_000, 1, 1, 1)
    pixels = small().draw_pixels(mean, torch.Generator().manual_seed(1))
    assert set(pixels.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(pixels.mean(0), mean[0], rtol=0, atol=0.03)


def test_binary_images_are_those_of_the_bounds_of_a_vae() -> None:
    grey = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1
    uniform, _ = draws_for(grey, 8, 20, torch.Generator().manual_seed(0))
    ours = small().draw_visible(grey, torch.Generator().manual_seed(0))
    assert torch.equal(ours, binary(grey, uniform).flatten(1))


def digits(split: str) -> Tensor:
    """Handwritten digits, black or white by the nearer: ``(N, 1, 8, 8)``, -1 or 1."""
    dataset = build(compose("train", ["dataset=optdigits", "dataset.num_validation=0"]).config["dataset"], "dataset")
    dataset.load_once()
    source = dataset.sources[split]
    return source.__getitems__(Chosen(-1, torch.arange(len(source)))).images.sign().add(0.5).sign()


def mean_nll(model: RBM, images: Tensor) -> float:
    """Exact, in nats an image."""
    weights = [weights.detach().double() for weights in (model.weight, model.visible_bias, model.hidden_bias)]
    log_partition = enumerated(*weights)
    return model.double().free_energy((images.flatten(1).double() + 1) / 2).mean().item() + log_partition


@pytest.fixture(scope="module")
def learned() -> tuple[float, RBM]:
    """The test NLL of 64 x 16 units before, and the model after 20 epochs of PCD-1 with a rate that falls to 0."""
    torch.manual_seed(0)
    model = RBM((1, 8, 8), 16, "persistent", 100, 1, 100, torch.optim.SGD)
    images = digits("train")
    model.begin(Given(images))
    before = mean_nll(model, digits("test"))
    model.float()
    visible = (images.flatten(1) + 1) / 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for epoch in range(20):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - epoch / 20)
        for batch in visible[torch.randperm(len(visible))].split(20):
            optimizer.zero_grad()
            (model.free_energy(batch).mean() - model.free_energy(model.draw_fantasies(batch)).mean()).backward()
            optimizer.step()
    return before, model


def test_sixteen_hidden_units_learn_digits(learned: tuple[float, RBM]) -> None:
    before, model = learned
    assert before == pytest.approx(24.81, abs=0.01)  # independent pixels
    assert mean_nll(model, digits("test")) < 19.99


def test_annealed_importance_sampling_agrees_with_enumeration(learned: tuple[float, RBM]) -> None:
    _, model = learned
    weights = [weights.detach().double() for weights in (model.weight, model.visible_bias, model.hidden_bias)]
    exact = enumerated(*weights)
    temperatures = torch.linspace(0, 1, 1001, dtype=torch.float64)[1:]
    log_weights = annealed(*weights, model.base_bias.double(), temperatures, 100, torch.Generator().manual_seed(0))
    value, standard_error = estimate(log_weights)
    assert abs(value - exact) < 0.1
    assert standard_error < 0.1


def test_the_pseudo_likelihood_is_computed_where_it_is_logged_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    model, reported = alone(small())
    for is_due in (False, True):
        monkeypatch.setattr(RBM, "is_due", is_due)
        reported.clear()
        model.training_step(LabelledImages(torch.ones(3, 1, 2, 2).double(), torch.zeros(3)), 0)
        assert ("pseudo_likelihood" in reported) == is_due
