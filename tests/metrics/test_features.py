"""Feature networks: the embedded ones know their data, files hold weights alone, classes are of allowed packages."""

import hashlib
import io
import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from genlab.datasets.embedded import ASSETS, Embedded, index
from genlab.datasets.loader import Chosen
from genlab.errors import DataError, UsageError
from genlab.metrics.features import FeatureNetwork, feature_network, grey_28, read_weights
from genlab.metrics.frechet import frechet_distance

FILES = {"digit": "mnist", "fashion": "fashion_mnist"}


def data(kind: Any, split: str, side: int = 28) -> tuple[Tensor, Tensor]:
    dataset = Embedded(kind, FILES[kind], (1, side, side), 128, 0, 0)
    source = dataset.load()[split]
    return source.__getitems__(Chosen(-1, torch.arange(min(len(source), 10_000))))


@torch.no_grad()
def features(network: FeatureNetwork, images: Tensor) -> Tensor:
    return torch.cat([network.features(part) for part in images.split(1000)])


def known(kind: str) -> FeatureNetwork:
    network = feature_network(kind, None)
    assert network is not None
    assert network.classifier is not None
    return network


def about(kind: str) -> dict[str, Any]:
    with safe_open(ASSETS / f"{kind}_features.safetensors", "pt") as file:
        return json.loads(file.metadata()["about"])


@pytest.mark.parametrize(("kind", "accuracy"), [("digit", 0.994), ("fashion", 0.8975)])
@torch.no_grad()
def test_embedded_weights_are_as_good_as_they_were_when_trained(kind: str, accuracy: float) -> None:
    network = known(kind)
    images, labels = data(kind, "test")
    found = features(network, images)
    assert found.shape == (len(images), 64)
    assert network.classifier is not None
    correct = (network.classifier(found).argmax(1) == labels).double().mean().item()
    assert correct == pytest.approx(accuracy, abs=2e-4)
    assert about(kind)["test_accuracy"] == accuracy


def test_training_and_test_images_are_as_far_apart_as_the_weights_say() -> None:
    network = known("fashion")
    # Equal numbers of both: 2,000.
    train, test = (features(network, data("fashion", split)[0][:2000]).double() for split in ("train", "test"))
    assert about("fashion")["frechet_train_test"] == pytest.approx(frechet_distance(train, test), abs=0.0006)


def test_embedded_networks_are_named_with_the_digest_of_their_file() -> None:
    for kind in FILES:
        network = known(kind)
        file = ASSETS / f"{kind}_features.safetensors"
        assert network.name == file.stem
        assert network.sha256 == hashlib.sha256(file.read_bytes()).hexdigest() == index()[file.name]["sha256"]


def test_auto_is_what_knows_the_data_set() -> None:
    assert feature_network("auto", None) is None
    found = feature_network("auto", "fashion")
    assert found is not None
    assert found.name == "fashion_features"


