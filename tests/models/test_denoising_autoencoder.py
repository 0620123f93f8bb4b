"""Facts of the denoising autoencoder."""

from typing import Any

import pytest
import torch
from conftest import trained

from genlab.config import check, compose
from genlab.errors import UsageError
from genlab.models.capabilities import Corrupts, HasPrior, RunsChains
from genlab.models.denoising_autoencoder import SAMPLE_STEPS, DenoisingAutoencoder

GREY = torch.rand(4, 1, 50, 50, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9


def denoising(**changed: Any) -> DenoisingAutoencoder:
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "image_shape": (1, 8, 8),
        "latent_dim": 10,
        "network": "mlp",
        "hidden_dims": (),
        "latent_activation": "relu",
        "corruption": "salt_and_pepper",
        "level": 0.4,
        "optimizer": torch.optim.Adam,
    }
    return DenoisingAutoencoder(**(settings | changed))


def corrupt(**settings: Any) -> torch.Tensor:
    return denoising(**settings).corrupt(GREY, torch.Generator().manual_seed(0))


def test_masking_makes_the_share_of_its_level_black() -> None:
    corrupted = corrupt(corruption="masking", level=0.3)
    changed = corrupted != GREY
    assert set(corrupted[changed].tolist()) == {-1.0}
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.02)  # of 10,000 pixels


def test_salt_and_pepper_come_equally_often() -> None:
    corrupted = corrupt(level=0.4)
    assert (corrupted == 1).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert (corrupted == -1).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert (corrupted == GREY).float().mean().item() == pytest.approx(0.6, abs=0.02)


def test_gaussian_noise_has_its_level_as_standard_deviation_of_images_in_0_to_1() -> None:
    noise = (corrupt(corruption="gaussian", level=0.25) - GREY) / 2
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "gaussian"])
def test_level_0_leaves_images_as_they_are(corruption: str) -> None:
    assert torch.equal(corrupt(corruption=corruption, level=0.0), GREY)


def test_level_1_of_salt_and_pepper_leaves_nothing_of_an_image() -> None:
    assert set(corrupt(level=1.0).unique().tolist()) == {-1.0, 1.0}


def test_the_cost_is_of_the_clean_image() -> None:
    model = denoising()
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    seen = model.corrupt(images)
    given = (model.decode(model.encode(seen)) + 1) / 2
    grey = (images + 1) / 2
    expected = -(grey * given.log() + (1 - grey) * (1 - given).log()).flatten(1).sum(1)
    torch.testing.assert_close(model.reconstruction_cost(images, seen), expected)


def test_a_chain_of_a_model_that_knows_one_image_is_there_after_a_step() -> None:
    model = denoising()
    last: Any = model.decoder[0]
    torch.nn.init.zeros_(last.weight)
    image = torch.rand(64).round()
    with torch.no_grad():
        last.bias.copy_((image * 2 - 1) * 30)
    frames = list(model.chain(3, 2, torch.Generator().manual_seed(0)))
    assert len(frames) == 2
    torch.testing.assert_close(frames[-1], (image * 2 - 1).view(1, 1, 8, 8).expand(3, 1, 8, 8))


def test_a_chain_draws_pixels_with_the_probability_of_the_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    # At level 0 and with a decoder that knows a mean alone, the chain is of independent images of that mean.
    model = denoising(level=0.0)
    last: Any = model.decoder[0]
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.fill_(torch.tensor(0.8).logit())
    seen: list[torch.Tensor] = []
    corrupted = model.corrupted

    def watch(images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return corrupted(images, noise)

    monkeypatch.setattr(model, "corrupted", watch)
    list(model.chain(50, 3, torch.Generator().manual_seed(0)))
    assert [set(images.unique().tolist()) for images in seen] == [{-1.0, 1.0}] * 3
    assert (seen[0] == 1).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (seen[2] == 1).float().mean().item() == pytest.approx(0.8, abs=0.03)


def test_a_sample_is_the_end_of_a_chain() -> None:
    model = denoising()
    *_, last = model.chain(2, SAMPLE_STEPS, torch.Generator().manual_seed(5))
    assert torch.equal(model.sample(2, None, torch.Generator().manual_seed(5)), last)


def test_what_it_can_do() -> None:
    model = denoising()
    assert isinstance(model, Corrupts)
    assert isinstance(model, RunsChains)
    assert not isinstance(model, HasPrior)


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper"])
def test_a_probability_above_1_is_refused(corruption: str) -> None:
    words = ["model=denoising_autoencoder", f"model.corruption={corruption}", "model.level=1.5"]
    with pytest.raises(UsageError, match=f"level=1.5 with corruption={corruption} is a probability: at most 1"):
        check(compose("train", words))
    check(compose("train", [*words, "model.corruption=gaussian"]))


@pytest.mark.slow
def test_it_restores_what_an_autoencoder_cannot(tmp_path: Any) -> None:
    """Both on digits of 8x8; each is given the same corrupted validation images."""
    words = ["model=denoising_autoencoder", "dataset=optdigits", "model.latent_dim=32", "trainer.max_epochs=25"]
    words += ["model.hidden_dims=[]", "dataset.batch_size=32", "optimizer.lr=3e-3"]
    words += ["checkpoint.every_n_epochs=25", "trainer.check_val_every_n_epoch=25"]
    quiet = ["accelerator=cpu", "threads=1", "callbacks=none", "trainer.enable_progress_bar=false"]
    costs = {}
    for level in (0.0, 0.4):
        config = compose("train", [*words, *quiet, f"model.level={level}"]).config
        state = trained(tmp_path / f"run-{level}", config)["state_dict"]
        model = denoising(latent_dim=32)
        model.load_state_dict(state)
        with torch.no_grad():
            images = validation_images(config)
            seen = model.corrupt(images, torch.Generator().manual_seed(0))
            costs[level] = model.reconstruction_cost(images, seen).mean().item()
    assert costs[0.4] < 0.75 * costs[0.0]


def validation_images(config: dict[str, Any]) -> torch.Tensor:
    from genlab.config import build

    dataset = build(config["dataset"], "dataset")
    dataset.setup()
    return torch.cat([batch.images for batch in dataset.val_dataloader()])
