"""Expectation maximization over data that come in batches, on one process or several."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from genlab.networks.gaussian_mixture import GaussianMixture

MixtureT = TypeVar("MixtureT", bound=GaussianMixture)


class EM(nn.Module, Generic[MixtureT]):
    """Passes over the data; each gathers the E-step of a mixture's groups, and says how good their parameters are.

    With maximum likelihood the M-step is taken when the next pass begins: what is logged, drawn and saved after a pass
    belongs together. A group that has converged stays as it is.

    Args:
        mixture: with the parameters to begin with.
        tol: a group has converged when a pass changes its lower bound by less.

    Shapes:
        lower_bounds: ``(R,)``, of the last pass.
        changes: ``(R,)``, of the bound by the last pass, absolute.
    """

    lower_bounds: Tensor
    changes: Tensor
    pass_is_complete: Tensor

    def __init__(self, mixture: MixtureT, tol: float) -> None:
        super().__init__()
        self.mixture: MixtureT = mixture
        self.tol = tol
        num_groups = len(mixture.weights)
        # Finite, as all that a checkpoint holds must be.
        most = torch.full((num_groups,), torch.finfo(torch.float64).max, dtype=torch.float64)
        self.register_buffer("lower_bounds", -most)
        self.register_buffer("changes", most)
        self.register_buffer("pass_is_complete", torch.tensor(False))
        self.coefficients: Tensor | None = None

    @property
    def is_open(self) -> Tensor:
        """Which groups have not converged, ``(R,)``."""
        return self.changes >= self.tol

    def add(self, items: Tensor, groups: Tensor | None = None) -> None:
        """The E-step of a batch ``(N, D)``; ``groups`` as in ``Expectation.add``."""
        expectation = self.mixture.expectation
        if self.pass_is_complete:
            self.mixture.maximize(self.is_open)
            expectation.clear()
            self.pass_is_complete.fill_(False)
            self.coefficients = None
        if self.coefficients is None:
            self.coefficients = self.mixture.coefficients()
            if items.dtype == torch.float32:
                self.coefficients = expectation.rounded(self.coefficients, self.mixture.means, self.mixture.covariances)
        expectation.add(items, self.coefficients, groups)

    def end_pass(self, add_up: Callable[[Tensor], Tensor]) -> Tensor:
        """Adds up over the processes; returns by how much the bound of each group fell, ``(R,)``."""
        self.mixture.expectation.reduce(add_up)
        self.pass_is_complete.fill_(True)
        before, is_open = self.lower_bounds.clone(), self.is_open
        self.lower_bounds[is_open] = self.mixture.conclude(is_open)[is_open]
        self.changes[is_open] = (self.lower_bounds - before).abs()[is_open]
        return before - self.lower_bounds

    def state(self, all_gather: Callable[[Tensor], Any]) -> list[Tensor]:
        """What a checkpoint needs beside the buffers."""
        return self.mixture.expectation.state(all_gather)

    def load_state(self, state: list[Tensor], pass_is_complete: bool, rank: int, processes: int) -> None:
        """After a complete pass each process has had the sum of all, so that of the first serves each."""
        if pass_is_complete:
            state = [share[:1].expand(processes, *share.shape[1:]) for share in state]
        self.mixture.expectation.load_state(state, rank, processes)
