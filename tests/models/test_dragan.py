"""Facts of Kodali et al.'s penalty."""

from typing import Any

import torch
from game import sgd, turns_of, without_trainer
from torch import Tensor

from genlab.datasets.batches import LabelledImages, Vectors
from genlab.models import dragan
from genlab.models.dragan import DRAGAN


def test_each_network_moves_in_its_own_turn_only() -> None:
    torch.manual_seed(0)
    model = without_trainer(DRAGAN((1, 16, 16), 6, 4, 10.0, 0.5, sgd))
    batch = LabelledImages(torch.rand(8, 1, 16, 16) * 2 - 1, torch.zeros(8, dtype=torch.int64))
    assert turns_of(model, batch) == ["discriminator", "generator"]


def test_the_slope_is_taken_near_the_data_alone(monkeypatch: object) -> None:
    torch.manual_seed(0)
    model = without_trainer(DRAGAN((2,), 4, 16, 10.0, 0.5, sgd))
    real = torch.randn(256, 2) * torch.tensor([1.0, 3.0])
    seen: list[tuple[Tensor, Tensor]] = []
    original = dragan.gradient_penalty

    def spy(critic: Any, perturbed: Tensor, items: Tensor, mix: Tensor) -> Tensor:
        seen.append((perturbed - items, items))
        return original(critic, perturbed, items, mix)

    dragan.gradient_penalty = spy
    try:
        model.training_step(Vectors(real), 0)
    finally:
        dragan.gradient_penalty = original
    noise, items = seen[0]
    assert torch.equal(items, real)
    # Half the standard deviation of the whole batch, of all its values together, in every direction.
    assert 0 <= noise.min() < 0.01
    assert 0.49 * real.std() < noise.max() <= 0.5 * real.std()
