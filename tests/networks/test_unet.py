"""Facts of Isola et al.'s U-Net."""

import torch
from torch import nn

from genlab.networks.unet import UNet, noise_of, of_each


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_parameters_of_the_authors_networks() -> None:
    assert count(UNet(3, 3, 64, 8, "batch")) == 54_413_955
    assert count(UNet(3, 3, 64, 7, "batch")) == 41_828_995
    assert count(UNet(3, 3, 64, 6, "batch")) == 29_244_035
    assert count(UNet(3, 3, 64, 8, "instance")) == 54_409_603


def test_layers_of_appendix_6() -> None:
    network = UNet(3, 3, 64, 8, "batch")
    down = [network.down[0].out_channels, *(layer[1].out_channels for layer in network.down[1:])]
    assert down == [64, 128, 256, 512, 512, 512, 512, 512]
    up = [(layer[1].in_channels, layer[1].out_channels) for layer in network.up]
    assert up == [(512, 512), *[(1024, 512)] * 3, (1024, 256), (512, 128), (256, 64), (128, 3)]
    # CD512-CD1024-CD1024: dropout on the first three.
    assert network.num_dropped == 3
    has_norm = [any(isinstance(part, nn.BatchNorm2d) for part in layer.modules()) for layer in network.down]
    assert has_norm == [False, *[True] * 6, False]


def test_half_of_the_values_are_dropped_and_the_others_doubled() -> None:
    network = UNet(1, 1, 2, 5, "none").eval()
    seen: list[torch.Tensor] = []
    network.up[1].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    bare: list[torch.Tensor] = []
    network.up[0].register_forward_hook(lambda module, inputs, output: bare.append(output))
    network(torch.rand(1, 1, 256, 256), of_each(noise_of(1, None)))
    dropped = seen[0][:, 16:]  # beside the map from the way down
    kept = dropped != 0
    assert 0.4 < kept[bare[0] != 0].float().mean() < 0.6
    torch.testing.assert_close(dropped[kept], 2 * bare[0][kept])


def test_noise_is_of_the_image_not_of_its_batch() -> None:
    network = UNet(1, 1, 2, 5, "instance").eval()
    images = torch.rand(3, 1, 32, 32)
    whole = network(images, of_each(noise_of(3, torch.Generator().manual_seed(1))))
    generator = torch.Generator().manual_seed(1)
    alone = [network(image, of_each(noise_of(1, generator))) for image in images.split(1)]
    torch.testing.assert_close(whole, torch.cat(alone))
    other = network(images, of_each(noise_of(3, torch.Generator().manual_seed(2))))
    assert (whole - other).abs().max() > 1e-3


def test_the_way_up_sees_the_first_map_as_it_was_before_the_activation() -> None:
    network = UNet(1, 1, 2, 3, "none")
    first = []
    network.down[0].register_forward_hook(lambda module, inputs, output: first.append(output.clone()))
    network.up[-1].register_forward_pre_hook(lambda module, inputs: first.append(inputs[0][:, :2].clone()))
    network(torch.rand(2, 1, 16, 16), of_each(noise_of(2, None)))
    assert torch.equal(first[0], first[1])
    assert (first[0] < 0).any()
