"""What the two streams see, what they never see, and that each position computed once gives the same."""

import pytest
import torch
from torch import Tensor

from genlab.networks.cached_two_streams import CachedTwoStreams
from genlab.networks.shifted import normalize_outputs
from genlab.networks.two_streams import TwoStreams

SHAPES = [(1, 8, 8), (3, 7, 5), (3, 5, 6), (1, 1, 4), (1, 4, 1), (3, 2, 2), (1, 1, 1)]


def network(num_colours: int, num_classes: int = 0, num_blocks: int = 1, seed: int = 0) -> TwoStreams:
    torch.manual_seed(seed)
    return TwoStreams(num_colours, 5, num_blocks, 7, 0.5, num_classes).double().eval()


def dependence(two_streams: TwoStreams, images: Tensor) -> Tensor:
    """Absolute slopes of the outputs of each pixel with regard to each pixel and colour, ``(H * W, H * W)``, summed."""
    jacobian = torch.autograd.functional.jacobian(lambda x: two_streams(x, None).sum(1)[0], images)
    assert isinstance(jacobian, Tensor)
    return jacobian[:, :, 0].abs().sum(2).flatten(2).flatten(0, 1)


@pytest.mark.parametrize(
    ("width", "num_blocks", "num_colours", "num_outputs", "expected"),
    [
        (160, 5, 3, 100, 53_659_080),
        (192, 5, 3, 100, 77_244_104),
        (160, 5, 1, 30, 53_644_220),
        (80, 5, 3, 100, 13_440_840),
        (40, 2, 1, 15, 1_514_870),
    ],
)
def test_networks_have_the_parameters_of_the_published_ones(
    width: int, num_blocks: int, num_colours: int, num_outputs: int, expected: int
) -> None:
    """With a scale and a bias for each output channel."""
    with torch.device("meta"):
        two_streams = TwoStreams(num_colours, width, num_blocks, num_outputs, 0.5, 0)
    assert sum(weight.numel() for weight in two_streams.parameters()) == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_no_output_depends_on_its_own_pixel_or_on_a_later_one(shape: tuple[int, int, int]) -> None:
    """Exactly: at all corners, in odd and even rows and columns."""
    images = torch.randn(1, *shape, dtype=torch.float64)
    assert not dependence(network(shape[0]), images).triu().any()


def test_there_is_no_blind_spot() -> None:
    """Section 2.3 and 2.4: with a few blocks at three scales every output sees every pixel before it."""
    seen = dependence(network(1, num_blocks=2), torch.randn(1, 1, 9, 10, dtype=torch.float64))
    before = torch.ones(90, 90).tril(-1).bool()
    assert (seen[before] > 0).all()


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_position_computed_once_gives_what_the_whole_image_gives(
    shape: tuple[int, int, int], num_classes: int
) -> None:
    two_streams = network(shape[0], num_classes)
    images = torch.randn(2, *shape, dtype=torch.float64)
    labels = torch.tensor([2, 0]) if num_classes else None
    normalize_outputs(two_streams, images, labels)
    seen = torch.full_like(images, torch.nan)  # what is read too early would be seen
    with torch.no_grad():
        whole = two_streams(images, labels)
        cached = CachedTwoStreams(two_streams, seen, labels)
        for row in range(shape[1]):
            cached.start_row(row)
            for column in range(shape[2]):
                found = cached.pixel(row, column)
                torch.testing.assert_close(found, whole[:, :, row, column], rtol=1e-9, atol=1e-9)
                seen[:, :, row, column] = images[:, :, row, column]


def test_the_first_row_and_column_are_zero_where_nothing_is_above_or_to_the_left() -> None:
    """The first pixel sees no pixel at all, not even the biases of the first layers."""
    two_streams = network(1)
    before = two_streams(torch.zeros(1, 1, 4, 4).double(), None)[0, :, 0, 0]
    for layer in (two_streams.u_first, two_streams.ul_first_above, two_streams.ul_first_left):
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias)
    after = two_streams(torch.zeros(1, 1, 4, 4).double(), None)[0, :, 0, 0]
    assert torch.equal(before, after)


def test_black_pixels_differ_from_what_is_outside_of_the_image() -> None:
    outputs = network(1)(torch.zeros(1, 1, 4, 4).double(), None)[0, :, 2]
    assert (outputs[:, 1] - outputs[:, 2]).abs().max() > 1e-6


def test_a_class_changes_the_outputs() -> None:
    two_streams = network(1, num_classes=2)
    first, second = two_streams(torch.zeros(2, 1, 4, 4).double(), torch.tensor([0, 1]))
    assert (first - second).abs().max() > 1e-3


def test_all_short_cuts_of_the_way_up_are_taken_on_the_way_down() -> None:
    """Every weight matters to some output."""
    two_streams = network(3, num_classes=2)
    images, labels = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1])
    two_streams(images, labels).square().sum().backward()
    for name, weight in two_streams.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name
