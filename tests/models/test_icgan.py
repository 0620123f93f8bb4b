"""Facts of Perarnau et al.'s networks, losses and edits."""

import json
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from child import genlab
from conftest import differences, short_config, trained
from game import count, sgd, turns_of, without_trainer
from torch import Tensor, nn

from genlab.config import compose
from genlab.datasets.batches import ImagesWithAttributes
from genlab.ending import uses_of
from genlab.loaded_run import load_model
from genlab.models.capabilities import Edits, Reconstructs
from genlab.models.icgan import Discriminator, Encoder, Generator, IcGAN, shown

NAMES = ["glasses", "smile", "hat"]
NARROW = ["model.width=4", "model.latent_dim=8", "model.gan_epochs=1"]
"""The first of two epochs is of the GAN, the second of the encoders."""


def small(gan_epochs: int = 1, edit_by: str = "direct", refine_steps: int = 0, wrong: str = "of_another") -> Any:
    torch.manual_seed(0)
    optimizer = partial(sgd, lr=0.01)
    kinds: Any = {"wrong_attributes": wrong, "edit_by": edit_by}
    steps = {"gan_epochs": gan_epochs, "refine_steps": refine_steps}
    made = IcGAN(
        image_shape=(3, 16, 16),
        attribute_names=NAMES,
        latent_dim=6,
        width=8,
        mask_threshold=0.1,
        optimizer=optimizer,
        encoder_optimizer=optimizer,
        **kinds,
        **steps,
    )
    return without_trainer(made)


def batch(size: int = 8) -> ImagesWithAttributes:
    return ImagesWithAttributes(torch.rand(size, 3, 16, 16) * 2 - 1, (torch.rand(size, 3) < 0.5).float())


def test_parameters_of_the_authors_networks_for_faces() -> None:
    shape = (3, 64, 64)
    with torch.device("meta"):
        assert count(Generator(100 + 18, 64, shape)) == 3_725_123
        assert count(Discriminator(64, shape, 18)) == 2_803_393
        assert count(Encoder(64, shape, 4096, 100)) == 18_278_244
        assert count(Encoder(64, shape, 512, 18)) == 3_186_962


@pytest.mark.parametrize("side", [8, 16, 28, 64])
def test_shapes(side: int) -> None:
    images = Generator(5, 4, (3, side, side))(torch.randn(2, 5))
    assert images.shape == (2, 3, side, side)
    assert Discriminator(4, (3, side, side), 2)(images, torch.ones(2, 2)).shape == (2,)
    assert Encoder(4, (3, side, side), 7, 5)(images).shape == (2, 5)


def test_attributes_join_after_the_first_convolution() -> None:
    discriminator = Discriminator(4, (3, 16, 16), 3)
    seen: list[Tensor] = []
    discriminator.first.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    discriminator.rest.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    images, attributes = batch(2)
    discriminator(images, 2 * attributes - 1)
    assert seen[0] is images
    assert seen[1].shape == (2, 4 + 3, 8, 8)
    assert (seen[1][:, 4:] == (2 * attributes - 1)[:, :, None, None]).all()


def test_each_network_moves_in_its_own_turn_only() -> None:
    assert turns_of(small(gan_epochs=1), batch()) == ["discriminator", "generator"]
    assert turns_of(small(gan_epochs=0), batch()) == ["latent_encoder", "attribute_encoder"]


def test_the_discriminator_tells_right_from_wrong_and_real_from_generated() -> None:
    model, data = small(), batch()
    seen: list[tuple[Tensor, Tensor]] = []
    model.discriminator.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    losses: dict[str, float] = {}
    model.descend = lambda optimizer, loss, name: losses.__setitem__(name, loss.item())
    torch.nn.init.zeros_(model.discriminator.rest[-2].weight)
    torch.nn.init.zeros_(model.discriminator.rest[-2].bias)
    model.training_step(data, 0)
    (real, right), (again, wrong), (fake, of_fake), _ = seen
    assert torch.equal(real, data.images)
    assert torch.equal(again, data.images)
    assert not torch.equal(fake, data.images)
    assert torch.equal(right, 2 * data.attributes - 1)
    assert torch.equal(of_fake, right)
    assert not torch.equal(wrong, right)
    assert sorted(wrong.tolist()) == sorted(right.tolist())
    # Undecided everywhere: one real term, and one half each of the two others.
    assert losses["discriminator"] == pytest.approx(2 * math.log(2))
    assert losses["generator"] == pytest.approx(math.log(2))


