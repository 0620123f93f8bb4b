"""What SRResNet and SRGAN have in common: what they undo, and which network their loss is of."""

from typing import Any

import pytest
import torch
from alone import sgd

from genlab.errors import UsageError
from genlab.losses.perceptual import Content
from genlab.models.capabilities import Restores
from genlab.models.srresnet import SRResNet
from genlab.networks.srresnet import enlarged, reduced


def model(scale: Any = 2, content: Content = "mse", shape: tuple[int, int, int] = (3, 16, 16)) -> SRResNet:
    torch.manual_seed(0)
    return SRResNet(shape, scale, 4, 1, False, "bicubic", content, sgd).eval()


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
def test_it_restores_what_it_reduces_at_any_size(scale: int) -> None:
    enlarging = model(scale)
    assert isinstance(enlarging, Restores)
    assert (enlarging.scale, enlarging.stride, enlarging.directions) == (scale, 1, ("x_to_y",))
    images = torch.rand(2, 3, 8 * scale, 5 * scale, generator=torch.Generator().manual_seed(0)) * 2 - 1
    degraded = enlarging.degrade(images)
    assert torch.equal(degraded, reduced(images, scale))
    assert torch.equal(enlarging.baseline(degraded), enlarged(degraded, scale).clamp(-1, 1))
    restored = enlarging.translate(degraded)
    assert restored.shape == images.shape
    assert restored.abs().max() <= 1
    torch.testing.assert_close(restored[1:], enlarging.translate(degraded[1:]))
    assert enlarging.degradation == f"bicubic, {scale} times smaller"


def test_a_run_says_that_the_embedded_network_stands_in(recwarn: pytest.WarningsRecorder) -> None:
    model().on_fit_start()
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"the content loss is of relu4_3 of vgg16_hed, .* not in .*vgg19-.*\.pth"):
        model(content="vgg54").on_fit_start()


def test_a_run_goes_on_with_the_network_it_began_with_or_not_at_all() -> None:
    checkpoint: dict[str, Any] = {}
    model(content="vgg22").on_save_checkpoint(checkpoint)
    assert checkpoint == {"loss_features": "relu2_2 of vgg16_hed"}
    model(content="vgg22").on_load_checkpoint(checkpoint)
    said = "was trained with a content loss of relu2_2 of vgg19, and here it is of relu2_2 of vgg16_hed\nthe weights of"
    with pytest.raises(UsageError, match=said):
        model(content="vgg22").on_load_checkpoint({"loss_features": "relu2_2 of vgg19"})


def test_sides_that_are_no_multiples_of_the_scale_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image_shape=\[3, 18, 16\]: sides must be multiples of scale=4"):
        model(4, shape=(3, 18, 16))
