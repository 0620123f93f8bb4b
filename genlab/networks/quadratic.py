"""The E-step of Gaussian mixtures, for any number of items, as two matrix products.

The log density of a Gaussian is linear in the features of an item: its products x_i x_j, the x_i themselves, and 1.
So one product of the features with the coefficients of all components gives their log densities, and one with the
responsibilities all that an M-step needs. The features of a chunk of items stay in the processor's cache; items are
columns, so that products of a few rows and sums over a few components run along long rows of memory.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

Covariance = Literal["full", "tied", "diag", "spherical"]
BLOCK = 8
"""Products of so many columns with all later ones are computed at once."""
CHUNK_NUMBERS = 2**21
"""Features computed at a time, 8 or 16 MB; more only if 64 items have more."""
LARGEST_IN_FLOAT32 = 1000.0
"""The terms of a log density may add up to so much, taken absolutely, for float32 to give it to 1e-4 nats."""
FAR = -60.0
"""Log of the least responsibility, 1e-26: less changes nothing, and processors are slow with the smallest numbers."""
TILE = 64
"""The log densities of a multiple of so many items are computed at once."""
ROUNDED_ALIKE = 16
"""And those of a multiple of so many components, of which some may be empty. In arrays of other sizes the place of an
item decides how its sums are rounded, and the order of the data and the number of processes would show."""


class Moments(NamedTuple):
    """Sums over items, weighted with the responsibilities of each component; leading dimensions are any.

    Shapes:
        counts: ``(...)``, of 1.
        first: ``(..., D)``, of x.
        second: of x x^T ``(..., D, D)`` or its diagonal ``(..., D)``.
    """

    counts: Tensor
    first: Tensor
    second: Tensor


class Quadratic:
    """The features of items of ``dim`` columns.

    Args:
        has_products: of different columns too, as full covariances need them; else squares alone.
    """

    def __init__(self, dim: int, has_products: bool) -> None:
        self.dim = dim
        self.has_products = has_products
        # Each pair of columns is there once, but within a block of the diagonal twice.
        self.blocks = [(first, min(first + BLOCK, dim)) for first in range(0, dim, BLOCK)] if has_products else []
        self.num_seconds = sum((end - first) * (dim - first) for first, end in self.blocks) if has_products else dim
        self.size = self.num_seconds + dim + 1

    def __call__(self, items: Tensor, offset: Tensor) -> Tensor:
        """Of items less an offset, in the precision of the latter: ``(N, D)``, ``(D,)`` -> ``(size, N)``."""
        if not self.has_products:
            squares = offset.new_empty(len(items), self.size)
            centred = torch.sub(items, offset, out=squares[:, self.dim : -1])
            torch.mul(centred, centred, out=squares[:, : self.dim])
            squares[:, -1] = 1
            return squares.T
        features = offset.new_empty(self.size, len(items))
        seconds, centred = features[: self.num_seconds], features[self.num_seconds : -1]
        torch.sub(items.T.contiguous(), offset[:, None], out=centred)
        done = 0
        for first, end in self.blocks:
            rows, others = end - first, self.dim - first
            part = seconds[done : done + rows * others].unflatten(0, (rows, others))
            torch.mul(centred[first:end, None], centred[None, first:], out=part)
            done += rows * others
        features[-1] = 1
        return features

    def coefficients(self, second: Tensor, first: Tensor, constant: Tensor) -> Tensor:
        """Of ``x^T second x + first^T x + constant``.

        Shapes:
            second: ``(..., D, D)`` symmetric, or the diagonal ``(..., D)``.
            first: ``(..., D)``.
            constant: ``(...)``.
            returns: ``(..., size)``.
        """
        parts = [] if self.has_products else [second]
        for begin, end in self.blocks:
            later = 2 * second[..., begin:end, begin:]
            later[..., : end - begin] /= 2
            parts.append(later.flatten(-2))
        return torch.cat([*parts, first, constant[..., None]], dim=-1)

    def moments(self, sums: Tensor) -> Moments:
        """Sums of features ``(..., size)``, taken apart."""
        second = sums[..., : self.num_seconds]
        if self.has_products:
            matrices = sums.new_empty(*sums.shape[:-1], self.dim, self.dim)
            done = 0
            for first, end in self.blocks:
                rows, others = end - first, self.dim - first
                part = second[..., done : done + rows * others].unflatten(-1, (rows, others))
                matrices[..., first:end, first:] = part
                matrices[..., first:, first:end] = part.mT
                done += rows * others
            second = matrices
        return Moments(sums[..., -1], sums[..., self.num_seconds : -1], second)

    @property
    def chunk_size(self) -> int:
        """Items whose features are computed at a time, a power of two."""
        return max(TILE, min(16384, 2 ** int(math.log2(CHUNK_NUMBERS // self.size + 1))))

    def chunks(self, items: Tensor) -> tuple[Tensor, ...]:
        return items.split(self.chunk_size)


class Expectation(nn.Module):
    """What the E-step sums over a pass, for R groups of K components: restarts, or classes.

    All sums are float64, and of items from which ``offset`` was subtracted, so that nothing cancels because the data
    lie far from 0; it has the digits of a float32, so that both precisions subtract the same. Log densities are in the
    precision of the coefficients (see ``rounded``). The sums of two shares of the data add up to those of both.

    Shapes:
        offset: ``(D,)``.
        sums: ``(R, K, size)``, of the features times the responsibilities.
        log_normalizers: ``(R,)``, of log sum over k exp(log joint).
        num_items: ``(R,)``.
    """

    offset: Tensor
    sums: Tensor
    log_normalizers: Tensor
    num_items: Tensor

    def __init__(self, num_groups: int, num_components: int, dim: int, covariance: Covariance) -> None:
        super().__init__()
        self.features = Quadratic(dim, covariance in ("full", "tied"))
        self.register_buffer("offset", torch.zeros(dim, dtype=torch.float64))
        shapes = {
            "sums": (num_groups, num_components, self.features.size),
            "log_normalizers": (num_groups,),
            "num_items": (num_groups,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64), persistent=False)

    @property
    def moments(self) -> Moments:
        """Of each component, ``(R, K, ...)``, of the centred items."""
        return self.features.moments(self.sums)

    def place(self, offset: Tensor) -> None:
        """Subtracts from now on what ``offset`` is as float32."""
        self.offset.copy_(offset.float())

    def log_joint(self, items: Tensor, coefficients: Tensor) -> Tensor:
        """``(N, D)``, ``(R, K, size)`` -> ``(R, K, N)`` float64."""
        flat = coefficients.flatten(0, 1)
        parts = [flat @ self.features(part, self.offset) for part in self.features.chunks(items)]
        return torch.cat(parts, dim=1).unflatten(0, coefficients.shape[:2])

    def add(self, items: Tensor, coefficients: Tensor, groups: Tensor | None = None) -> None:
        """The E-step of some items, in log space.

        Sums are of float64 products, in which the order of the items does not show; or float32 ones, twice as fast,
        of chunks that are whole: those are the same however many processes share a batch.

        Args:
            items: ``(N, D)``; exponentials are in their precision.
            coefficients: ``(R, K, size)`` of the log of weight times density; log densities are in their precision.
            groups: ``(N,)``, the one group that each item belongs to; None: it counts in all.
        """
        own, size = coefficients.flatten(0, 1).shape
        filled = nn.functional.pad(coefficients.flatten(0, 1), (0, 0, 0, -own % ROUNDED_ALIKE))
        precision = coefficients.dtype if len(items) % self.features.chunk_size == 0 else torch.float64
        offset = self.offset.to(coefficients.dtype)
        parts = self.features.chunks(items)
        members = self.features.chunks(groups) if groups is not None else [None] * len(parts)
        self.num_items += len(items) if groups is None else groups.bincount(minlength=len(self.num_items))
        with torch.autocast(items.device.type, enabled=False):  # bf16 is too coarse for sums
            for part, group in zip(parts, members, strict=True):
                count = len(part)
                padded = nn.functional.pad(part, (0, 0, 0, -count % TILE)) if count % TILE else part
                features = self.features(padded, offset)
                log_joint = (filled @ features)[:own].unflatten(0, coefficients.shape[:2])
                responsibilities = self.share_out(log_joint, items.dtype, count, group).flatten(0, 1).to(precision)
                if features.dtype != precision:
                    features = self.features(padded, self.offset)
                features = features[:, :count]
                # MKL is up to twice as fast in float32 with this order, in float64 with the other.
                is_single = precision == torch.float32
                sums = (features @ responsibilities.T).T if is_single else responsibilities @ features.T
                self.sums.view(-1, size).add_(sums)

    def share_out(self, log_joint: Tensor, precision: torch.dtype, count: int, groups: Tensor | None) -> Tensor:
        """Responsibilities ``(R, K, count)`` by log densities ``(R, K, N)``, which it overwrites.

        What makes them sum to one is added to ``log_normalizers``.
        """
        most = log_joint.amax(1, keepdim=True)
        responsibilities = log_joint.sub_(most).clamp_(min=FAR).to(precision).exp_()
        total = responsibilities.sum(1, keepdim=True)
        responsibilities = responsibilities.div_(total)[..., :count]
        log_normalizers = (most + total.log())[:, 0, :count]
        if groups is not None:
            is_member = groups == torch.arange(len(log_joint), device=groups.device)[:, None]
            responsibilities *= is_member[:, None]
            log_normalizers = torch.where(is_member, log_normalizers, 0)
        self.log_normalizers += log_normalizers.sum(1, dtype=torch.float64)
        return responsibilities

    def rounded(self, coefficients: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
        """The coefficients in float32 if that is exact enough, which is faster; else as they are.

        A log density is a small difference of large numbers where a mean is many of its standard deviations away from
        the centre of all data, and where columns nearly follow from others.

        Shapes:
            means: ``(R, K, D)``.
            covariances: ``(R, K, D, D)``, or variances ``(R, K, D)``; a dimension of 1 is one for all.
        """
        variances = covariances.diagonal(dim1=-2, dim2=-1) if self.features.has_products else covariances
        typical = (variances + (means - self.offset).square()).sqrt()
        terms = self.features(typical.flatten(0, 1), torch.zeros_like(self.offset)).T.reshape_as(coefficients)
        terms *= coefficients.abs()
        return coefficients.float() if terms.sum(-1).max() < LARGEST_IN_FLOAT32 else coefficients

    def clear(self) -> None:
        for total in (self.sums, self.log_normalizers, self.num_items):
            total.zero_()

    def reduce(self, add_up: Callable[[Tensor], Tensor]) -> None:
        """Replaces the sums of this process by those of all."""
        for total in (self.sums, self.log_normalizers, self.num_items):
            total.copy_(add_up(total))

    def state(self, all_gather: Callable[[Tensor], Any]) -> list[Tensor]:
        """The sums of each process, ``(processes, ...)``."""
        totals = (self.sums, self.log_normalizers, self.num_items)
        return [all_gather(total).reshape(-1, *total.shape).cpu() for total in totals]

    def load_state(self, state: list[Tensor], rank: int, processes: int) -> None:
        """Each process goes on with its own share or, if their number has changed, the first with the sum of all."""
        for total, share in zip((self.sums, self.log_normalizers, self.num_items), state, strict=True):
            total.copy_(share[rank] if len(share) == processes else share.sum(0) * (rank == 0))


def log_gaussian(features: Quadratic, means: Tensor, covariances: Tensor, constant: Tensor) -> Tensor:
    """Coefficients of log N(x | mean, covariance) + constant.

    Shapes:
        means: ``(..., D)``, of centred items.
        covariances: ``(..., D, D)``, or variances ``(..., D)``; a dimension of 1 is one for all.
        constant: ``(...)`` nats.
        returns: ``(..., size)``.

    Raises:
        torch.linalg.LinAlgError: a covariance is not positive definite.
    """
    dim = means.shape[-1]
    if features.has_products:
        scale = torch.linalg.cholesky(covariances)
        precisions = torch.cholesky_inverse(scale).expand(*means.shape, dim)
        half_log_det = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        linear = (precisions @ means[..., None])[..., 0]
    else:
        precisions = covariances.reciprocal().expand_as(means)
        half_log_det = covariances.expand_as(means).log().sum(-1) / 2
        linear = precisions * means
    log_2pi = torch.log(torch.tensor(2 * torch.pi, dtype=means.dtype))
    constant = constant - half_log_det - dim / 2 * log_2pi - (means * linear).sum(-1) / 2
    return features.coefficients(-precisions / 2, linear, constant)


def within(moments: Moments, covariance: Covariance) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means and covariances of each component, not yet regularized.

    Returns:
        counts ``(R, K)``, means ``(R, K, D)`` and covariances: ``(R, K, D, D)`` if full, ``(R, 1, D, D)`` if tied,
        ``(R, K, D)`` if diag, ``(R, K, 1)`` if spherical.
    """
    counts = moments.counts + 10 * torch.finfo(torch.float64).eps  # a component may have no items
    means = moments.first / counts[..., None]
    if covariance == "full":
        covariances = moments.second / counts[..., None, None] - means[..., None] * means[..., None, :]
    elif covariance == "tied":
        between = (counts[..., None] * means).mT @ means
        covariances = ((moments.second.sum(1) - between) / counts.sum(1)[:, None, None])[:, None]
    else:
        covariances = (moments.second / counts[..., None] - means.square()).clamp(min=0)
    if covariance == "spherical":
        covariances = covariances.mean(2, keepdim=True)
    return counts, means, covariances
