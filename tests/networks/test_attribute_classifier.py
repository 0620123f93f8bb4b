"""The shape of the judge of attributes."""

import torch
from torch.nn.functional import interpolate

from genlab.networks.attribute_classifier import AttributeClassifier


@torch.no_grad()
def test_images_of_any_size_are_seen_at_64() -> None:
    classifier = AttributeClassifier(13).eval()
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    enlarged = interpolate(images, (64, 64), mode="bilinear", antialias=True)
    assert classifier(images).shape == (3, 13)
    assert torch.equal(classifier(images), classifier(enlarged))
    assert classifier(torch.rand(1, 3, 128, 128)).shape == (1, 13)


def test_its_weights_take_less_than_400_000_bytes_in_16_bits() -> None:
    assert 2 * sum(value.numel() for value in AttributeClassifier(13).state_dict().values()) < 400_000
