"""Facts of Wu, Zheng, Zhang & Huang's model."""

import pytest
import torch
from game import count, sgd, turns_of, without_trainer
from torch import Tensor, nn

from genlab.datasets.batches import PairedImages
from genlab.models.gp_gan import GPGAN, is_turn
from genlab.networks.dcgan import Discriminator
from genlab.networks.encoder_decoder import EncoderDecoder


def gp_gan(clip: float = 1.0, critic_steps: int = 5, adversarial_weight: float = 0.001) -> GPGAN:
    torch.manual_seed(0)
    return GPGAN((3, 16, 16), 4, 12, adversarial_weight, clip, critic_steps, critic_steps, 1.0, 0.1, sgd)


def batch() -> PairedImages:
    images = torch.rand(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return PairedImages(images[0], images[1])


def test_the_papers_networks_have_its_sizes() -> None:
    with torch.device("meta"):
        generator, critic = EncoderDecoder((3, 64, 64), (3, 64, 64), 64, 4000), Discriminator(64, (3, 64, 64))
    assert count(generator) == 71_058_880
    assert count(critic) == 2_765_568


@pytest.mark.parametrize(("step", "turns"), [(0, ["critic"]), (3, ["critic"]), (4, ["critic", "generator"])])
def test_the_generator_moves_with_every_fifth_batch(step: int, turns: list[str]) -> None:
    assert turns_of(without_trainer(gp_gan(), step), batch()) == turns


def test_the_critic_prepares_long_for_25_turns_and_for_every_500th() -> None:
    batches = [number for number in range(1, 10_000) if is_turn(number, 5, 100)]
    preparations = [now - before for before, now in zip([0, *batches], batches, strict=False)]
    assert preparations[:25] == [100] * 25
    assert set(preparations[25:500]) == {5}
    assert [turn for turn, long in enumerate(preparations) if long == 100 and turn >= 25] == [500, 1000]
    assert set(preparations[501:1000]) == {5}


def test_all_weights_of_the_critic_are_clipped_after_each_step() -> None:
    model = without_trainer(gp_gan(clip=0.01))
    model.training_step(batch(), 0)
    assert all(weight.abs().max() <= 0.01 for weight in model.critic.parameters())
    assert max(weight.abs().max() for weight in model.generator.parameters()) > 0.01


def test_the_loss_is_the_squared_error_and_a_thousandth_of_the_critics() -> None:
    model = without_trainer(gp_gan(critic_steps=1))
    model.training_step(batch(), 0)
    plain = without_trainer(gp_gan(critic_steps=1, adversarial_weight=0.0))
    plain.training_step(batch(), 0)
    assert torch.equal(plain.said["generator"], plain.said["squared_error"])
    assert torch.equal(model.said["squared_error"], plain.said["squared_error"])
    critics = (model.said["generator"] - 0.999 * model.said["squared_error"]) / 0.001
    with torch.no_grad():
        expected = -plain.critic(model_before(plain)).mean()
    torch.testing.assert_close(critics, expected, rtol=0, atol=2e-3)


def model_before(model: GPGAN) -> Tensor:
    """What the untrained generator makes of the batch, in training mode."""
    return gp_gan().generator.train()(batch().source)


def test_it_learns_to_undo_another_light() -> None:
    torch.manual_seed(0)
    model = without_trainer(
        GPGAN((3, 16, 16), 8, 32, 0.001, 0.01, 1, 1, 1.0, 5e-3, lambda weights, lr=2e-4: torch.optim.Adam(weights, lr))
    )
    target = batch().target.mean((2, 3), keepdim=True).expand(-1, -1, 16, 16).contiguous()
    source = target.clone()
    source[:, :, 4:12, 4:12] = -0.5 * target[:, :, 4:12, 4:12]
    errors = []
    for _ in range(80):
        model.training_step(PairedImages(source, target), 0)
        errors.append(model.said["squared_error"].item())
    assert errors[-1] < nn.functional.mse_loss(source, target).item() / 4 < errors[0]


@pytest.mark.parametrize("size", [(16, 16), (40, 25), (9, 70)])
def test_it_blends_at_any_size_and_each_image_alone(size: tuple[int, int]) -> None:
    model = gp_gan().eval()
    source, destination = (torch.rand(2, 3, 3, *size, generator=torch.Generator().manual_seed(2)) * 2 - 1).unbind()
    mask = torch.zeros(3, 1, *size, dtype=torch.bool)
    mask[:, :, 3:-3, 3:-3] = True
    with torch.no_grad():
        blended = model.blend(source, destination, mask)
        alone = torch.cat(
            [model.blend(*(each[row : row + 1] for each in (source, destination, mask))) for row in range(3)]
        )
        torch.testing.assert_close(blended, alone, rtol=0, atol=1e-5)
        nothing = model.blend(source, destination, torch.zeros_like(mask))
        whole = model.blend(destination, source, torch.ones_like(mask))
    assert blended.shape == destination.shape
    assert blended.abs().max() <= 1
    torch.testing.assert_close(nothing, whole)


def test_it_blends_in_mixed_precision() -> None:
    model = gp_gan().eval()
    source, destination = (torch.rand(2, 1, 3, 40, 25, generator=torch.Generator().manual_seed(2)) * 2 - 1).unbind()
    mask = torch.zeros(1, 1, 40, 25, dtype=torch.bool)
    mask[:, :, 10:30, 8:18] = True
    with torch.no_grad():
        exact = model.blend(source, destination, mask)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model.blend(source, destination, mask)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0, atol=0.05)
