"""Facts of Li & Wand's feed-forward generator."""

from typing import Any

import pytest
import torch
from game import count, sgd, turns_of, without_trainer
from torch import Tensor

from genlab.config import compose
from genlab.datasets.batches import LabelledImages, UnpairedImages
from genlab.datasets.photos_and_texture import PhotosAndTexture
from genlab.errors import UsageError
from genlab.models.mgan import MGAN, MarkovianGenerator
from genlab.networks.markovian import MarkovianDiscriminator, feed_forward_discriminator


def mgan(**settings: Any) -> MGAN:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "image_shape": (3, 16, 16),
        "features": "vgg16",
        "encoder_layer": "relu2_1",
        "layers": ["relu1_1", "relu2_1"],
        "width": 6,
        "discriminator_width": 4,
        "content_weight": 1.0,
        "generator_lr": 0.1,
        "optimizer": sgd,
    }
    return MGAN(**(defaults | settings))


def stripes(size: int = 4) -> Tensor:
    rows = torch.arange(16)[:, None].div(4, rounding_mode="floor").remainder(2).float() * 1.6 - 0.8
    return rows.expand(size, 3, 16, 16).contiguous()


def texture() -> LabelledImages:
    return LabelledImages(stripes(), torch.zeros(4, dtype=torch.int64))


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_the_papers_networks_have_its_sizes() -> None:
    assert count(MarkovianGenerator("relu4_1", 128, 3)) == 4_989_571
    assert count(MarkovianDiscriminator(["relu3_1"], 256, feed_forward_discriminator)) == 3_148_545


def test_the_papers_recipe_turns_photographs_into_a_texture() -> None:
    """Of noise there would be no content."""
    settings = compose("train", ["+experiment=mgan_paper"]).config["dataset"]
    dataset = PhotosAndTexture(**{name: value for name, value in settings.items() if name != "_target_"})
    assert dataset.batch_type is UnpairedImages
    dataset.setup()
    assert dataset.sizes()["train"] == 102 * 64
    batch = next(iter(dataset.train_dataloader()))
    assert batch.first.shape == batch.second.shape == (64, 3, 128, 128)


@pytest.mark.parametrize(("layer", "stride"), [("relu2_2", 2), ("relu3_1", 4), ("relu4_1", 8)])
def test_what_is_encoded_is_decoded_to_its_size(layer: str, stride: int) -> None:
    model = mgan(encoder_layer=layer).eval()
    assert model.stride == stride
    with torch.no_grad():
        assert model.translate(uniform(1, 3, 5 * stride, 3 * stride)).shape == (1, 3, 5 * stride, 3 * stride)


@pytest.mark.parametrize("is_pair", [False, True])
def test_both_networks_move_alone_with_each_batch(is_pair: bool) -> None:
    batch = UnpairedImages(uniform(4, 3, 16, 16), stripes()) if is_pair else texture()
    assert turns_of(without_trainer(mgan()), batch) == ["discriminator", "generator"]


def test_noise_has_no_content_to_keep_and_images_have() -> None:
    def step(batch: Any, weight: float) -> Tensor:
        model = without_trainer(mgan(content_weight=weight))
        torch.manual_seed(1)
        model.training_step(batch, 0)
        return torch.cat([parameter.flatten() for parameter in model.generator.parameters()])

    assert torch.equal(step(texture(), 0.0), step(texture(), 5.0))
    pair = UnpairedImages(uniform(4, 3, 16, 16), stripes())
    assert not torch.equal(step(pair, 0.0), step(pair, 5.0))


def test_against_discriminators_that_stand_still_the_generator_wins() -> None:
    def adam(weights: Any, lr: float = 1e-9) -> torch.optim.Optimizer:
        return torch.optim.Adam(weights, lr, betas=(0.5, 0.999))

    model = without_trainer(mgan(optimizer=adam, generator_lr=2e-3))
    losses = []
    for _ in range(40):
        model.training_step(texture(), 0)
        losses.append(model.said["generator"].item())
    assert losses[-1] < losses[0] / 2


def test_noise_has_details_of_every_size_and_is_not_saturated() -> None:
    model = mgan(image_shape=(3, 64, 64))
    noise = model.noise_images(torch.randn(40, model.noise_dim, generator=torch.Generator().manual_seed(0)))
    assert noise.shape == (40, 3, 64, 64)
    assert 0.3 < noise.std() < 0.5
    assert noise.abs().max() < 1
    coarse = torch.nn.functional.avg_pool2d(noise, 8)
    # White noise would keep a variance of 1/64 of its own.
    assert coarse.var() > noise.var() / 8


def test_samples_differ_and_are_the_translation_of_their_noise() -> None:
    model = mgan().eval()
    with torch.no_grad():
        samples = model.sample(3, None, torch.Generator().manual_seed(5))
        generator = torch.Generator().manual_seed(5)
        noise = torch.stack([torch.randn(model.noise_dim, generator=generator) for _ in range(3)])
        expected = model.translate(model.noise_images(noise))
    torch.testing.assert_close(samples, expected)
    assert not torch.allclose(samples[0], samples[1])


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image_shape=\[3, 20, 16\]: sides are multiples of 8 with these layers"):
        mgan(image_shape=(3, 20, 16))
    dataset: Any = None
    with pytest.raises(UsageError, match="vgg16_hed has no layer relu5_1"):
        mgan(image_shape=(3, 16, 16), encoder_layer="relu5_1").check_data(dataset)
