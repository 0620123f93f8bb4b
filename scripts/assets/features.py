"""Retrains the classifiers whose hidden layer serves the Fréchet distances: digits (MNIST) or fashion (Fashion-MNIST).

Needs torch, safetensors and the embedded mnist.npz or fashion_mnist.npz; some minutes on one core.

    python scripts/assets/features.py digit --out digit_features.safetensors
    python scripts/assets/features.py fashion --out fashion_features.safetensors

A fixed seed, one thread and deterministic kernels: the same machine gives the same weights, another kind of processor
gives others of the same accuracy. It prints the accuracy on the test images and the largest difference to the committed
weights.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from archive import ASSETS
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

BATCH = 128
SHIFT = 2


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


def shifted(images: Tensor, mirror: bool) -> Tensor:
    """Each image moved by up to ``SHIFT`` pixels, and mirrored half of the time if asked."""
    count, side = len(images), images.shape[-1]
    padded = functional.pad(images, (SHIFT,) * 4)
    rows = torch.arange(side) + torch.randint(2 * SHIFT + 1, (count, 1))
    columns = torch.arange(side) + torch.randint(2 * SHIFT + 1, (count, 1))
    if mirror:
        columns = torch.where(torch.rand(count, 1) < 0.5, columns, columns.flip(1))
    return padded[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def trained(images: Tensor, labels: Tensor, epochs: int, mirror: bool) -> Classifier:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * math.ceil(len(images) / BATCH))
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            loss = functional.cross_entropy(model(shifted(images[chosen], mirror)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["digit", "fashion"])
    parser.add_argument("--out", type=Path, help="write the weights here; without it they are only compared")
    given = parser.parse_args()
    pack, epochs, mirror = ("mnist.npz", 10, False) if given.which == "digit" else ("fashion_mnist.npz", 40, True)
    with np.load(ASSETS / pack) as arrays:
        images, labels, test_images, test_labels = (
            torch.from_numpy(arrays[key]) for key in ("train_images", "train_labels", "test_images", "test_labels")
        )
    model = trained(images.float().div(255).unsqueeze(1), labels.long(), epochs, mirror)
    with torch.inference_mode():
        accuracy = (model(test_images.float().div(255).unsqueeze(1)).argmax(1) == test_labels).double().mean().item()
    committed = load_file(ASSETS / f"{given.which}_features.safetensors")
    difference = max(float((weight - committed[name]).abs().max()) for name, weight in model.state_dict().items())
    print(f"test accuracy {accuracy:.2%}; largest difference to the committed weights {difference:.2g}")
    if given.out is not None:
        about = {"licence": "Apache-2.0", "source": pack, "test_accuracy": round(accuracy, 5)}
        save_file(model.state_dict(), given.out, {"about": json.dumps(about)})
        print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
