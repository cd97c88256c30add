"""From logits to answers: the one decoder of evaluation and prediction."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lbkd.features.batches import Batch
from lbkd.features.dataset import FeatureSet
from lbkd.graphemes import readable
from lbkd.models.span import SpanLogits


class Answer(NamedTuple):
    """A slice of a passage."""

    text: str
    start: int
    """First character in the raw passage."""
    end: int
    """One past the last character."""
    probability: float
    """Share among all spans that the decoder allows, and "no answer" where that counts."""


@dataclass(frozen=True)
class Decoded:
    """The answers to one (passage, question) pair."""

    answers: list[Answer]
    """The n best, best first."""
    no_answer: float
    """Score of the CLS token minus that of the best span, in logits: above 0, no answer is likelier."""


class BestSpans(NamedTuple):
    """The n best spans of B windows, as tensors on one device."""

    score: Tensor
    """(B, n) start plus end logit, best first; -inf where a window has fewer than n spans."""
    first: Tensor
    """(B, n) first token of the span, counted from the window's first passage token."""
    last: Tensor
    """(B, n) last token of the span, counted likewise."""
    null: Tensor
    """(B, 1) start plus end logit of the CLS token."""
    mass: Tensor
    """(B, 1) log of the sum of exp(score) over all spans of the window."""

    def packed(self) -> Tensor:
        """(B, 3n + 2) float64: all fields side by side, which leave a device in one copy."""
        return torch.cat([part.double() for part in self], 1)

    @classmethod
    def unpacked(cls, packed: Tensor) -> "BestSpans":
        """The spans that `packed` gave; token numbers are int64 again, the rest float32."""
        n = packed.shape[1] // 3
        score, first, last, null, mass = packed.split_with_sizes([n, n, n, 1, 1], 1)
        return cls(score.float(), first.long(), last.long(), null.float(), mass.float())


@dataclass(frozen=True)
class Candidates:
    """The best spans of a batch of windows as places in passages, on the CPU."""

    pair: np.ndarray
    """(B,) number of each window's pair, see `Addressing`."""
    score: np.ndarray
    """(B, n) start plus end logit, best first; -inf where a window has fewer than n spans."""
    begin: np.ndarray
    """(B, n) first character of the span in the passage."""
    end: np.ndarray
    """(B, n) one past the span's last character."""
    null: np.ndarray
    """(B,) start plus end logit of the CLS token."""
    mass: np.ndarray
    """(B,) log of the sum of exp(score) over all spans of the window."""


def best_spans(
    logits: SpanLogits,
    batch: Batch,
    features: FeatureSet,
    n_best: int,
    max_answer_tokens: int,
    temperature: float = 1.0,
) -> BestSpans:
    """The `n_best` spans of each window; computed on the logits' device, without waiting for the device.

    A span lies inside the passage, ends at or after its start, has at most `max_answer_tokens` tokens, and
    starts at a token that belongs to this window (see `Windows.owned`). Of equal scores, the earlier start
    is first, then the shorter span.
    """
    windows, device = batch.windows, logits.start.device
    width = int(np.max(windows.stop - windows.start, initial=1))
    at = torch.from_numpy(batch.passage_at)[:, None] + torch.arange(width)
    inside = torch.arange(width) < torch.from_numpy(windows.stop - windows.start)[:, None]
    owned = torch.from_numpy(windows.owned(width, features.passage_tokens(windows)))
    at = at.clamp(max=batch.input_ids.shape[1] - 1).to(device, non_blocking=True)
    inside, owned = (tensor.to(device, non_blocking=True) for tensor in (inside, owned))
    start = logits.start.gather(1, at).masked_fill(~owned, -torch.inf)
    end = logits.end.gather(1, at).masked_fill(~inside, -torch.inf)
    end = torch.nn.functional.pad(end, (0, max_answer_tokens - 1), value=-torch.inf)

    score, first, last = _best(start, end, n_best, max_answer_tokens)
    top = end.amax(1, keepdim=True).clamp(min=torch.finfo(end.dtype).min)
    likely = ((end - top).double() / temperature).exp()[
        :, None
    ]  # with a channel: without one, no batch may be empty
    ends = torch.nn.functional.avg_pool1d(likely, max_answer_tokens, 1)[:, 0] * max_answer_tokens
    mass = (
        ((start + top) / temperature + ends.log()).logsumexp(1).maximum(score[:, 0] / temperature)
    )  # ends far below the top sum to 0
    return BestSpans(score, first, last, null=logits.start[:, :1] + logits.end[:, :1], mass=mass[:, None])


