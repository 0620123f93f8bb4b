"""Facts of Zhu et al.'s two games and their cycle."""

from typing import Any

import pytest
import torch
from game import count, sgd, without_trainer

from genlab.datasets.batches import UnpairedImages
from genlab.models.cyclegan import CycleGAN, ImagePool


def tiny(cycle_weight: float = 10.0, identity_weight: float = 0.5, pool_size: int = 4) -> Any:
    torch.manual_seed(0)
    return without_trainer(CycleGAN((1, 16, 16), 4, 1, 2, "nearest", 1, cycle_weight, identity_weight, pool_size, sgd))


def batch() -> UnpairedImages:
    return UnpairedImages(torch.rand(2, 1, 16, 16) * 2 - 1, torch.rand(2, 1, 16, 16) * 2 - 1)


def losses_of(model: Any, batch: UnpairedImages) -> dict[str, torch.Tensor]:
    losses: dict[str, torch.Tensor] = {}
    model.descend = lambda optimizer, loss, name: losses.update({name: loss.detach()})
    model.training_step(batch, 0)
    return losses


def test_generators_move_first_and_discriminators_after_them() -> None:
    model = tiny()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    descend, moved = model.descend, []

    def spy(optimizer: Any, loss: torch.Tensor, name: str) -> None:
        descend(optimizer, loss, name)
        now = dict(model.named_parameters())
        moved.append((name, {key.split(".")[0] for key in now if not torch.equal(now[key], before[key])}))
        before.update({key: weight.clone() for key, weight in now.items()})

    model.descend = spy
    model.training_step(batch(), 0)
    assert moved == [("generator", {"x_to_y", "y_to_x"}), ("discriminator", {"discriminator_x", "discriminator_y"})]


def test_losses_of_section_3_where_discriminators_score_zero() -> None:
    """``E (0 - 1)²`` for each generator, and a half of that for each discriminator."""
    model = tiny()
    with torch.no_grad():
        for weight in [*model.discriminator_x.parameters(), *model.discriminator_y.parameters()]:
            weight.zero_()
    losses = losses_of(model, batch())
    cycle, identity = model.said["cycle"].detach(), model.said["identity"].detach()
    torch.testing.assert_close(losses["generator"], 2 + 10 * (cycle + 0.5 * identity))
    torch.testing.assert_close(losses["discriminator"], torch.tensor(1.0))


def test_the_identity_term_shows_a_generator_what_is_in_its_target_domain() -> None:
    model, some = tiny(), batch()
    losses_of(model, some)
    kept = (model.y_to_x(some.first) - some.first).abs().mean() + (model.x_to_y(some.second) - some.second).abs().mean()
    torch.testing.assert_close(model.said["identity"], kept)


def test_without_an_identity_term_nothing_is_computed_for_it() -> None:
    model, passes = tiny(identity_weight=0.0), []
    model.x_to_y.register_forward_hook(lambda module, inputs, output: passes.append(len(inputs[0])))
    losses_of(model, batch())
    assert passes == [2, 2]
    assert model.said["identity"] == 0


def test_parameters_of_the_authors_networks() -> None:
    model = CycleGAN((3, 256, 256), 64, 9, 2, "transposed", 3, 10.0, 0.5, 0, sgd)
    assert count(model.x_to_y) == count(model.y_to_x) == 11_378_179
    assert count(model.discriminator_x) == count(model.discriminator_y) == 2_764_737


def numbered(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers)[:, None, None, None].expand(-1, 1, 1, 1)


def test_the_pool_keeps_and_returns_all_until_it_is_full() -> None:
    pool = ImagePool(3, (1, 1, 1))
    assert torch.equal(pool.exchange(numbered(1, 2, 3), torch.zeros(3, 2)), numbered(1, 2, 3))
    assert torch.equal(pool.images, numbered(1, 2, 3))
    assert pool.held == 3


def test_a_full_pool_gives_an_old_image_for_a_new_one_or_does_not_keep_it() -> None:
    pool = ImagePool(3, (1, 1, 1))
    pool.exchange(numbered(1, 2, 3), torch.zeros(3, 2))
    shown = pool.exchange(numbered(4, 5, 6), torch.tensor([[0.49, 0.4], [0.5, 0.0], [0.0, 0.4]]))
    # 4 takes the place of 2; 5 is not kept; 6 takes the place of 4.
    assert torch.equal(shown, numbered(2, 5, 4))
    assert torch.equal(pool.images, numbered(1, 6, 3))


def test_a_pool_of_nothing_returns_the_images() -> None:
    pool, images = ImagePool(0, (1, 1, 1)), numbered(1, 2)
    assert torch.equal(pool.exchange(images, torch.zeros(2, 2)), images)


def test_pooled_images_have_no_gradient_and_are_part_of_the_state() -> None:
    model = tiny()
    losses_of(model, batch())
    assert {"pool_x.images", "pool_x.held", "pool_y.images", "pool_y.held"} <= set(model.state_dict())
    assert model.pool_y.held == 2
    torch.testing.assert_close(model.pool_y.images[:2], model.x_to_y(batch_of_seed()).detach())


def batch_of_seed() -> torch.Tensor:
    tiny()
    return batch().first


@pytest.mark.parametrize(("num_downsamplings", "height", "least"), [(2, 18, 8), (2, 4, 8), (1, 2, 4), (0, 3, 4)])
def test_other_sides_are_refused(num_downsamplings: int, height: int, least: int) -> None:
    said = f"image_shape=\\[3, {height}, 16\\]: sides must be multiples of {2**num_downsamplings} and at least {least}"
    with pytest.raises(ValueError, match=said):
        CycleGAN((3, height, 16), 4, 1, num_downsamplings, "transposed", 1, 10.0, 0.5, 50, sgd)


@pytest.mark.parametrize(("num_downsamplings", "least"), [(2, 8), (1, 4), (0, 4)])
def test_the_smallest_images_that_are_accepted_can_be_translated(num_downsamplings: int, least: int) -> None:
    model = CycleGAN((3, least, least), 4, 1, num_downsamplings, "transposed", 1, 10.0, 0.5, 50, sgd)
    assert model.translate(torch.zeros(1, 3, least, least)).shape == (1, 3, least, least)