def test_flipped_attributes_are_wrong_in_one_place_anywhere() -> None:
    attributes = 2 * batch(300).attributes - 1
    wrong = small(wrong="flipped").wrong(attributes)
    assert ((wrong != attributes).sum(1) == 1).all()
    assert (wrong == -attributes).sum(0).min() > 70
    assert set(wrong.unique().tolist()) == {-1, 1}


def test_encoders_learn_from_what_the_generator_makes_in_use_and_from_real_images() -> None:
    model, data = small(gan_epochs=0), batch()
    model.train()
    averages = {name: value.clone() for name, value in model.generator.named_buffers()}
    seen: dict[str, Tensor] = {}

    def remember(name: str, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen[name] = inputs[0]

    for name in ("latent_encoder", "attribute_encoder"):
        getattr(model, name).register_forward_hook(partial(remember, name))
    model.training_step(data, 0)
    assert torch.equal(seen["attribute_encoder"], data.images)
    assert not torch.equal(seen["latent_encoder"], data.images)
    assert all(torch.equal(averages[name], value) for name, value in model.generator.named_buffers())


@torch.no_grad()
def test_an_image_is_encoded_as_noise_and_decided_attributes() -> None:
    model = small().eval()
    assert isinstance(model, Edits)
    assert isinstance(model, Reconstructs)
    latent = model.encode(batch().images)
    assert latent.shape == (8, 6 + 3)
    assert set(latent[:, 6:].unique().tolist()) <= {-1, 1}
    assert model.decode(latent).shape == (8, 3, 16, 16)


@torch.no_grad()
@pytest.mark.parametrize("edit_by", ["residual", "masked"])
def test_an_edit_of_nothing_leaves_the_photo(edit_by: str) -> None:
    model = small(edit_by=edit_by).eval()
    images = batch().images
    model.attribute_rows.copy_(torch.randint(2, model.attribute_rows.shape))
    torch.testing.assert_close(model.edit(images, model.attributes(images)), images)


@torch.no_grad()
def test_a_direct_edit_is_an_image_of_the_wanted_attributes() -> None:
    model = small().eval()
    images = batch().images
    wanted = 1 - model.attributes(images)
    expected = model.decode(torch.cat([model.latent_encoder(images), 2 * wanted - 1], 1))
    assert torch.equal(model.edit(images, wanted), expected)


@torch.no_grad()
def test_other_edits_lie_between_the_photo_and_what_is_generated() -> None:
    images = batch().images
    direct, residual, masked = (small(edit_by=by).eval() for by in ("direct", "residual", "masked"))
    seen = direct.attributes(images)
    before, after = direct.edit(images, seen), direct.edit(images, 1 - seen)
    torch.testing.assert_close(residual.edit(images, 1 - seen), (images + after - before).clamp(-1, 1))
    mask = masked.mask(seen, 1 - seen) * shown(before, after)
    torch.testing.assert_close(masked.edit(images, 1 - seen), images + mask * (after - images))
    assert mask.shape == (8, 1, 16, 16)
    assert 0 <= mask.min() < mask.max() < 1 + 1e-5


def test_what_hardly_changes_is_hardly_shown() -> None:
    before = torch.zeros(2, 3, 2, 2)
    after = before.clone()
    after[0] = torch.tensor([[2.0, 0.5], [0.15, 0.0]])  # of the most: all, a quarter, half of what is shown entirely
    torch.testing.assert_close(shown(before, after)[:, 0], torch.tensor([[[1.0, 1.0], [0.5, 0.0]], [[0.0, 0], [0, 0]]]))


@torch.no_grad()
def test_a_mask_lies_where_the_generator_shows_the_attribute_whatever_the_latent() -> None:
    model = small(edit_by="masked")

    class Square(torch.nn.Module):
        """Shows the second attribute in a square of random colour, on noise."""

        def forward(self, latent: Tensor) -> Tensor:
            images = latent[:, :1, None, None] * torch.linspace(-1, 1, 16) * torch.ones(len(latent), 3, 16, 1)
            images[:, :, 5:10, 6:11] += (latent[:, 7] * (1 + latent[:, 1].abs()))[:, None, None, None]
            return images

    model.generator = Square()
    seen = torch.zeros(2, 3)
    mask = model.mask(seen, torch.tensor([[0.0, 1, 0], [1, 0, 1]]))
    assert mask[0, 0, 7, 8].item() == pytest.approx(1)
    assert mask[0, 0, 6:9, 7:10].min() > 0.95
    assert mask[0, 0, 12:].max() == mask[0, 0, :, :3].max() == 0
    assert not mask[1].any()


@torch.no_grad()
def test_refined_latents_show_the_photo_better_each_for_itself() -> None:
    model = small(refine_steps=30).eval()
    photos = model.decode(torch.cat([torch.randn(4, 6), torch.ones(4, 3)], 1))
    start, attributes = torch.zeros(4, 6), torch.ones(4, 3)

    def error(noise: Tensor) -> Tensor:
        return (model.decode(torch.cat([noise, attributes], 1)) - photos).square().mean((1, 2, 3))

    refined = model.refined(start, attributes, photos)
    assert (error(refined) < 0.5 * error(start)).all()
    alone = model.refined(start[1:2], attributes[1:2], photos[1:2])
    torch.testing.assert_close(alone, refined[1:2], rtol=1e-3, atol=1e-3)
    assert torch.equal(small().refined(start, attributes, photos), start)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("icgan") / "run"
    return folder, trained(folder, short_config("icgan", *NARROW))


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_run_stopped_before_at_or_after_the_change_resumes_to_the_bit(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path, step: int
) -> None:
    trained(tmp_path / "run", short_config("icgan", *NARROW, f"trainer.max_steps={step}"))
    assert differences(uninterrupted[1], trained(tmp_path / "run", short_config("icgan", *NARROW))) == []


def test_the_gan_rests_while_the_encoders_learn(uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    first = trained(tmp_path / "run", short_config("icgan", *NARROW, "trainer.max_steps=3"))
    different = differences(first["state_dict"], uninterrupted[1]["state_dict"])
    assert {name.split(".")[1] for name in different} == {"latent_encoder", "attribute_encoder"}


def test_a_checkpoint_alone_knows_the_names_and_what_training_images_have(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    copied = tmp_path / "copied.ckpt"
    shutil.copy(uninterrupted[0] / "checkpoints" / "last.ckpt", copied)
    model: Any = load_model(str(copied)).model
    asked = model.condition(["glasses", "long_hair"])
    assert asked.nan_to_num(0).sum() == 2
    completed = model.completed(asked.expand(9, -1), model.attribute_rows[:9].float())
    columns = dict(zip(model.attribute_names, completed.T, strict=True))
    assert columns["glasses"].all()
    assert columns["long_hair"].all()
    assert not columns["sunglasses"].any()
    assert columns["smile"].tolist() == model.attribute_rows[:9, model.attribute_names.index("smile")].tolist()


def test_the_command_draws_what_is_asked_for_and_refuses_what_is_unknown(
    uninterrupted: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = str(uninterrupted[0])
    code, output = genlab("sample", run, "attributes=[glasses,no_smile]", "num_samples=3", "json=true", folder=tmp_path)
    assert code == 0, output
    about = json.loads(output)
    assert about["shape"] == [3, 3, 32, 32]
    assert Path(about["folder"]).name == "samples-glasses-no_smile-last-seed-0"
    code, output = genlab("sample", run, "attributes=[glases]", folder=tmp_path)
    assert code == 2
    assert "attributes=[glases]: no attribute 'glases'; did you mean 'glasses'?" in output


def test_a_training_ends_with_how_to_edit() -> None:
    command = "genlab apply runs/faces input=FILE_OR_FOLDER 'attributes=[long_hair]'"
    assert uses_of(compose("train", ["model=icgan"]).config, "runs/faces") == [("edit", command)]