def candidates(spans: BestSpans, batch: Batch, features: FeatureSet) -> Candidates:
    """The places in passages of a batch's best spans, which are on the CPU."""
    windows, numbering = batch.windows, features.addressing
    first, last = spans.first.numpy(), spans.last.numpy()
    begins, ends = np.zeros_like(first), np.zeros_like(first)
    passages = features.passage_rows(windows)
    for k, language in enumerate(features.languages):
        mine = (windows.passage_language == k) & (windows.stop > windows.start)
        table, most = features.passages[language], (windows.stop - windows.start - 1)[mine, None]
        at = (table.rows[passages[mine]] + windows.start[mine])[:, None]
        begins[mine] = table.begins[at + np.minimum(first[mine], most)]
        ends[mine] = table.ends[at + np.minimum(last[mine], most)]
    place = numbering.place(windows.question, windows.passage_language)
    return Candidates(
        pair=numbering.pair(place, windows.question_language),
        score=spans.score.numpy(),
        begin=begins,
        end=ends,
        null=spans.null[:, 0].numpy(),
        mass=spans.mass[:, 0].numpy(),
    )


def _best(start: Tensor, end: Tensor, count: int, max_answer_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, first tokens and last tokens of the best spans, each (B, n).

    The best `count` spans begin at the best `count` starts, each judged by its best span: so all others are
    left out before spans are made. `end` has max_answer_tokens - 1 columns of -inf more than `start`.
    """
    best_end = torch.nn.functional.max_pool1d(end[:, None], max_answer_tokens, 1)[:, 0]
    starts = _ranks(start + best_end).topk(min(count, start.shape[1]), 1).indices.sort(1).values
    ends = end.unfold(1, max_answer_tokens, 1).gather(1, starts[:, :, None].expand(-1, -1, max_answer_tokens))
    spans = (start.gather(1, starts)[:, :, None] + ends).flatten(1)
    chosen = _ranks(spans).topk(min(count, spans.shape[1]), dim=1).indices
    first = starts.gather(1, chosen // max_answer_tokens)
    return spans.gather(1, chosen), first, first + chosen % max_answer_tokens


def _ranks(scores: Tensor) -> Tensor:
    """(B, N) float32 to int64 in the same order, with the later column lower where scores are equal.

    The bits of a float, read as a whole number, are in the floats' order once those below the sign of a
    negative number are flipped; the columns stand in the 32 bits below them. (topk breaks ties at whim.)
    """
    bits = (scores + 0.0).view(torch.int32)  # -0.0 + 0.0 is 0.0
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return (ordered.long() << 32) - torch.arange(scores.shape[1], device=scores.device)


def merge(
    found: Iterable[Candidates],
    passages: dict[int, str],
    n_best: int,
    impossible: bool = False,
    temperature: float = 1.0,
) -> dict[int, Decoded]:
    """Join the windows of each pair.

    Args:
        found: candidates of all windows, in any order, each window once; all windows of a pair.
        passages: pair -> raw passage, of which answers are slices.
        n_best: number of answers to keep.
        impossible: count "no answer" among the possibilities when probabilities are computed.
        temperature: that of the candidates' masses.

    Returns:
        pair -> its answers. Of equal scores, the answer that begins earlier is first, then the shorter one.
        A pair whose passage has no span at all has an empty answer at 0 with probability 0.
    """
    joined = list(found)
    if not joined:
        return {}
    pair, null, mass = (
        np.concatenate([getattr(item, name) for item in joined]) for name in ("pair", "null", "mass")
    )
    order = np.lexsort((mass, pair))  # by mass, too: a sum of floats depends on the order
    pairs, first = np.unique(pair[order], return_index=True)
    nulls = np.minimum.reduceat(null[order], first)
    masses = np.logaddexp.reduceat(mass[order].astype(np.float64), first)

    owner = np.concatenate([np.repeat(item.pair, item.score.shape[1]) for item in joined])
    score, begin, end = (
        np.concatenate([getattr(item, name).reshape(-1) for item in joined])
        for name in ("score", "begin", "end")
    )
    order = np.lexsort((end, begin, -score, owner))
    order = order[np.isfinite(score[order])]
    rank = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    order, rank = order[rank < n_best], rank[rank < n_best]
    row = np.searchsorted(pairs, owner[order])
    totals = np.logaddexp(masses, nulls / temperature) if impossible else masses
    chances = np.exp(score[order] / temperature - totals[row])
    answers: list[list[Answer]] = [[] for _ in pairs]
    for n, *span in zip(*(part.tolist() for part in (row, begin[order], end[order], chances)), strict=True):
        answers[n].append(_slice(passages[int(pairs[n])], *span))
    no_answer = np.full(len(pairs), np.inf)
    no_answer[row[rank == 0]] = nulls[row[rank == 0]] - score[order[rank == 0]]
    return {
        int(pair): Decoded(found or [Answer("", 0, 0, 0.0)], doubt)
        for pair, found, doubt in zip(pairs, answers, no_answer.tolist(), strict=True)
    }


def _slice(passage: str, begin: int, end: int, probability: float) -> Answer:
    """The span as a reader takes it, see `readable`."""
    begin, end = readable(passage, begin, end)
    return Answer(passage[begin:end], begin, end, probability)
