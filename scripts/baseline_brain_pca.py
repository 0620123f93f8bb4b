"""Prints how well principal components find the lesions of `dataset=brain`, the least that a model has to do better.

    python scripts/baseline_brain_pca.py                     # half a minute
    python scripts/baseline_brain_pca.py --components 50

An image is projected onto the components of the training slices; its map is where it differs from that. The areas are
those that `genlab evaluate` measures of AnoGAN and f-AnoGAN: by the mean of the map, by its highest mean of 7x7 pixels,
and of each pixel; first of the plain differences, then averaged and weighted as in the recipes of those two.
"""

import argparse

import torch
from torch import Tensor

from genlab.datasets.brain import Brain
from genlab.datasets.loader import Chosen
from genlab.losses.residual import residual_map
from genlab.metrics.anomaly import auroc, peaks


def images_of(dataset: Brain, split: str) -> tuple[Tensor, Tensor]:
    """Images ``(N, 1, 64, 64)`` in [-1, 1] and labels ``(N,)``."""
    source = dataset.sources[split]
    return source.__getitems__(Chosen(-1, torch.arange(len(source))))


def projected(train: Tensor, test: Tensor, num_components: int) -> Tensor:
    """``(N, D)`` and ``(M, D)`` -> what the components hold of each test item, ``(M, D)``."""
    mean = train.mean(0)
    covariance = ((train - mean).T @ (train - mean)).double()
    components = torch.linalg.eigh(covariance).eigenvectors[:, -num_components:].float()
    return mean + (test - mean) @ components @ components.T


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
    restored = projected(train.flatten(1), test.flatten(1), options.components).view_as(test)
    print(f"{options.components} components of {len(train)} slices, {len(test)} test slices")
    for side, edge_weight in ((1, 0.0), (5, 10.0)):
        maps = residual_map(test, restored, side, edge_weight)
        areas = {
            "image_auroc": auroc(maps.flatten(1).mean(1), labels),
            "peak_auroc": auroc(peaks(maps), labels),
            "pixel_auroc": auroc(maps.flatten(), masks.flatten()),
        }
        print(f"map_side={side} edge_weight={edge_weight:g}", *(f"{name} {area:.4f}" for name, area in areas.items()))


if __name__ == "__main__":
    main()
