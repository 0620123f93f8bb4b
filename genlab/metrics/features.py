"""The networks whose features the distances compare: three embedded ones, torchvision's, and the user's own.

Neither TorchScript nor ``torch.export`` files are read: both formats unpickle or run what the file says while they are
loaded. Weights alone are read instead, and code comes only from packages that the user allows.
"""

import hashlib
import io
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import safetensors.torch
import torch
import torchvision
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from genlab.config.targets import build
from genlab.datasets.embedded import asset, index
from genlab.datasets.images import LUMA
from genlab.errors import DataError, UsageError
from genlab.metrics.efficientnet import RESIZE, EfficientNetLite0

EMBEDDED = ("digit", "fashion", "imagenet")
WEIGHT_FILES = (".pth", ".pt", ".safetensors")
ACCEPTED = (
    "accepted: auto, digit, fashion, imagenet, the weights of a torchvision classifier (FILE.pth or FILE.safetensors, "
    "named as torchvision names them: resnet18-f37072fd.pth), or a class of your own package (package.module.Class "
    "with --allow package)"
)


UNREADABLE = (
    *(pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, AssertionError, struct.error),
)
"""What reading random bytes, or code among the weights, ends in."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A network with what is printed of it.

    Args:
        sha256: of the file of its weights or, for a class, of its weights.
        resize: how images are brought to the size it takes; Fréchet distances of other filters do not compare.
        network: ``(N, C, H, W)`` in [-1, 1] -> ``(N, D)``.
        classifier: ``(N, D)`` -> ``(N, num_classes)`` logits; None if its features tell no classes.
    """

    name: str
    sha256: str
    resize: str
    network: nn.Module
    classifier: nn.Linear | None = None

    def to(self, device: torch.device) -> "FeatureNetwork":
        for module in filter(None, (self.network, self.classifier)):
            module.to(device)
        return self

    def features(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] -> ``(N, D)``.

        Raises:
            UsageError: the network gives something of another shape.
        """
        features = self.network(images.float())
        if features.ndim != 2 or len(features) != len(images):
            raise UsageError(
                f"features: {self.name} gives {list(features.shape)} for images {list(images.shape)}, expected "
                f"[{len(images)}, D]: one row of features an image"
            )
        return features

    def log_probabilities(self, features: Tensor) -> Tensor:
        """log p(y|x) in nats of a network that tells classes, ``(N, D)`` -> ``(N, num_classes)`` float64."""
        assert self.classifier is not None
        return self.classifier(features.float()).double().log_softmax(1)


def feature_network(name: str, known: str | None) -> FeatureNetwork | None:
    """The network that a user names, in evaluation mode.

    Args:
        name: ``auto``, ``digit``, ``fashion``, ``imagenet``, a file of weights or the full name of a class.
        known: the embedded network that knows the data set, for ``auto``; None if there is none.

    Raises:
        UsageError: nothing of that name, or the class is not allowed.
        DataError: the file is damaged or holds more than tensors.
    """
    path = Path(name).expanduser()
    if name == "auto":
        return embedded(known) if known else None
    if name in EMBEDDED:
        return embedded(name)
    if path.suffix in WEIGHT_FILES:
        return of_torchvision(path)
    if path.exists() or not re.fullmatch(r"\w+(\.\w+)+", name):
        raise UsageError(f"features={name}: there is no such network\n{ACCEPTED}")
    return of_class(name)


class Classifier(nn.Module):
    """Two convolutions and a hidden layer of 64; dropout only while training.

    Shapes: ``(N, 1, 28, 28)`` in [0, 1] -> ``(N, 64)`` features, ``(N, 10)`` logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 5)
        self.hidden = nn.Linear(32 * 5 * 5, 64)
        self.classifier = nn.Linear(64, 10)

    def features(self, images: Tensor) -> Tensor:
        hidden = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        hidden = functional.max_pool2d(functional.relu(self.conv2(hidden)), 2)
        return functional.relu(self.hidden(functional.dropout(hidden.flatten(1), 0.25, self.training)))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


