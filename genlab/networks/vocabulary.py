"""Characters or words and their numbers, kept in the checkpoint of the model that knows them."""

import json
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

UNKNOWN = "\ufffd"
"""Number 0: whatever the vocabulary has not."""


class Vocabulary(nn.Module):
    """The tokens that a model knows, each by its place; it has no weights, but is part of a ``state_dict``.

    Args:
        tokens: the first is ``UNKNOWN``; all differ.
    """

    def __init__(self, tokens: Sequence[str] = (UNKNOWN,)) -> None:
        super().__init__()
        self.learn(tokens)

    def learn(self, tokens: Sequence[str]) -> None:
        """Replaces all tokens."""
        self.tokens = list(tokens)
        self.number_of = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def numbers(self, tokens: Iterable[str]) -> Tensor:
        """``(L,)`` int64, 0 for each that is unknown."""
        return torch.tensor([self.number_of.get(token, 0) for token in tokens], dtype=torch.int64)

    def get_extra_state(self) -> Tensor:
        """The tokens as UTF-8 bytes, ``(B,)`` uint8: a checkpoint holds tensors."""
        return torch.tensor(list(json.dumps(self.tokens, ensure_ascii=False).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self.learn(json.loads(bytes(state.tolist())))
