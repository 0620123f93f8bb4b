"""Facts of Isola et al.'s conditional game."""

from typing import Any

import pytest
import torch
from game import sgd, turns_of, without_trainer

from genlab.datasets.batches import PairedImages
from genlab.models.pix2pix import Pix2Pix


def tiny(norm: Any = "instance", l1_weight: float = 100.0) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix((1, 32, 32), 4, 5, 2, norm, l1_weight, sgd)


def batch() -> PairedImages:
    return PairedImages(torch.rand(3, 1, 32, 32) * 2 - 1, torch.rand(3, 1, 32, 32) * 2 - 1)


def test_the_discriminator_moves_first_and_each_network_in_its_own_turn_only() -> None:
    assert turns_of(without_trainer(tiny()), batch()) == ["discriminator", "generator"]


def test_losses_of_equation_4() -> None:
    """Of a discriminator that knows nothing: D is 1/2 everywhere, so half its loss and the generator's are log 2."""
    model = without_trainer(tiny())
    with torch.no_grad():
        for weight in model.discriminator.parameters():
            weight.zero_()
    losses: dict[str, torch.Tensor] = {}
    model.descend = lambda optimizer, loss, name: losses.update({name: loss.detach()})
    model.training_step(batch(), 0)
    log_2 = torch.tensor(2.0).log()
    torch.testing.assert_close(losses["discriminator"], log_2)
    torch.testing.assert_close(losses["generator"], log_2 + 100 * model.said["l1"].detach())


def test_the_discriminator_sees_the_source() -> None:
    model, (source, target) = tiny(), batch()
    logits = model.discriminator(torch.cat([source, target], 1))
    assert not torch.equal(logits, model.discriminator(torch.cat([source.flip(0), target], 1)))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@torch.no_grad()
def test_translations_are_noisy_reproducible_and_independent_of_the_batch(norm: str) -> None:
    model, images = tiny(norm).eval(), batch().source

    def translated(*sizes: int, seed: int = 1) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.cat([model.translate(part, generator=generator) for part in images.split(list(sizes))])

    torch.testing.assert_close(translated(3), translated(1, 2), rtol=0, atol=1e-5)
    assert (translated(3) - translated(3, seed=2)).abs().max() > 1e-3
    assert torch.equal(model.translate(images), model.translate(images))
    # In training and evaluation alike.
    assert torch.equal(model.train().translate(images), model.eval().translate(images))


def test_a_side_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sides must be multiples of 64, as depth=6"):
        Pix2Pix((3, 32, 64), 4, 6, 2, "batch", 100.0, sgd)


def test_batches_of_one_can_be_normalized_by_the_batch() -> None:
    """As the paper has them: no normed map is one pixel."""
    model = without_trainer(tiny("batch"))
    assert model.least_batch == 1
    one = batch()
    model.training_step(PairedImages(one.source[:1], one.target[:1]), 0)
    assert all(torch.isfinite(value) for value in model.said.values())
