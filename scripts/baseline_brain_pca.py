"""Prints how well principal components find the lesions of `dataset=brain`, the least that a model has to do better.

    python scripts/baseline_brain_pca.py                     # half a minute
    python scripts/baseline_brain_pca.py --components 50

An image is projected onto the components of the training slices; the absolute difference is its map. The areas are
those that `genlab evaluate` measures of AnoGAN and f-AnoGAN: by the mean of the map, by its highest mean of 7x7 pixels,
and of each pixel.
"""

import argparse

import torch
from torch import Tensor

from genlab.datasets.brain import Brain
from genlab.datasets.loader import Chosen
from genlab.metrics.anomaly import auroc, peaks


def images_of(dataset: Brain, split: str) -> tuple[Tensor, Tensor]:
    """Images ``(N, 1, 64, 64)`` in [-1, 1] and labels ``(N,)``."""
    source = dataset.sources[split]
    return source.__getitems__(Chosen(-1, torch.arange(len(source))))


def differences(train: Tensor, test: Tensor, num_components: int) -> Tensor:
    """``(N, D)`` and ``(M, D)`` -> ``(M, D)``: of each test item, the size of what the components do not hold."""
    mean = train.mean(0)
    covariance = ((train - mean).T @ (train - mean)).double()
    components = torch.linalg.eigh(covariance).eigenvectors[:, -num_components:].float()
    return (test - mean - (test - mean) @ components @ components.T).abs()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", type=int, default=200)
    options = parser.parse_args()
    dataset = Brain("brain", (1, 64, 64), 64, 300, 0)
    dataset.load_once()
    train, _ = images_of(dataset, "train")
    test, labels = images_of(dataset, "test")
    masks = dataset.test_masks
    assert masks is not None
    maps = differences(train.flatten(1), test.flatten(1), options.components)
    print(f"{options.components} components of {len(train)} slices, {len(test)} test slices")
    print(f"image_auroc {auroc(maps.mean(1), labels):.4f}")
    print(f"peak_auroc  {auroc(peaks(maps.view_as(test)), labels):.4f}")
    print(f"pixel_auroc {auroc(maps.flatten(), masks.flatten()):.4f}")


if __name__ == "__main__":
    main()