def test_a_border_of_two_and_equal_colours_change_no_feature() -> None:
    network = known("fashion")
    images, bordered = data("fashion", "test")[0][:50], data("fashion", "test", side=32)[0][:50]
    plain = features(network, images)
    assert bordered.shape == (50, 1, 32, 32)
    torch.testing.assert_close(features(network, bordered), plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(features(network, images.expand(-1, 3, -1, -1)), plain, rtol=1e-4, atol=1e-4)


def test_other_sizes_keep_the_picture() -> None:
    network = known("digit")
    assert network.classifier is not None
    images, labels = (part[:300] for part in data("digit", "test"))
    double = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(grey_28(double), (images + 1) / 2)
    half = torch.nn.functional.avg_pool2d(images, 2)
    with torch.no_grad():
        seen = network.classifier(features(network, half)).argmax(1)
    assert grey_28(half).shape == images.shape
    assert (seen == labels).double().mean() > 0.9


def test_grey_values_are_in_the_unit_interval_and_weigh_the_colours() -> None:
    assert grey_28(torch.full((1, 1, 28, 28), 1.7)).max() == 1
    assert grey_28(torch.full((1, 1, 28, 28), -1.7)).min() == 0
    red, green, blue = (2 * torch.eye(3) - 1).view(3, 3, 1, 1).expand(-1, -1, 28, 28)
    values = grey_28(torch.stack([red, green, blue])).mean((1, 2, 3))
    torch.testing.assert_close(values, torch.tensor([0.299, 0.587, 0.114]))


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network(torch.randn(8, 3, 64, 64))  # or no layer would let more than a trace of an image through
    return network.state_dict()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvision_weights_give_the_input_of_the_last_layer(
    tmp_path: Path, weights: dict[str, Tensor], suffix: str
) -> None:
    path = tmp_path / f"shufflenet_v2_x0_5{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    network = feature_network(str(path), None)
    assert network is not None
    assert (network.name, network.classifier) == ("shufflenet_v2_x0_5", None)
    assert network.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert network.resize == "bilinear antialias to 224"
    images = torch.rand(2, 1, 40, 30) * 2 - 1
    whole = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None)
    whole.load_state_dict(weights)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = torch.nn.functional.interpolate((images + 1) / 2, (224, 224), mode="bilinear", antialias=True)
    normalized = (scaled.expand(-1, 3, -1, -1) - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        logits = whole.eval()(normalized)
        found = network.features(images)
    assert found.shape == (2, 1024)
    assert (found[0] - found[1]).std() > 0.1
    torch.testing.assert_close(found @ weights["fc.weight"].T + weights["fc.bias"], logits, rtol=1e-4, atol=1e-4)


def test_a_name_that_ends_in_the_digest_is_checked(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path = tmp_path / "shufflenet_v2_x0_5.pth"
    torch.save(weights, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    right, wrong = (path.with_stem(f"{path.stem}-{said}") for said in (digest, "00000000"))
    right.write_bytes(path.read_bytes())
    wrong.write_bytes(path.read_bytes())
    assert feature_network(str(right), None) is not None
    with pytest.raises(DataError, match=f"begins with {digest}, not 00000000; download it again"):
        feature_network(str(wrong), None)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path, trace = tmp_path / "resnet18.pth", tmp_path / "trace"
    torch.save(weights | {"evil": Evil(trace)}, path)
    with pytest.raises(DataError, match="holds more than the weights of a network; it is not read"):
        feature_network(str(path), None)
    path.write_bytes(pickle.dumps(Evil(trace), protocol=2))
    with pytest.raises(DataError, match="holds more than the weights of a network; it is not read"):
        feature_network(str(path), None)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"resnet18{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"resnet18{suffix} is damaged"):
        feature_network(str(path), None)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_file_with_changed_bytes_is_read_or_refused(tmp_path: Path) -> None:
    path, buffer, generator = tmp_path / "resnet18.pth", io.BytesIO(), random.Random(0)
    torch.save({"weight": torch.ones(3)}, buffer, _use_new_zipfile_serialization=False)
    refused = 0
    for _ in range(300):
        content = bytearray(buffer.getvalue())
        content[generator.randrange(len(content))] = generator.randrange(256)
        path.write_bytes(content[: generator.randrange(len(content))])
        try:
            read_weights(path)
        except DataError:
            refused += 1
    assert refused > 200


def test_weights_of_another_network_are_refused(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(weights, path)
    with pytest.raises(DataError, match="does not hold the weights of torchvision's resnet18: Missing key"):
        feature_network(str(path), None)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="holds a list, expected tensors by name"):
        feature_network(str(path), None)


def test_a_network_without_a_linear_layer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "squeezenet1_1-mine.pth"
    torch.save(torchvision.models.get_model("squeezenet1_1", weights=None).state_dict(), path)
    with pytest.raises(UsageError, match="squeezenet1_1 has no linear layer, whose input would be the features"):
        feature_network(str(path), None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "fashon",
            "features=fashon: there is no such network\naccepted: auto, digit, fashion, imagenet, the weights of",
        ),
        ("network.pt2/", "features=network.pt2/: there is no such network"),
        ("missing/resnet18.pth", "features=missing/resnet18.pth: there is no such file"),
        ("my_network.pth", "features=my_network.pth: torchvision has no classifier of that name"),
        ("os.system", "features=os.system: only classes of genlab, .* joins by --allow PACKAGE"),
        ("genlab.metrics.features.embedded", "features=genlab.metrics.features.embedded: this is not a class"),
        ("genlab.datasets.images.ImagesInMemory", "features: .*missing 2 required positional arguments"),
        ("genlab.config.compose.Composed", "features"),
    ],
)
def test_what_is_no_network_is_refused_with_what_is(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        feature_network(name, None)
    assert "accepted: auto, digit, fashion, imagenet, the weights of a torchvision classifier" in str(refused.value)


def test_a_class_of_an_allowed_package_is_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(
        "import torch\n"
        "class Means(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.scale = torch.nn.Parameter(torch.tensor(2.0))\n"
        "    def forward(self, images):\n"
        "        return self.scale * images.mean((2, 3))\n"
        "class NoNetwork:\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GENLAB_ALLOW", "my_networks")
    network = feature_network("my_networks.Means", None)
    assert network is not None
    assert (network.name, network.resize) == ("Means", "its own")
    assert network.sha256 == hashlib.sha256(b"scale torch.float32 []" + b"\x00\x00\x00\x40").hexdigest()
    with torch.no_grad():
        assert torch.equal(network.features(torch.ones(2, 3, 4, 4)), torch.full((2, 3), 2.0))
    with pytest.raises(UsageError, match=r"features=my_networks\.NoNetwork: expected a kind of torch\.nn\.Module"):
        feature_network("my_networks.NoNetwork", None)
