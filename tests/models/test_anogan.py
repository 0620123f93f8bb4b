"""Facts of AnoGAN's search: what it minimizes, that images have nothing to do with each other, and what it finds."""

from typing import Any

import pytest
import torch
from alone import alone
from torch import nn

from genlab.config import build, check, compose
from genlab.datasets.batches import LabelledImages
from genlab.errors import UsageError
from genlab.models.anogan import AnoGAN


def sgd(weights: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.1)


def tiny(search_steps: int = 20, search_lr: float = 0.1, num_starts: int = 1, feature_weight: float = 0.1) -> AnoGAN:
    torch.manual_seed(0)
    model = AnoGAN((1, 16, 16), 4, "normal", 4, search_steps, search_lr, num_starts, feature_weight, 1, 0.0, sgd)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data *= 10  # untrained weights of 0.02 draw nothing but grey
    return model.eval()


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_papers_generator_is_that_of_dcgan() -> None:
    config = compose("train", ["+experiment=anogan_paper", "dataset.path=FOLDER"]).config["model"]
    with torch.device("meta"):
        model = build(config, "model")
    assert sum(weight.numel() for weight in model.generator.parameters()) == 3_574_656
    assert (model.search_steps, model.feature_weight, model.num_starts) == (500, 0.1, 1)
    drawn = model.prior(10_000)  # uniform in (-1, 1) (section 2.1)
    assert drawn.abs().max() < 1
    assert drawn.var().item() == pytest.approx(1 / 3, abs=0.01)


@torch.no_grad()
def test_the_distance_is_of_pixels_and_of_features() -> None:
    black, grey = torch.full((2, 1, 16, 16), -1.0), torch.zeros(2, 1, 16, 16)
    pixels, both, features = (tiny(feature_weight=weight).distance(black, grey) for weight in (0.0, 0.1, 1.0))
    assert pixels.tolist() == [256, 256]
    found = tiny()
    torch.testing.assert_close(features, (found.features(black) - found.features(grey)).abs().sum(1))
    torch.testing.assert_close(both, 0.9 * pixels + 0.1 * features)


@torch.no_grad()
def test_features_are_what_the_last_convolution_sees() -> None:
    model, some = tiny(), images(3)
    maps = model.features(some).view(3, 8, 4, 4)
    last = list(model.discriminator)[-2]
    torch.testing.assert_close(last(maps).flatten(), model.discriminator(some))


def test_a_score_does_not_depend_on_the_images_beside_it() -> None:
    model, some = tiny(), images(5)
    for found in (model.anomaly_score, model.anomaly_map):
        torch.testing.assert_close(found(some)[3:4], found(some[3:4]), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found(some.flip(0)).flip(0), found(some), rtol=1e-3, atol=1e-4)


def test_the_search_comes_nearer_and_leaves_the_networks_as_they_were() -> None:
    model, some = tiny(), images(4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():  # as commands call it
        near = model.anomaly_score(some)
        model.search_steps = 1
        far = model.anomaly_score(some)
    assert (near < far).all()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert not near.requires_grad


@torch.no_grad()
def test_what_the_generator_can_draw_scores_less_than_what_it_cannot() -> None:
    model = tiny(search_steps=150, num_starts=16)
    drawn = model.sample(6, None, torch.Generator().manual_seed(5))
    assert model.anomaly_score(drawn).max() < 0.5 * model.anomaly_score(images(6)).min()


@torch.no_grad()
def test_a_search_starts_at_the_nearest_of_the_same_latents() -> None:
    model = tiny(search_steps=1, search_lr=1e-9, num_starts=8)
    starts = model.draw_latent(8, torch.Generator().manual_seed(0))
    order = torch.tensor([6, 0, 3])
    torch.testing.assert_close(model.search(model.decode(starts[order])), starts[order])


def test_each_network_moves_in_its_own_turn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = alone(tiny().train())
    turns = []
    descend = model.descend

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        other = {"generator": model.discriminator, "discriminator": model.generator}[name]
        for parameter in model.parameters():
            parameter.grad = None
        descend(optimizer, loss, name)
        turns.append(name)
        assert all(parameter.grad is None for parameter in other.parameters())

    monkeypatch.setattr(model, "descend", spy)
    model.training_step(LabelledImages(images(4), torch.zeros(4, dtype=torch.int64)), 0)
    assert turns == ["discriminator", "generator"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.feature_weight=1.5", "expected at most 1.0"),
        ("model.search_steps=0", "expected more than 0"),
        ("model.map_side=2", "map_side=2: expected an odd number of pixels"),
    ],
)
def test_refusals(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(compose("train", ["model=anogan", word]))
