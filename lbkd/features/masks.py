"""Windows with whole phrases masked, for phrase-masked language modelling (LAKM)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lbkd.errors import ConfigError
from lbkd.features.batches import Batch, collate, pinned
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints, TokenTable
from lbkd.features.windows import Windows
from lbkd.phrases import Phrases

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MASKED, _RANDOM = 0.8, 0.1
"""Shares of the chosen phrases that become mask tokens and random tokens; the rest stay (as in BERT)."""


@dataclass(frozen=True)
class MaskedBatch:
    """B windows in which M masked tokens are to be predicted."""

    batch: Batch
    """The windows with mask tokens or random tokens in place of the chosen phrases."""
    chosen: Tensor
    """(B, L) bool: True at the tokens of chosen phrases."""
    places: Tensor
    """(M,) int64: positions of the chosen tokens in the flattened (B * L) batch."""
    labels: Tensor
    """(M,) int64: the original token ids at `places`."""

    def to(self, device: torch.device) -> "MaskedBatch":
        """The same batch with its tensors on `device`; `chosen` stays on the host, which alone reads it."""
        return MaskedBatch(
            self.batch.to(device),
            self.chosen,
            *(tensor.to(device, non_blocking=True) for tensor in (self.places, self.labels)),
        )

    def pinned(self, device: torch.device) -> "MaskedBatch":
        """The same batch in pinned memory if `device` is a GPU."""
        return MaskedBatch(
            self.batch.pinned(device),
            self.chosen,
            *(pinned(tensor, device) for tensor in (self.places, self.labels)),
        )


@dataclass(frozen=True)
class Masker:
    """Chooses whole phrases in windows' passages, and masks them.

    Questions, special tokens and phrases cut by a window's edge are never masked. A window's phrases are
    taken in random order, as long as each brings the number of chosen tokens nearer to `rate` of the
    window's passage tokens. So the number is off by at most half of the longest phrase, unless the window's
    phrases have fewer tokens in all.

    Each chosen phrase as a whole becomes mask tokens (80 %), random tokens (10 %) or stays (10 %). All draws
    are a pure function of (seed, step, feature id), whatever the batch and the number of ranks.
    """

    features: FeatureSet
    phrases: Mapping[str, Phrases]
    """Passage language -> its phrases; passages in other languages are not masked."""
    rate: float
    """Share of a window's passage tokens, above 0, at most 1."""
    mask: int
    """Id of the mask token."""
    ordinary: Ints
    """Ids that random tokens are drawn from."""
    seed: int

    @classmethod
    def of(
        cls,
        features: FeatureSet,
        phrases: Mapping[str, Phrases],
        rate: float,
        tokenizer: "PreTrainedTokenizerBase",
        seed: int,
    ) -> "Masker":
        """A masker with the tokenizer's mask token and ordinary tokens.

        Raises:
            ConfigError: a tokenizer without a mask token.
        """
        if tokenizer.mask_token_id is None:
            raise ConfigError(
                "the model's tokenizer has no mask token, so that no phrase can be masked. Use a model that "
                "was pretrained with one (BERT, RoBERTa, XLM-R, DistilBERT), or e5-small."
            )
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        return cls(
            features=features,
            phrases=phrases,
            rate=rate,
            mask=int(tokenizer.mask_token_id),
            ordinary=ordinary,
            seed=seed,
        )

    def maskable(self, ids: Ints) -> Ints:
        """The feature ids whose window holds a whole phrase."""
        held = [len(spans) > 0 for spans in self._inside(self.features.windows(ids))]
        found: Ints = ids[np.array(held, dtype=bool)]
        return found

    def count(self, ids: Ints, step: int) -> int:
        """M, the number of tokens chosen in the given windows at an optimizer step."""
        chosen = self._chosen(self.features.windows(ids), step)
        return sum(int(np.diff(spans).sum()) for spans, _ in chosen)

    def collate(self, ids: Ints, step: int) -> MaskedBatch:
        """The batch of the given windows, in their order, masked for an optimizer step."""
        batch = collate(self.features, ids)
        true = batch.input_ids.numpy()
        shown, chosen = true.copy(), np.zeros(true.shape, dtype=bool)
        for n, (spans, rng) in enumerate(self._chosen(batch.windows, step)):
            for first, stop in spans - batch.windows.start[n] + batch.passage_at[n]:
                chosen[n, first:stop] = True
                chance = rng.random()
                if chance < _MASKED:
                    shown[n, first:stop] = self.mask
                elif chance < _MASKED + _RANDOM:
                    shown[n, first:stop] = rng.choice(self.ordinary, stop - first)
        return MaskedBatch(
            replace(batch, input_ids=torch.from_numpy(shown)),
            torch.from_numpy(chosen),
            torch.from_numpy(np.flatnonzero(chosen)),
            torch.from_numpy(true[chosen]),
        )

    @cached_property
    def _spans(self) -> dict[str, list[Ints]]:
        """Language -> `token_spans` of each passage."""
        return {
            language: [
                token_spans(phrases, text, self.features.passages[language], row)
                for row, text in enumerate(self.features.corpus.datasets[language].passages)
            ]
            for language, phrases in self.phrases.items()
        }

    def _inside(self, windows: Windows) -> Iterator[Ints]:
        """For each window, (S, 2) first token and one past the last of each whole phrase, in its passage."""
        rows = self.features.passage_rows(windows)
        for n, language in enumerate(windows.passage_language):
            spans = self._spans[self.features.languages[language]][rows[n]]
            yield spans[(spans[:, 0] >= windows.start[n]) & (spans[:, 1] <= windows.stop[n])]

    def _chosen(self, windows: Windows, step: int) -> Iterator[tuple[Ints, np.random.Generator]]:
        """For each window, (C, 2) the chosen phrases, and the window's random number generator."""
        for n, spans in enumerate(self._inside(windows)):
            rng = np.random.default_rng([self.seed, step, int(windows.feature[n])])
            spans = rng.permutation(spans)
            lengths = spans[:, 1] - spans[:, 0]
            wanted = self.rate * (windows.stop[n] - windows.start[n])
            yield spans[np.cumsum(lengths) - lengths / 2 < wanted], rng


def token_spans(phrases: Phrases, text: str, table: TokenTable, row: int) -> Ints:
    """(S, 2) first token and one past the last of every phrase in a text, number `row` of `table`.

    A phrase whose edge lies inside a token is left out, since no mask could hide the phrase alone.
    """
    at = slice(table.rows[row], table.rows[row + 1])
    begins, ends = table.begins[at], table.ends[at]
    found = []
    for begin, end in phrases.find(text):
        first = int(np.searchsorted(ends, begin, side="right"))
        stop = int(np.searchsorted(begins, end, side="left"))
        if first < stop and text[begins[first] : ends[stop - 1]].strip() == text[begin:end]:
            found.append((first, stop))
    return np.array(found, dtype=np.int64).reshape(-1, 2)
