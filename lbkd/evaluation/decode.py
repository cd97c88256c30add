"""Logits to answers: the one decoder behind evaluation and prediction."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lbkd.features.batches import Batch
from lbkd.features.dataset import FeatureSet
from lbkd.models.span import SpanLogits


class Answer(NamedTuple):
    """A slice of a passage."""

    text: str
    start: int
    """First character in the raw passage."""
    end: int
    """One past the last character."""
    probability: float
    """Among all spans of the passage that the decoder allows, and no answer where that is allowed."""


@dataclass(frozen=True)
class Decoded:
    """What the model says of one (passage, question) pair."""

    answers: list[Answer]
    """The n best, best first."""
    no_answer: float
    """Score of the CLS token minus that of the best span, in logits: above 0, no answer is likelier."""


@dataclass(frozen=True)
class Candidates:
    """The best spans of a batch of windows, on the CPU."""

    pair: np.ndarray
    """(B,) number of the (passage, question) pair that each window belongs to."""
    score: np.ndarray
    """(B, n) start plus end logit, best first; -inf where a window has fewer spans."""
    begin: np.ndarray
    """(B, n) first character of the span in the passage."""
    end: np.ndarray
    """(B, n) one past its last character."""
    null: np.ndarray
    """(B,) start plus end logit of the CLS token."""
    mass: np.ndarray
    """(B,) log of the sum of exp(score) over all spans of the window."""


def best_spans(
    logits: SpanLogits, batch: Batch, features: FeatureSet, n_best: int, max_answer: int
) -> Tensor:
    """The `n_best` spans of each window; computed on the logits' device, without waiting for it.

    A span lies inside the passage, ends at or after its start, has at most `max_answer` tokens, and starts at
    a token for which this window answers (see `Windows.owned`). Of equal scores, the earlier start is first,
    then the shorter span.

    Returns:
        (B, 2n + 2) float64, to leave the device in one piece: scores, best first; then for each the number
        start * max_answer + tokens - 1, counted from the window's first passage token; the CLS token's score;
        and the log of the sum of exp(score) over all spans.
    """
    windows, device = batch.windows, logits.start.device
    width = int(np.max(windows.stop - windows.start, initial=1))
    at = torch.from_numpy(batch.passage_at)[:, None] + torch.arange(width)
    inside = torch.arange(width) < torch.from_numpy(windows.stop - windows.start)[:, None]
    owned = torch.from_numpy(windows.owned(width, features.passage_tokens(windows)))
    at = at.clamp(max=batch.input_ids.shape[1] - 1).to(device, non_blocking=True)
    inside, owned = (tensor.to(device, non_blocking=True) for tensor in (inside, owned))
    start = logits.start.gather(1, at).masked_fill(~(inside & owned), -torch.inf)
    end = logits.end.gather(1, at).masked_fill(~inside, -torch.inf)

    spans = _banded_sum(start, end, max_answer)
    mass = spans.logsumexp(1)
    chosen = _ranks(spans).topk(min(n_best, spans.shape[1]), dim=1).indices
    null = logits.start[:, :1] + logits.end[:, :1]
    return torch.cat([part.double() for part in (spans.gather(1, chosen), chosen, null, mass[:, None])], 1)


def candidates(found: Tensor, batch: Batch, features: FeatureSet, max_answer: int) -> Candidates:
    """Where in the passages the `best_spans` of a batch lie; `found` on the CPU."""
    windows = batch.windows
    best, where, rest = np.split(found.numpy(), [found.shape[1] // 2 - 1, found.shape[1] - 2], axis=1)
    best, rest, where = best.astype(np.float32), rest.astype(np.float32), where.astype(np.int64)
    first = where // max_answer
    last = first + where % max_answer
    begins, ends = np.zeros_like(where), np.zeros_like(where)
    for n, (begin, stop) in enumerate(features.offsets(windows)):
        if len(begin):
            begins[n] = begin[np.minimum(first[n], len(begin) - 1)]
            ends[n] = stop[np.minimum(last[n], len(stop) - 1)]
    languages = len(features.languages)
    pair = (windows.question * languages + windows.passage_language) * languages + windows.question_language
    return Candidates(pair, best, begins, ends, *rest.T)


def _banded_sum(start: Tensor, end: Tensor, max_answer: int) -> Tensor:
    """(B, W) start and end scores to (B, W * max_answer): entry s * max_answer + d is the span s to s + d."""
    padded = torch.nn.functional.pad(end, (0, max_answer - 1), value=-torch.inf)
    return (start[:, :, None] + padded.unfold(1, max_answer, 1)).flatten(1)


def _ranks(scores: Tensor) -> Tensor:
    """(B, N) float32 to int64 in the same order, with the later column lower where scores are equal.

    The bits of a float, read as a whole number, are in the floats' order once those below the sign of a
    negative number are flipped; the columns stand in the 32 bits below them. (topk breaks ties at whim.)
    """
    bits = (scores + 0.0).view(torch.int32)  # -0.0 + 0.0 is 0.0
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return (ordered.long() << 32) - torch.arange(scores.shape[1], device=scores.device)


def merge(
    found: Iterable[Candidates], passages: dict[int, str], n_best: int, impossible: bool = False
) -> dict[int, Decoded]:
    """Join the windows of each pair.

    Args:
        found: candidates of all windows, in any order, each once; all windows of a pair must be among them.
        passages: pair -> raw passage, of which answers are slices.
        n_best: how many answers to keep.
        impossible: count "no answer" among the possibilities when probabilities are computed.

    Returns:
        pair -> its answers; of equal scores, the one that begins earlier in the passage is first, then the
        shorter one. A pair whose passage has no span at all has an empty answer at 0 with probability 0.
    """
    joined = list(found)
    if not joined:
        return {}
    n = max(item.score.shape[1] for item in joined)

    def stacked(name: str, fill: float = 0) -> np.ndarray:
        parts = [getattr(item, name) for item in joined]
        return np.concatenate([np.pad(p, ((0, 0), (0, n - p.shape[1])), constant_values=fill) for p in parts])

    pair = np.concatenate([item.pair for item in joined])
    null = np.concatenate([item.null for item in joined])
    mass = np.concatenate([item.mass for item in joined])
    order = np.lexsort((mass, pair))  # by mass, too: a sum of floats depends on their order
    pairs, first = np.unique(pair[order], return_index=True)
    score, begin, end = (stacked("score", -np.inf)[order], stacked("begin")[order], stacked("end")[order])
    nulls = np.minimum.reduceat(null[order], first)
    masses = np.logaddexp.reduceat(mass[order].astype(np.float64), first)
    decoded = {}
    for row, number in enumerate(pairs):
        span = slice(first[row], first[row + 1] if row + 1 < len(first) else None)
        scores, begins, ends = (part[span].reshape(-1) for part in (score, begin, end))
        best = np.lexsort((ends, begins, -scores))[:n_best]
        best = best[np.isfinite(scores[best])]
        total = np.logaddexp(masses[row], nulls[row]) if impossible else masses[row]
        answers = [
            _slice(passages[int(number)], int(begins[at]), int(ends[at]), float(np.exp(scores[at] - total)))
            for at in best
        ]
        no_answer = float(nulls[row] - scores[best[0]]) if answers else np.inf
        decoded[int(number)] = Decoded(answers or [Answer("", 0, 0, 0.0)], no_answer)
    return decoded


def _slice(passage: str, begin: int, end: int, probability: float) -> Answer:
    """The span without white space at its ends."""
    text = passage[begin:end]
    begin += len(text) - len(text.lstrip())
    text = text.strip()
    return Answer(text, begin, begin + len(text), probability)
