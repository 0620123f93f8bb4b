"""Language model of characters: a recurrent network, one character after another.

Graves, "Generating Sequences With Recurrent Neural Networks", 2013, arXiv:1308.0850, sections 2 and 3; the recurrent
unit: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP
2014, arXiv:1406.1078, section 2.3.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import cast

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from genlab.datasets.base import Dataset, dataset_of
from genlab.datasets.batches import Text
from genlab.datasets.text import TextSequences
from genlab.errors import UsageError
from genlab.models.base import GenerativeModel, OptimizerFactory
from genlab.networks.vocabulary import Vocabulary
from genlab.randomness import own_generators

STRETCH = 1000
"""Characters of a long text that are computed at a time."""


class CharacterRNN(nn.Module):
    """Embedding, layers of gated recurrent units, and a linear layer to the logits of the next character.

    Shapes:
        tokens: ``(N, T)`` int64.
        state: ``(num_layers, N, hidden_dim)``, where the characters before these have left it; None is 0.
        returns: logits ``(N, T, vocabulary_size)`` of the characters after each, and the state after the last.
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim)
        self.units = nn.GRU(embedding_dim, hidden_dim, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_dim, vocabulary_size)

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, state = self.units(self.embedding(tokens), state)
        return self.output(hidden), state


class CharLanguageModel(GenerativeModel):
    """p(text) as the product of p(character | all before it); the network's state is what it knows of those before.

    Token 0, which also stands for unknown characters, goes before the first, so that a text that begins and a sequence
    cut out of a text are the same to the model: it learns to begin anywhere. Samples never hold token 0.

    Args:
        vocabulary_size: characters, the unknown one among them (paper: 205 bytes of Wikipedia, section 3.2).
        embedding_dim: numbers that stand for a character; in the paper it enters as it is, one of K.
        hidden_dim: units of a layer (paper: 1000, section 3.1; 700, section 3.2).
        num_layers: each reads the one before (paper: 1, section 3.1; 7, section 3.2).
        sample_length: characters that ``sample`` adds.
        optimizer: called once (paper: gradient descent, lr 1e-4, momentum 0.99, section 3.1; 0.9, section 3.2).

    Differs from the paper:
        - Gated recurrent units (Cho et al.) instead of LSTM cells: three matrices instead of four. As in all fast
          implementations the reset gate multiplies U h, not h (Cho et al., equation 8).
        - Each training sequence begins with an empty state; in the paper the state runs on from one to the next, and is
          emptied now and then. The likelihood of a whole text is computed with the state carried through all of it.
        - No connections that skip layers, no weight noise, no clipped derivatives: this size does not need them.
    """

    batch_type = Text
    best_by = ("val/log_likelihood", "max")
    temperature: float = 1.0
    """What the logits are divided by before a draw: below 1, what is likely is drawn more."""

    def __init__(
        self,
        vocabulary_size: PositiveInt,
        embedding_dim: PositiveInt,
        hidden_dim: PositiveInt,
        num_layers: PositiveInt,
        sample_length: PositiveInt,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.sample_length = sample_length
        self.optimizer = optimizer
        self.vocabulary = Vocabulary()
        self.network = CharacterRNN(vocabulary_size, embedding_dim, hidden_dim, num_layers)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.network.parameters())

    def check_data(self, dataset: Dataset) -> None:
        text = cast(TextSequences, dataset)
        if text.unit != "characters":
            raise UsageError(
                f"dataset={text.name}: CharLanguageModel reads characters, not {text.unit}\n"
                "data sets of characters: tiny_shakespeare, or text_file with dataset.path=FILE"
            )
        if (found := len(text.vocabulary.tokens)) > (room := self.network.embedding.num_embeddings):
            raise UsageError(
                f"model.vocabulary_size={room}: the text has {found} different characters\n"
                f"leave the word out, or cut the text's own: dataset.vocabulary_size={room}"
            )

    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            self.vocabulary.learn(cast(TextSequences, dataset_of(self.trainer)).vocabulary.tokens)

    def training_step(self, batch: Text, batch_idx: int) -> None:
        loss = -self.log_likelihood(batch.tokens).mean() / batch.tokens.shape[1]
        self.descend(self.optimizers(), loss, "negative_log_likelihood")
        self.report(negative_log_likelihood=loss)

    def validation_step(self, batch: Text, batch_idx: int) -> None:
        value = self.log_likelihood(batch.tokens).mean() / batch.tokens.shape[1]
        self.log("val/log_likelihood", value, batch_size=len(batch.tokens), sync_dist=True)

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """log p of sequences, each a text of its own, ``(N, T)`` -> ``(N,)`` nats."""
        return self.log_conditionals(tokens).sum(1)

    def log_conditionals(self, tokens: Tensor) -> Tensor:
        """log p(token | all before it in its row), ``(N, T)`` -> ``(N, T)`` nats; memory does not grow with T much."""
        given, state = after_nothing(tokens)[:, :-1], None
        parts = []
        for before, predicted in zip(given.split(STRETCH, 1), tokens.split(STRETCH, 1), strict=True):
            logits, state = self.network(before, state)
            parts.append(-functional.cross_entropy(logits.flatten(0, 1), predicted.flatten(), reduction="none"))
        return torch.cat([part.view(len(tokens), -1) for part in parts], 1)

    def token_log_likelihoods(self, tokens: Tensor) -> Tensor:
        """log p(token | all before it) of one text, however long, ``(L,)`` -> ``(L,)`` nats."""
        return self.log_conditionals(tokens[None])[0]

    def condition(self, text: str) -> Tensor:
        """What ``sample`` goes on from: the characters of a text, ``(L,)`` int64.

        Raises:
            UsageError: the training text has not all of them.
        """
        numbers = self.vocabulary.numbers(text)
        unknown = sorted({character for character, number in zip(text, numbers, strict=True) if number == 0})
        if unknown:
            raise UsageError(
                f"text has characters that the training text has not: {' '.join(map(repr, unknown))}\n"
                f"known ones: {''.join(self.vocabulary.tokens[1:]).strip()}"
            )
        return numbers

    def text_of(self, tokens: Tensor) -> str:
        """The characters of ``(L,)`` tokens."""
        return "".join(self.vocabulary.tokens[number] for number in tokens.tolist())

    def sample(
        self, num_samples: int, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Tokens ``(num_samples, L + sample_length)`` int64: each text goes on from its condition.

        Args:
            condition: how each begins, ``(num_samples, L)``; None: with nothing.
        """
        begun = torch.zeros(num_samples, 0, dtype=torch.int64) if condition is None else condition.cpu()
        drawn = list(self.characters(begun, generator))
        return torch.cat([begun, torch.stack(drawn, 1)], 1).to(self.device)

    def characters(self, begun: Tensor, generator: torch.Generator | None) -> Iterator[Tensor]:
        """``sample_length`` characters after ``(N, L)``, each ``(N,)``; the network sees each character once.

        Computed in float64 on the CPU: in float32, rounding would decide a character now and then, and with it the rest
        of the text, so that texts would depend on the device and on how many are drawn at a time.
        """
        if len(self.vocabulary) < 2:
            raise UsageError("this model was never trained, and knows no characters: choose another checkpoint")
        network = deepcopy(self.network).cpu().double()
        length = self.sample_length
        uniforms = torch.stack(
            [torch.rand(length, generator=own, dtype=torch.float64) for own in own_generators(len(begun), generator)]
        )
        logits, state = network(after_nothing(begun))
        for uniform in uniforms.T:
            known = logits[:, -1, 1 : len(self.vocabulary)] / self.temperature
            distribution = known.softmax(1).cumsum(1)
            # The sum may fall short of 1 by rounding.
            tokens = 1 + (uniform[:, None] >= distribution).sum(1).clamp(max=known.shape[1] - 1)
            yield tokens
            logits, state = network(tokens[:, None], state)


def after_nothing(tokens: Tensor) -> Tensor:
    """Token 0 before each row, ``(N, T)`` -> ``(N, T + 1)``."""
    return functional.pad(tokens, (1, 0))
