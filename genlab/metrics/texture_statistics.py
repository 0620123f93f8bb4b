"""How near samples are to a texture in the statistics by which textures are told apart: Gram matrices of features.

Gatys, Ecker & Bethge, "Texture Synthesis Using Convolutional Neural Networks", NIPS 2015, arXiv:1505.07376, section 3.
"""

import torch
from torch import Tensor

from genlab.datasets.images import centred
from genlab.datasets.textures import Texture
from genlab.metrics.evaluation import Evaluation, Score
from genlab.models.capabilities import Samples
from genlab.networks.vgg import VGG16Features, VGGFeatures

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""The first of each block that the embedded network has."""

NUM_SAMPLES = 16
"""Textures that are drawn, and images of noise; their Gram matrices are averaged."""


def unfit(evaluation: Evaluation) -> str | None:
    if not isinstance(evaluation.model, Samples):
        return f"{evaluation.model_name} draws no samples"
    if not isinstance(evaluation.dataset, Texture):
        return f"'{evaluation.dataset.name}' is not one texture"
    return None


def measure(evaluation: Evaluation) -> list[Score]:
    """``gram_distance_<network>``: of 16 samples to the texture that the model was trained on, 0 if they are alike.

    ``num_distinct`` is how many of them differ: a picture that was optimized is the same whenever it is drawn.
    ``gram_reduction_<network>``: how many times as far from it noise is: independent uniform pixels in [-1, 1] of the
    size of the samples. With both the distance of crops of the texture itself, of that size at most, which is what
    another piece of it may have.
    """
    model, dataset = evaluation.model, evaluation.dataset
    assert isinstance(model, Samples)
    assert isinstance(dataset, Texture)
    network = VGG16Features().to(model.device)
    texture = centred(dataset.picture())[None]
    generator = evaluation.generator()
    samples = model.sample(NUM_SAMPLES, None, generator)
    noise = torch.rand(samples.shape, generator=generator) * 2 - 1
    height, width = (min(sides) for sides in zip(samples.shape[2:], texture.shape[2:], strict=True))
    crops = torch.cat([texture[:, :, :height, :width], texture[:, :, -height:, -width:]])
    wanted = gram_matrices(network, texture)
    found = {
        name: gram_distance(gram_matrices(network, images), wanted)
        for name, images in {"samples": samples, "noise": noise, "crops": crops}.items()
    }
    how = {
        "num_samples": len(samples),
        "num_distinct": len(samples.unique(dim=0)),
        "of_noise": found["noise"],
        "of_crops": found["crops"],
        "seed": evaluation.seed,
    }
    return [
        Score(f"gram_distance_{network.name}", found["samples"], how),
        Score(f"gram_reduction_{network.name}", found["noise"] / max(found["samples"], 1e-12), how),
    ]


def gram_matrices(network: VGGFeatures, images: Tensor) -> list[Tensor]:
    """Mean products of the features of each two channels at the same place, of each of ``LAYERS``: ``(C, C)`` float64.

    Shapes: images ``(N, 1 or 3, H, W)`` in [-1, 1].
    """
    device = next(network.buffers()).device
    parts = [network(image.to(device), LAYERS) for image in images.split(1)]
    matrices = []
    for layer in LAYERS:
        features = [part[layer].flatten(2).double() for part in parts]
        matrices.append(torch.cat([part @ part.mT / part.shape[2] for part in features]).mean(0))
    return matrices


def gram_distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The Frobenius norm of the difference over that of what is wanted, the mean over the layers."""
    ratios = [(f - w).norm() / w.norm() for f, w in zip(found, wanted, strict=True)]
    return torch.stack(ratios).mean().item()
