"""Facts of the local enhancer around the global generator."""

import torch

from genlab.networks.coarse_to_fine import CoarseToFine


def test_the_enhancer_adds_to_the_maps_of_the_coarse_generator() -> None:
    network = CoarseToFine(3, 3, 4, 1, 1, 1, "transposed")
    images = torch.rand(2, 3, 16, 16)
    coarse: list[torch.Tensor] = []
    network.coarse.register_forward_hook(lambda module, inputs, output: coarse.extend([inputs[0], output]))
    made = network(images)
    assert made.shape == images.shape
    assert coarse[0].shape == (2, 3, 8, 8)
    torch.testing.assert_close(made, network.up(network.down(images) + coarse[1]))
    # The border has no pixels beyond it in its averages.
    torch.testing.assert_close(coarse[0][:, :, 0, 0], images[:, :, :2, :2].mean((2, 3)))
