"""The equation of GP-GAN: what minimizes it, what it keeps, what it does to a border."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from genlab.networks.gaussian_poisson import (
    adjoint,
    blend_upwards,
    dct,
    differences,
    guidance,
    inverse_dct,
    num_doublings,
    pairs_within,
    solve,
)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def blurred(images: Tensor) -> Tensor:
    """By the 3x3 Gaussian of sigma 1/2, images mirrored with their last pixel twice; written out."""
    weights = torch.exp(-torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64) * 2)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    channels = images.shape[1]
    # Mirroring one pixel is repeating it.
    return conv2d(
        pad(images, (1, 1, 1, 1), mode="replicate"), kernel.expand(channels, 1, 3, 3).contiguous(), groups=channels
    )


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_the_cosine_transform_is_its_sum_and_is_undone(size: int) -> None:
    values = uniform(3, size)
    place, frequency = np.arange(size), np.arange(size)[:, None]
    matrix = 2 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * size))
    np.testing.assert_allclose(dct(values).numpy(), values.numpy() @ matrix.T, atol=1e-13)
    torch.testing.assert_close(inverse_dct(dct(values)), values, rtol=0, atol=1e-14)


def test_the_adjoint_of_differences_is_their_transpose() -> None:
    images = uniform(2, 3, 5, 6)
    below, right = uniform(2, 3, 4, 6, seed=1), uniform(2, 3, 5, 5, seed=2)
    down, aside = differences(images)
    expected = (down * below).sum() + (aside * right).sum()
    torch.testing.assert_close((images * adjoint(below, right)).sum(), expected)


@pytest.mark.parametrize("size", [(12, 12), (9, 14), (1, 5), (257, 64)])
@pytest.mark.parametrize("beta", [1.0, 0.01])
def test_an_image_of_its_own_colours_and_differences_is_itself(size: tuple[int, int], beta: float) -> None:
    images = uniform(2, 3, *size)
    torch.testing.assert_close(solve(images, *differences(images), beta), images, rtol=0, atol=1e-12)


def test_the_gradient_of_the_objective_vanishes_at_the_solution() -> None:
    colours, below, right, beta = uniform(1, 2, 9, 8), uniform(1, 2, 8, 8, seed=1), uniform(1, 2, 9, 7, seed=2), 0.7
    solution = solve(colours, below, right, beta).requires_grad_()

    def objective(images: Tensor) -> Tensor:
        down, aside = differences(images)
        fidelity = (blurred(images) - blurred(colours)).square().sum()
        return (down - below).square().sum() + (aside - right).square().sum() + beta * fidelity

    (gradient,) = torch.autograd.grad(objective(solution), solution)
    assert gradient.abs().max() < 1e-12
    assert objective(solution + 0.01 * uniform(1, 2, 9, 8, seed=3)) > objective(solution)


def test_the_mean_is_that_of_the_colours() -> None:
    colours = uniform(1, 3, 10, 11)
    solution = solve(colours, uniform(1, 3, 9, 11, seed=1), uniform(1, 3, 10, 10, seed=2), 1.0)
    torch.testing.assert_close(solution.mean((2, 3)), colours.mean((2, 3)))


def test_pairs_within_a_mask_have_both_pixels_chosen() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    below, right = pairs_within(mask)
    assert below.tolist() == [[True, False, False]]
    assert right.tolist() == [[True, False], [False, False]]


def test_differences_are_the_sources_inside_alone() -> None:
    source, destination = uniform(1, 1, 4, 4), uniform(1, 1, 4, 4, seed=1)
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., 1:3, 1:3] = True
    below, right = guidance(source, destination, mask)
    of_source = [tuple(place) for place in (below == differences(source)[0])[0, 0].nonzero().tolist()]
    assert of_source == [(1, 1), (1, 2)]
    assert [tuple(place) for place in (right == differences(source)[1])[0, 0].nonzero().tolist()] == [(1, 1), (2, 1)]
    source[~mask] = 1e6  # what a cut-out has beyond its edge
    again = guidance(source, destination, mask)
    assert torch.equal(below, again[0])
    assert torch.equal(right, again[1])


@pytest.mark.parametrize(("size", "doublings"), [((64, 64), 0), ((65, 40), 1), ((256, 100), 2), ((3000, 4000), 6)])
def test_the_pyramid_has_as_many_sizes_as_doublings_reach(size: tuple[int, int], doublings: int) -> None:
    assert num_doublings(size, 64) == doublings


@pytest.mark.parametrize("size", [(64, 64), (130, 47), (31, 200)])
def test_a_pasted_square_of_another_brightness_takes_that_of_its_surroundings(size: tuple[int, int]) -> None:
    rows, columns = torch.meshgrid(*(torch.linspace(0, 6, side, dtype=torch.float64) for side in size), indexing="ij")
    destination = (rows.sin() * columns.cos() * 0.3).expand(1, 3, *size)
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    mask[..., size[0] // 4 : -(size[0] // 4), size[1] // 4 : -(size[1] // 4)] = True
    source = destination + 0.5
    colours = torch.nn.functional.interpolate(destination, (16, 16), mode="bicubic", antialias=True)
    blended = blend_upwards(colours, source, destination, mask, 1.0)
    assert blended.shape == destination.shape
    assert (blended - destination).square().mean().sqrt() < 0.05
    assert (torch.where(mask, source, destination) - destination).abs().max() > 0.49


def test_nothing_of_another_image_of_the_batch() -> None:
    source, destination, colours = (uniform(3, 3, *size) for size in ((40, 50), (40, 50), (16, 16)))
    mask = uniform(3, 1, 40, 50) > 0
    whole = blend_upwards(colours, source, destination, mask, 1.0)
    alone = blend_upwards(colours[1:2], source[1:2], destination[1:2], mask[1:2], 1.0)
    torch.testing.assert_close(whole[1:2], alone, rtol=0, atol=1e-14)
    assert whole.abs().max() <= 1
