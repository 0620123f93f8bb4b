"""Facts of Wang et al.'s networks, losses and instances."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import short_config, trained
from game import count, sgd, weights, without_trainer
from torch import nn

from genlab.config import compose
from genlab.datasets.batches import PairedImages
from genlab.datasets.loader import Chosen
from genlab.errors import UsageError
from genlab.loaded_run import load_model
from genlab.models.capabilities import Translates
from genlab.models.pix2pix_hd import CHOICES, PIXELS_OF_EACH, Pix2PixHD, feature_matching, perceptual_l1
from genlab.networks.coarse_to_fine import CoarseToFine
from genlab.networks.patchgan import PatchGAN
from genlab.networks.regions import region_means
from genlab.networks.residual import ResidualGenerator

RED_AND_BLUE = [(255, 0, 0), (0, 0, 255)]


def small(**changed: Any) -> Any:
    torch.manual_seed(0)
    generator = {
        "image_shape": (3, 16, 16),
        "width": 4,
        "num_downsamplings": 1,
        "num_blocks": 1,
        "upsampling": "nearest",
        "enhancer_blocks": 1,
    }
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
        assert count(ResidualGenerator(36, 3, 64, 9, 4, "transposed")) == 182_546_755
        assert count(CoarseToFine(36, 3, 64, 9, 4, 3, "transposed")) == 182_857_059
        assert 2 * count(PatchGAN(39, 64, 3, "instance", padding=2)) == 5_603_202
        assert count(ResidualGenerator(3, 3, 16, 0, 4, "transposed")) == 788_803


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
    assert seen == ["generator", "discriminator"]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_one_discriminator_judges_all_images_of_a_step() -> None:
    model = small()
    judged = model.judged
    judges: list[dict[str, torch.Tensor]] = []

    def spy(condition: torch.Tensor, images: torch.Tensor) -> Any:
        judges.append(weights(model.discriminator))
        return judged(condition, images)

    model.judged = spy
    model.training_step(batch(), 0)
    assert len(judges) == 3
    assert all(torch.equal(judge[name], weight) for judge in judges for name, weight in judges[0].items())
    assert any(not torch.equal(judges[0][name], weight) for name, weight in weights(model.discriminator).items())


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
    assert not list(model.loss_network.parameters())
    images = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    assert perceptual_l1(model.loss_network, images, images).item() == 0
    perceptual_l1(model.loss_network, images, -images.detach()).backward()
    assert images.grad is not None
    assert images.grad.any()
    assert not any("network" in name for name in model.state_dict())


def test_a_run_says_which_network_stands_in_for_vgg19(recwarn: pytest.WarningsRecorder) -> None:
    small().on_fit_start()
    assert not recwarn.list
    said = r"the perceptual loss is of relu1_1, relu2_1, relu3_1, relu4_1 of vgg16_hed, .* not in .*vgg19-.*\.pth"
    with pytest.warns(UserWarning, match=said):
        small(perceptual_weight=10.0).on_fit_start()


def test_a_run_goes_on_with_the_network_it_began_with_or_not_at_all() -> None:
    without, with_vgg = (small(instances="none", feature_dim=0, perceptual_weight=weight) for weight in (0.0, 10.0))
    checkpoint: dict[str, Any] = {"state_dict": {}}
    with_vgg.on_save_checkpoint(checkpoint)
    assert checkpoint["loss_features"] == "relu1_1, relu2_1, relu3_1, relu4_1 of vgg16_hed"
    with_vgg.on_load_checkpoint(checkpoint)
    without.on_save_checkpoint(checkpoint)
    without.on_load_checkpoint(checkpoint)
    said = "was trained with a perceptual loss of relu5_1 of vgg19, and here it is of relu1_1, .* of vgg16_hed\nthe"
    with pytest.raises(UsageError, match=said):
        with_vgg.on_load_checkpoint({"loss_features": "relu5_1 of vgg19"})


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


class Pairs:
    """Given pairs as a source."""

    def __init__(self, pairs: PairedImages) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs.source)

    def __getitems__(self, chosen: Chosen) -> PairedImages:
        return PairedImages(*(images[chosen.items] for images in self.pairs))


@pytest.mark.parametrize("keeper", ["validation", "checkpoint"])
def test_known_features_are_of_the_encoder_as_it_is_at_validation_and_saving(
    keeper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = small(), batch()
    dataset = SimpleNamespace(sources={"train": Pairs(data)})
    monkeypatch.setattr("genlab.models.pix2pix_hd.dataset_of", lambda trainer: dataset)
    model._trainer = SimpleNamespace()
    checkpoint: dict[str, Any] = {"state_dict": {"known_features": torch.zeros(1)}}
    for _ in range(2):
        model.training_step(data, 0)
        if keeper == "validation":
            model.on_validation_start()
            known = model.known_features
        else:
            model.on_save_checkpoint(checkpoint)
            known = checkpoint["state_dict"]["known_features"]
        _, regions = model.told(data.source[:1])
        features = region_means(model.encoder(data.target[:1]), regions).flatten(2)[0].T
        assert torch.cdist(known[:PIXELS_OF_EACH], features, p=1).amin(1).max() < 1e-5
