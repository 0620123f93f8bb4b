"""The sizes of the encoder and decoder that context encoders and GP-GAN share."""

import pytest
import torch

from genlab.networks.encoder_decoder import EncoderDecoder, widths


@pytest.mark.parametrize(
    ("in_side", "bottleneck", "parameters"),
    [(128, 4000, 71_124_544), (128, 100, 7_219_144), (64, 4000, 71_058_880)],
    ids=["context encoder", "with 100", "GP-GAN"],
)
def test_the_well_known_numbers_of_parameters(in_side: int, bottleneck: int, parameters: int) -> None:
    with torch.device("meta"):
        network = EncoderDecoder((3, in_side, in_side), (3, 64, 64), 64, bottleneck)
    assert sum(weight.numel() for weight in network.parameters()) == parameters


@pytest.mark.parametrize(("in_side", "out_side"), [(128, 64), (64, 64), (64, 32), (32, 16), (96, 48), (28, 28), (8, 8)])
def test_shapes_and_ranges(in_side: int, out_side: int) -> None:
    images = EncoderDecoder((3, in_side, in_side), (1, out_side, out_side), 2, 5)(torch.randn(3, 3, in_side, in_side))
    assert images.shape == (3, 1, out_side, out_side)
    assert images.abs().max() < 1


def test_only_the_last_four_maps_double_their_channels() -> None:
    assert widths(64, (3, 128, 128)) == [64, 64, 128, 256, 512]
    assert widths(64, (3, 64, 64)) == [64, 128, 256, 512]
    assert widths(64, (3, 16, 16)) == [64, 128]


def test_all_of_the_image_is_seen_by_every_pixel() -> None:
    torch.manual_seed(0)
    network = EncoderDecoder((1, 32, 32), (1, 16, 16), 4, 8).eval()
    images = torch.randn(1, 1, 32, 32, requires_grad=True)
    network(images)[0, 0, 3, 3].backward()
    assert images.grad is not None
    assert (images.grad != 0).all()


@pytest.mark.parametrize("shape", [(3, 36, 36), (3, 32, 64), (3, 4, 4)])
def test_other_sides_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected a square whose side is 4, 5, 6 or 7 times a power of 2"):
        EncoderDecoder(shape, (3, 16, 16), 4, 8)
