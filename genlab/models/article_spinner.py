"""Article spinner: other words in the middle of their two neighbours, as often as a text has them there.

Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal 27, 1948,
doi:10.1002/j.1538-7305.1948.tb01338.x, section 3; counts of different order mixed: Jelinek & Mercer, "Interpolated
Estimation of Markov Source Parameters from Sparse Data", 1980, as Chen & Goodman, ACL 1996, arXiv:cmp-lg/9606011,
section 2.3 have it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, cast

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from genlab.datasets.base import Dataset, dataset_of
from genlab.datasets.batches import Text
from genlab.datasets.text import WORD, Sequences, TextSequences
from genlab.errors import UsageError
from genlab.models.base import GenerativeModel
from genlab.networks.trigrams import ESTIMATORS, MAX_WORDS, Trigrams
from genlab.networks.vocabulary import Vocabulary

NUM_BUCKETS = 8
"""Of pairs of neighbours, by how often they were seen: never, 1 or 2 times, 3 to 6, 7 to 14 …"""

INSIDE = re.compile(r"(?<=[\w,;] )\w+(?:['’]\w+)*")
"""A word after another in its line, where only names and the like have capitals."""


class ArticleSpinner(GenerativeModel):
    """p(word | the word before, the word after), by counts of trigrams, and the rewriting of a text with it.

    Rewriting draws from the counts alone: a word becomes another that was seen between its two neighbours. Likelihoods
    need a probability for every word, so for these the counts are mixed with those of pairs and single words:
    p = sum of weight k times estimate k, of ``ESTIMATORS``, each of which sums to 1 over the vocabulary. The weights
    depend on how often the two neighbours were seen.

    The first epoch counts. Each further one is a step of EM for the weights, in which every trigram is predicted from
    the counts of all but itself (leaving one out). Every process counts the words of all.

    Args:
        replace_probability: of each word, if another was seen between its neighbours.
        tol: the weights have converged when a pass changes the mean log-likelihood by less, in nats a word.

    Differs from the paper:
        - A word is predicted from both neighbours, not from the two words before it.
        - One left out instead of a part of the text held out: all of it is counted.
        - Each weight gets one pseudo-count, so that none is 0 and every text has a finite likelihood.
    """

    batch_type = Text
    weights: Tensor
    responsibilities: Tensor
    measured: Tensor
    previous: Tensor

    def __init__(self, replace_probability: Annotated[float, Field(ge=0, le=1)], tol: NonNegativeFloat) -> None:
        super().__init__()
        self.replace_probability = replace_probability
        self.tol = tol
        self.vocabulary = Vocabulary()
        self.spellings = Vocabulary()
        self.trigrams = Trigrams()
        shape = (NUM_BUCKETS, len(ESTIMATORS))
        self.register_buffer("weights", torch.full(shape, 1 / len(ESTIMATORS), dtype=torch.float64))
        self.register_buffer("responsibilities", torch.zeros(shape, dtype=torch.float64))  # summed over this pass
        self.register_buffer("measured", torch.zeros(2, dtype=torch.float64))  # log-likelihood and words of this pass
        self.register_buffer("previous", torch.tensor(torch.finfo(torch.float64).min, dtype=torch.float64))

    def configure_optimizers(self) -> None:
        """Counting has no gradients."""

    def check_data(self, dataset: Dataset) -> None:
        text = cast(TextSequences, dataset)
        if text.unit != "words":
            raise UsageError(
                f"dataset={text.name}: ArticleSpinner reads words, not {text.unit}\n"
                "data sets of words: tiny_shakespeare_words, or text_file_words with dataset.path=FILE"
            )
        if len(text.vocabulary) > MAX_WORDS:
            raise UsageError(f"dataset.vocabulary_size={text.vocabulary_size}: at most {MAX_WORDS}")

    def on_train_start(self) -> None:
        if self.trainer.global_step == 0:
            text = cast(TextSequences, dataset_of(self.trainer))
            self.begin(text.vocabulary.tokens, cast(Sequences, text.sources["train"]).text)

    def begin(self, tokens: Sequence[str], text: str) -> None:
        """Learns the words and, from the text, how each is spelled within a line."""
        self.vocabulary.learn(tokens)
        counts = Counter(INSIDE.findall(text))
        # Of the spellings of a word the most frequent comes last.
        found = {word.lower(): word for word in sorted(counts, key=lambda word: (counts[word], word))}
        self.spellings.learn([found.get(token, token) for token in tokens])

    def training_step(self, batch: Text, batch_idx: int) -> None:
        tokens = rows_of_all_processes(batch.tokens.cpu())
        if self.trainer.current_epoch == 0:
            self.trigrams.add(tokens)
            if self.trainer.is_last_batch:
                self.log_now(distinct_trigrams=torch.tensor(float(len(self.trigrams.table.keys))))
            return
        log_joint, buckets = self.log_joint(*neighbours(tokens), left_out=1)
        values = log_joint.logsumexp(1)
        of_buckets = torch.zeros(self.weights.shape, dtype=torch.float64)
        of_buckets.index_add_(0, buckets, (log_joint - values[:, None]).exp())
        self.responsibilities += of_buckets.to(self.device)
        self.measured += torch.stack([values.sum(), torch.tensor(len(values))]).to(self.device)
        if self.trainer.is_last_batch:
            self.end_pass()

    def end_pass(self) -> None:
        """The M-step; and whether the weights before it were as good as those of the pass before."""
        mean = self.measured[0] / self.measured[1]
        is_still = bool((mean - self.previous).abs() < self.tol)
        self.trainer.should_stop = self.trainer.should_stop or is_still
        self.log_now(log_likelihood=mean)
        self.previous.copy_(mean)
        counted = self.responsibilities + 1
        self.weights.copy_(counted / counted.sum(1, keepdim=True))
        self.responsibilities.zero_()
        self.measured.zero_()

    def validation_step(self, batch: Text, batch_idx: int) -> None:
        values = self.log_conditionals(*neighbours(batch.tokens.cpu()))
        self.log("val/log_likelihood", values.mean().to(self.device), batch_size=len(values), sync_dist=True)

    def log_joint(self, before: Tensor, middle: Tensor, after: Tensor, left_out: int = 0) -> tuple[Tensor, Tensor]:
        """log of weight times estimate, ``(L,)`` -> ``(L, 5)`` nats, and which weights these were, ``(L,)``."""
        estimates = self.trigrams.estimates(before, middle, after, len(self.vocabulary), left_out)
        seen = self.trigrams.pairs_seen(before, after, left_out)
        buckets = (seen + 1).double().log2().long().clamp_(max=NUM_BUCKETS - 1)
        return (self.weights.cpu()[buckets] * estimates).log(), buckets

    def log_conditionals(self, before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
        """log p(middle | before, after), ``(L,)`` -> ``(L,)`` nats, float64 on the CPU."""
        return self.log_joint(before, middle, after)[0].logsumexp(1)

    def token_log_likelihoods(self, tokens: Tensor) -> Tensor:
        """log p of each word of one text given its two neighbours, ``(L,)`` -> ``(L - 2,)`` nats."""
        return self.log_conditionals(*neighbours(tokens[None].cpu()))

    def rewrite(self, text: str, generator: torch.Generator | None = None) -> str:
        """The text with other words, one after another from the left; marks and white space stay as they are.

        Each word but the first and last is replaced with ``replace_probability``, if another was seen between its
        neighbours, of which the one before may be replaced already. Beside unknown words all stay.
        """
        found = list(WORD.finditer(text))
        numbers = self.vocabulary.numbers(match[0].lower() for match in found).tolist()
        spelled = [match[0] for match in found]
        for place in range(1, len(found) - 1):
            is_due = torch.rand((), generator=generator).item() < self.replace_probability
            if is_due and is_word(spelled[place]):
                other = self.draw_other(numbers[place - 1], numbers[place], numbers[place + 1], generator)
                if other is not None:
                    spelled[place] = self.spelled_as(spelled[place], numbers[place], other)
                    numbers[place] = other
        end, parts = 0, []
        for match, word in zip(found, spelled, strict=True):
            parts += [text[end : match.start()], word]
            end = match.end()
        return "".join([*parts, text[end:]])

    def draw_other(self, before: int, middle: int, after: int, generator: torch.Generator | None) -> int | None:
        """A word between two others but this one, as often as it was seen there; None if there is none."""
        if before == 0 or after == 0:
            return None
        words, counts = self.trigrams.middles(before, after)
        fits = [word != middle and is_word(self.vocabulary.tokens[word]) for word in words.tolist()]
        if not any(fits):
            return None
        chances = counts * torch.tensor(fits)
        return int(words[torch.multinomial(chances.double(), 1, generator=generator)])

    def spelled_as(self, spelled: str, number: int, other: int) -> str:
        """The other word with the capitals that the first one has by its place in the text."""
        word = self.spellings.tokens[other]
        if len(spelled) > 1 and spelled.isupper():
            return word.upper()
        has_capital_by_place = spelled[0].isupper() and self.spellings.tokens[number][0].islower()
        return word[0].upper() + word[1:] if has_capital_by_place else word


def is_word(token: str) -> bool:
    """Whether it is no mark, number or unknown word."""
    return token[0].isalpha()


def neighbours(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each three in a row of ``(N, T)``: before, middle and after, ``(N · (T - 2),)`` each."""
    return tokens[:, :-2].flatten(), tokens[:, 1:-1].flatten(), tokens[:, 2:].flatten()


def rows_of_all_processes(tokens: Tensor) -> Tensor:
    """The rows that all processes have of a batch, in the same order in each of them."""
    if not torch.distributed.is_initialized():
        return tokens
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, tokens)
    return torch.cat(gathered)