class EmbeddedFeatures(nn.Module):
    """The hidden layer of a ``Classifier``, for images of any size and channels in [-1, 1]."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier.features(grey_28(images))


def grey_28(images: Tensor) -> Tensor:
    """Images as the embedded classifiers know them.

    32x32 is taken for 28x28 with a border of 2, as in most papers, and loses it; other sizes are averaged or
    interpolated; colours become grey values.

    Shapes: ``(N, 1 or 3, H, W)`` in [-1, 1] -> ``(N, 1, 28, 28)`` in [0, 1].
    """
    values = (images.clamp(-1, 1) + 1) / 2
    if values.shape[1] == 3:
        values = (values * values.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if values.shape[2:] == (32, 32):
        return values[:, :, 2:-2, 2:-2]
    if min(values.shape[2:]) < 28:
        return functional.interpolate(values, (28, 28), mode="bilinear", antialias=True)
    return functional.interpolate(values, (28, 28), mode="area")


def embedded(kind: str) -> FeatureNetwork:
    """The classifier of ``digit``, ``fashion`` or ``imagenet`` images that comes with genlab."""
    name = "efficientnet_lite0" if kind == "imagenet" else f"{kind}_features"
    classifier = EfficientNetLite0() if kind == "imagenet" else Classifier()
    classifier.load_state_dict(safetensors.torch.load(asset(f"{name}.safetensors")))
    network: nn.Module = classifier if isinstance(classifier, EfficientNetLite0) else EmbeddedFeatures(classifier)
    resize = RESIZE if kind == "imagenet" else "32 cropped to 28, else area, smaller ones bilinear"
    sha256 = index()[f"{name}.safetensors"]["sha256"]
    return FeatureNetwork(name, sha256, resize, network.eval(), classifier.classifier)


class TorchvisionFeatures(nn.Module):
    """What the last linear layer of a torchvision classifier is given; whole images at the size it was trained on."""

    def __init__(self, network: nn.Module, preset: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.preset = preset

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.preset((images.clamp(-1, 1).expand(-1, 3, -1, -1) + 1) / 2))


def of_torchvision(path: Path) -> FeatureNetwork:
    """A torchvision classifier without its last layer, from a file of weights that begins with its name."""
    architectures = torchvision.models.list_models(module=torchvision.models)
    architecture = max((name for name in architectures if path.name.startswith(name)), key=len, default=None)
    if architecture is None:
        raise UsageError(f"features={path}: torchvision has no classifier of that name\n{ACCEPTED}")
    data, state = read_weights(path)
    # Both undo the normalization of torchvision's other networks, which their own builder asks for.
    special = {"transform_input": True, "init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(architecture, weights=None, **special)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = shorten(str(error).splitlines()[1], 160)
        raise DataError(
            f"features={path} does not hold the weights of torchvision's {architecture}: {reason}"
        ) from error
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UsageError(f"features={path}: {architecture} has no linear layer, whose input would be the features")
    network.set_submodule(linear[-1], nn.Identity())
    preset = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()
    preset.resize_size = preset.crop_size * 2  # height and width, so that the crop leaves nothing out
    sha256, resize = (
        hashlib.sha256(data).hexdigest(),
        f"{preset.interpolation.value} antialias to {preset.crop_size[0]}",
    )
    return FeatureNetwork(architecture, sha256, resize, TorchvisionFeatures(network, preset).eval())


def read_weights(path: Path) -> tuple[bytes, Mapping[str, Any]]:
    """The bytes of a file and the tensors in it, by name; nothing but tensors and plain data is read.

    Raises:
        UsageError: there is no such file.
        DataError: it is damaged, holds more, or its name ends in the first digits of another SHA-256.
    """
    if not path.is_file():
        raise UsageError(f"features={path}: there is no such file\n{ACCEPTED}")
    data = path.read_bytes()
    said = re.search(r"-([0-9a-f]{8})$", path.stem)
    if said and not (found := hashlib.sha256(data).hexdigest()).startswith(said[1]):
        raise DataError(f"{path} is damaged: its SHA-256 begins with {found[:8]}, not {said[1]}; download it again")
    try:
        if path.suffix == ".safetensors":
            return data, safetensors.torch.load(data)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise DataError(f"{path} is damaged, or holds more than the weights of a network; it is not read") from error
    if not isinstance(state, Mapping):
        raise DataError(f"{path} holds a {type(state).__name__}, expected tensors by name")
    return data, state


def of_class(name: str) -> FeatureNetwork:
    """A network of the user's own package, made without arguments."""
    try:
        network = build({"_target_": name}, "features")
    except UsageError as error:
        raise UsageError(f"{str(error).replace('features._target_=', 'features=')}\n{ACCEPTED}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"features={name}: expected a kind of torch.nn.Module\n{ACCEPTED}")
    digest = hashlib.sha256()
    for key, weight in sorted(network.state_dict().items()):
        digest.update(f"{key} {weight.dtype} {list(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return FeatureNetwork(type(network).__name__, digest.hexdigest(), "its own", network.eval())
