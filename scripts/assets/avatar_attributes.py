"""Retrains the classifier that judges which attributes a face of avatars.zip shows.

Needs an installed genlab and the embedded avatars.zip; some minutes on one core.

    python scripts/assets/avatar_attributes.py --out avatar_attributes.safetensors

A fixed seed, one thread and deterministic kernels: the same machine gives the same weights, another kind of processor
gives others of the same accuracy. Half of the images are seen as they are enlarged from 32x32, and all a little moved,
brighter or darker and noisy, so that generated images are judged by what they show and not by how sharp they are. It
prints the accuracy of each attribute on the test images, at 64x64 and enlarged from 32x32, and the largest difference
to the committed weights, which are stored with 16 bits.
"""

import json
import math

import torch
from archive import ASSETS, options
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from genlab.datasets.avatars import Avatars
from genlab.datasets.loader import Chosen
from genlab.networks.attribute_classifier import SIDE, AttributeClassifier

FILE = "avatar_attributes.safetensors"
BATCH = 64
EPOCHS = 16
SHIFT = 2


def blurred(images: Tensor) -> Tensor:
    """As 32x32 images look that are enlarged to 64x64."""
    small = functional.interpolate(images, (SIDE // 2, SIDE // 2), mode="area")
    return functional.interpolate(small, (SIDE, SIDE), mode="bilinear", antialias=True)


def augmented(images: Tensor) -> Tensor:
    """Half of them blurred; each moved by up to ``SHIFT`` pixels, with other brightness and contrast and noise."""
    count = len(images)
    images = torch.where(torch.rand(count, 1, 1, 1) < 0.5, blurred(images), images)
    padded = functional.pad(images, (SHIFT,) * 4, mode="replicate")
    rows = torch.arange(SIDE) + torch.randint(2 * SHIFT + 1, (count, 1))
    columns = torch.arange(SIDE) + torch.randint(2 * SHIFT + 1, (count, 1))
    moved = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    contrast = 1 + 0.1 * (2 * torch.rand(count, 1, 1, 1) - 1)
    brightness = 0.1 * (2 * torch.rand(count, 1, 1, 1) - 1)
    noise = 0.05 * torch.rand(count, 1, 1, 1) * torch.randn(moved.shape)
    return (contrast * moved + brightness + noise).clamp(-1, 1)


def trained(images: Tensor, attributes: Tensor) -> AttributeClassifier:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = AttributeClassifier(attributes.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * math.ceil(len(images) / BATCH))
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).split(BATCH):
            logits = model(augmented(images[chosen]))
            loss = functional.binary_cross_entropy_with_logits(logits, attributes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    given = options(__doc__ or "")
    dataset = Avatars("avatars", (3, SIDE, SIDE), BATCH, num_validation=0, seed=0)
    sources = dataset.load()
    images, attributes = sources["train"].__getitems__(Chosen(-1, torch.arange(len(sources["train"]))))
    model = trained(images, attributes)
    weights = {
        name: weight.half() if weight.is_floating_point() else weight for name, weight in model.state_dict().items()
    }
    model.load_state_dict(weights)
    images, attributes = sources["test"].__getitems__(Chosen(-1, torch.arange(len(sources["test"]))))
    with torch.inference_mode():
        sharp, soft = (((model(some) > 0) == attributes.bool()).double().mean(0) for some in (images, blurred(images)))
    for name, *accuracies in zip(dataset.attribute_names, sharp.tolist(), soft.tolist(), strict=True):
        print(f"{name:<12} {accuracies[0]:.3f} {accuracies[1]:.3f}")
    print(f"test accuracy {sharp.mean():.2%} at {SIDE}x{SIDE}, {soft.mean():.2%} enlarged from 32x32")
    if (ASSETS / FILE).is_file():
        committed = load_file(ASSETS / FILE)
        difference = max(float((weight - committed[name]).abs().max()) for name, weight in weights.items())
        print(f"largest difference to the committed weights {difference:.2g}")
    if given.out is not None:
        about = {
            "licence": "Apache-2.0",
            "source": "avatars.zip",
            "attributes": dataset.attribute_names,
            "test_accuracy": {
                name: round(value, 3) for name, value in zip(dataset.attribute_names, sharp.tolist(), strict=True)
            },
        }
        save_file(weights, given.out, {"about": json.dumps(about)})
        print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
