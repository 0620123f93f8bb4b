"""Retrains the classifiers whose hidden layer serves the Fréchet distances: digits (MNIST) or fashion (Fashion-MNIST).

Needs an installed genlab and the embedded mnist.npz or fashion_mnist.npz; some minutes on one core.

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
from torch import Tensor
from torch.nn import functional

from genlab.metrics.features import Classifier

BATCH = 128
SHIFT = 2


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
