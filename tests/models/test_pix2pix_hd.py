"""Facts of Wang et al.'s networks, losses and instances."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from game import count, sgd, weights, without_trainer
from torch import nn

from genlab.config import compose
from genlab.datasets.batches import PairedImages
from genlab.models.capabilities import Translates
from genlab.models.pix2pix_hd import CHOICES, CoarseToFine, Pix2PixHD, feature_matching, perceptual_l1
from genlab.networks.patchgan import PatchGAN
from genlab.networks.residual import ResidualGenerator
from genlab.run import load_model

RED_AND_BLUE = [(255, 0, 0), (0, 0, 255)]


def small(**changed: Any) -> Any:
    torch.manual_seed(0)
    generator = {"image_shape": (3, 16, 16), "width": 4, "num_downsamplings": 1, "num_blocks": 1, "enhancer_blocks": 1}
    discriminator = {"discriminator_width": 4, "num_layers": 1, "num_scales": 2}
    instances = {"label_colours": [], "instances": "regions", "feature_dim": 3, "encoder_width": 4}
    weights = {"feature_weight": 10.0, "perceptual_weight": 0.0}
    settings: dict[str, Any] = generator | discriminator | instances | weights | changed
    return without_trainer(Pix2PixHD(**settings, optimizer=lambda parameters: sgd(parameters, 0.01)))


def batch(size: int = 3) -> PairedImages:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(size, 1, 4, 4, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    source = (coarse > 0.5).float().expand(-1, 3, -1, -1) * 2 - 1
    return PairedImages(source, torch.rand(size, 3, 16, 16, generator=generator) * 2 - 1)


def test_parameters_of_the_authors_networks() -> None:
    with torch.device("meta"):
        assert count(ResidualGenerator(36, 3, 64, 9, 4)) == 182_546_755
        assert count(CoarseToFine(36, 3, 64, 9, 4, 3)) == 182_857_059
        assert 2 * count(PatchGAN(39, 64, 3, "instance", padding=2)) == 5_603_202
        assert count(ResidualGenerator(3, 3, 16, 0, 4)) == 788_803


@pytest.mark.parametrize(
    ("experiment", "generator", "discriminator"),
    [("pix2pix_hd_paper", 182_546_755, 5_603_202), ("pix2pix_hd_local", 182_857_059, 8_404_803)],
)
def test_parameters_of_the_experiments(experiment: str, generator: int, discriminator: int) -> None:
    settings = compose("train", [f"+experiment={experiment}"]).config["model"]
    unused = {"_target_": None, "optimizer": None, "perceptual_weight": 0.0}
    arguments = {name: unused.get(name, value) for name, value in settings.items() if name != "_target_"}
    with torch.device("meta"):
        model = Pix2PixHD(**arguments)
    found = {name: count(network) for name, network in model.named_children()}
    assert found == {"generator": generator, "discriminator": discriminator, "encoder": 788_803}


def test_the_turns_of_the_networks() -> None:
    model = small()
    seen: list[str] = []
    descend = model.descend

    def spy(optimizer: torch.optim.Optimizer, loss: torch.Tensor, name: str) -> None:
        before = {part: weights(network) for part, network in model.named_children()}
        descend(optimizer, loss, name)
        changed = {
            part
            for part, network in model.named_children()
            if any(not torch.equal(before[part][key], now) for key, now in weights(network).items())
        }
        assert changed == ({"discriminator"} if name == "discriminator" else {"generator", "encoder"})
        seen.append(name)

    model.descend = spy
    model.training_step(batch(), 0)
    assert seen == ["discriminator", "generator"]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_enhancer_adds_to_the_maps_of_the_coarse_generator() -> None:
    network = CoarseToFine(3, 3, 4, 1, 1, 1)
    images = torch.rand(2, 3, 16, 16)
    coarse: list[torch.Tensor] = []
    network.coarse.register_forward_hook(lambda module, inputs, output: coarse.extend([inputs[0], output]))
    made = network(images)
    assert made.shape == images.shape
    assert coarse[0].shape == (2, 3, 8, 8)
    torch.testing.assert_close(made, network.up(network.down(images) + coarse[1]))
    # The border has no pixels beyond it in its averages.
    torch.testing.assert_close(coarse[0][:, :, 0, 0], images[:, :, :2, :2].mean((2, 3)))


def test_features_are_matched_at_all_layers_but_the_scores() -> None:
    layers = [torch.zeros(2, 4, 3, 3), torch.zeros(2, 8, 2, 2), torch.zeros(2, 1, 1, 1)]
    wanted = [layer + place + 1 for place, layer in enumerate(layers)]
    # 4 / (3 - 1) of 1 and 2, in each of two scales, of which the mean is taken.
    assert feature_matching([layers, layers], [wanted, wanted]).item() == pytest.approx(2 * (1 + 2))


def test_discriminators_see_smaller_and_smaller_pairs() -> None:
    model = small(num_scales=3)
    seen: list[torch.Size] = []
    for discriminator in model.discriminator:
        first: Any = discriminator.layers[0]
        first.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    model.judged(torch.zeros(2, 7, 16, 16), torch.zeros(2, 3, 16, 16))
    assert seen == [(2, 10, 16, 16), (2, 10, 8, 8), (2, 10, 4, 4)]


def test_a_label_map_is_told_by_its_nearest_colours_and_boundaries() -> None:
    model = small(label_colours=RED_AND_BLUE)
    source = torch.full((1, 3, 16, 16), -1.0)
    source[:, 0, :, :8] = 0.8  # nearly red
    source[:, 2, :, 8:] = 0.9  # nearly blue
    seen, regions = model.told(source)
    assert seen.shape == (1, 3 + 2 + 1, 16, 16)
    assert torch.equal(seen[:, :3], source)
    assert seen[0, 3:5, 0, :].argmax(0).tolist() == [0] * 8 + [1] * 8
    assert seen[0, 5, 0].tolist() == [0.0] * 7 + [1, 1] + [0.0] * 7
    assert regions.unique().tolist() == [0, 8]


def test_the_generator_is_told_one_feature_for_each_instance() -> None:
    model, data = small(), batch()
    seen: list[torch.Tensor] = []
    model.generator.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    encoded: list[torch.Tensor] = []
    model.encoder.register_forward_hook(lambda module, inputs, output: encoded.append(output.detach()))
    model.training_step(data, 0)
    _, regions = model.told(data.source)
    for number in regions[0].unique():
        here = regions[0] == number
        features = seen[0][0, -3:, here]
        torch.testing.assert_close(features, encoded[0][0][:, here].mean(1, keepdim=True).expand_as(features))


@torch.no_grad()
def test_a_translation_takes_the_features_of_the_most_alike_instances() -> None:
    model = small().eval()
    model.known_places.uniform_(0, 1, generator=torch.Generator().manual_seed(0))
    model.known_features.copy_(torch.randn(model.known_features.shape))
    images = batch().source
    made = model.translate(images)
    assert made.shape == images.shape
    torch.testing.assert_close(model.translate(images[1:2]), made[1:2])

    drawn = [model.translate(images, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    generator = torch.Generator().manual_seed(3)
    parts = [model.translate(part, generator=generator) for part in images.split(1)]
    torch.testing.assert_close(torch.cat(parts), drawn[0])

    # An instance that is known exactly looks as it did.
    _, regions = model.told(images[:1])
    places = torch.rand(4, 16, 16)
    model.known_places[5] = places.flatten(1)[:, 0]
    likely = model.likely(places, regions[0], 0)
    torch.testing.assert_close(likely[:, regions[0] == 0][:, 0], model.known_features[5])
    assert likely.shape == (3, 16, 16)
    assert len(model.known_places) > CHOICES
    assert isinstance(model, Translates)


def test_the_perceptual_term_is_0_for_equal_images_and_reaches_the_generator() -> None:
    model = small(image_shape=(3, 32, 32), perceptual_weight=10.0)
    assert not list(model.vgg.parameters())
    images = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    assert perceptual_l1(model.vgg, images, images).item() == 0
    perceptual_l1(model.vgg, images, -images.detach()).backward()
    assert images.grad is not None
    assert images.grad.any()
    assert not any("vgg" in name for name in model.state_dict())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_shape": (3, 18, 16)}, "sides must be multiples of 4 and at least 8"),
        ({"image_shape": (1, 16, 16), "label_colours": RED_AND_BLUE}, "label_colours are of images with 3 channels"),
        ({"instances": "none"}, "feature_dim=3 needs instances=regions"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changed)


def test_without_instances_there_is_no_encoder() -> None:
    model = small(instances="none", feature_dim=0, enhancer_blocks=0)
    assert not hasattr(model, "encoder")
    assert isinstance(model.generator, nn.Sequential)
    model.training_step(batch(), 0)
    assert model.translate(batch().source).shape == (3, 3, 16, 16)


def test_a_checkpoint_knows_what_instances_look_like(tmp_path: Path) -> None:
    narrow = ["model.width=4", "model.discriminator_width=4", "model.encoder_width=4", "model.num_blocks=1"]
    trained(tmp_path / "run", short_config("pix2pix_hd", *narrow))
    model: Any = load_model(str(tmp_path / "run")).model
    assert model.known_features.abs().max() <= 1
    assert model.known_features.std() > 0
    assert set((model.known_places[:, 0] / 10).unique().tolist()) == {0, 1}
    assert 0 < model.known_places[:, 1:].min() < model.known_places[:, 1:].max() <= 1
