"""What is the same in every model whose latents are noise and, beside it, binary attributes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlab.config.suggest import nearest
from genlab.datasets.base import Dataset
from genlab.errors import UsageError
from genlab.models.from_latents import FromLatents
from genlab.randomness import row_by_row

NUM_ROWS = 4096
ABSENT = "no_"


class FromAttributes(FromLatents):
    """Draws attributes as training images have them, and takes some of them from its user.

    A model of it registers ``attribute_rows``, which ``no_rows`` makes, as a buffer: what the training images have goes
    wherever the weights go.
    """

    noise_dim: int
    attribute_names: list[str]
    attribute_rows: Tensor
    """``(NUM_ROWS, A)`` uint8, 0 or 1, the attributes of training images; all 0 before there were data."""

    def no_rows(self) -> Tensor:
        return torch.zeros(NUM_ROWS, len(self.attribute_names), dtype=torch.uint8)

    def check_data(self, dataset: Dataset) -> None:
        there: Any = dataset
        if there.attribute_names != self.attribute_names:
            raise UsageError(
                f"model.attribute_names=[{','.join(self.attribute_names)}] are not the attributes of '{dataset.name}'\n"
                f"set model.attribute_names=[{','.join(there.attribute_names)}]"
            )
        source: Any = dataset.sources["train"]
        evenly = torch.arange(NUM_ROWS) * len(source) // NUM_ROWS
        self.attribute_rows.copy_(source.attributes[evenly])

    def draw_latent(self, num_samples: int, generator: torch.Generator | None = None) -> Tensor:
        """``(num_samples, noise_dim + A)``: noise from the prior, and -1 or 1 for each attribute."""
        rows = self.attribute_rows.cpu().float()
        return row_by_row(num_samples, self._draw_row, rows, generator=generator).to(self.device, self.dtype)

    def _draw_row(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        attributes = rows[torch.randint(len(rows), (), generator=generator)]
        return torch.cat([self.prior(self.noise_dim, generator=generator), coded(attributes)])

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Images ``(num_samples, C, H, W)``.

        Args:
            condition: ``(num_samples, A)``: 1 wanted, 0 not wanted, NaN either; None: attributes as drawn.
        """
        latent = self.draw_latent(num_samples, generator)
        if condition is not None:
            drawn = latent[:, self.noise_dim :]
            latent[:, self.noise_dim :] = coded(self.completed(condition.to(drawn.device), (drawn + 1) / 2))
        return self.decode(latent)

    def condition(self, words: Sequence[str]) -> Tensor:
        """``(A,)``: 1 for ``glasses``, 0 for ``no_glasses``, NaN for what is not named.

        Raises:
            UsageError: a word is no attribute, or one is both wanted and not.
        """
        found = torch.full((len(self.attribute_names),), torch.nan)
        for word in words:
            name = word if word in self.attribute_names else word.removeprefix(ABSENT)
            if name not in self.attribute_names:
                known = [*self.attribute_names, *(f"{ABSENT}{name}" for name in self.attribute_names)]
                raise UsageError(
                    f"attributes=[{','.join(words)}]: no attribute '{word}'{nearest(word, known)}\n"
                    f"attributes: {', '.join(self.attribute_names)}; {ABSENT} before one asks for its absence"
                )
            place, value = self.attribute_names.index(name), float(name == word)
            if found[place] == 1 - value:
                raise UsageError(f"attributes=[{','.join(words)}]: '{name}' is asked for and refused; give one")
            found[place] = value
        return found

    def completed(self, condition: Tensor, attributes: Tensor) -> Tensor:
        """Attributes that fulfil a condition and are else as given, as far as training images are like that.

        What is free becomes that of a training image which fulfils the condition, or most of it if none does, and of
        these the one with the fewest changes: glasses go as sunglasses come.

        Shapes: ``(N, A)`` of 1, 0 and NaN, ``(N, A)`` of 0 and 1 -> ``(N, A)`` of 0 and 1.
        """
        rows, is_free = self.attribute_rows.to(attributes), condition.isnan()
        asked = condition.to(attributes).nan_to_num()
        misses, changes = differences(asked, ~is_free, rows), differences(attributes, is_free, rows)
        nearest_row = (misses * (1 + rows.shape[1]) + changes).argmin(1)
        return torch.where(is_free, rows[nearest_row], asked)


def differences(attributes: Tensor, where: Tensor, rows: Tensor) -> Tensor:
    """In how many of the places ``where`` attributes differ from each row.

    Shapes: ``(N, A)`` of 0 and 1, ``(N, A)`` bool, ``(R, A)`` of 0 and 1 -> ``(N, R)``.
    """
    return (attributes * where) @ (1 - rows).T + ((1 - attributes) * where) @ rows.T


def coded(attributes: Tensor) -> Tensor:
    """0 and 1 -> -1 and 1, in which code networks are given attributes."""
    return 2.0 * attributes - 1
