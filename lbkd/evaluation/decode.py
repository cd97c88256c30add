"""From the best spans of windows to answers, for evaluation and prediction alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lbkd.evaluation.spans import Spans
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows
from lbkd.graphemes import readable


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
    spans: float = 0.0
    """Log of the share of all spans; 0 where "no answer" does not count in the probabilities."""


@dataclass(frozen=True)
class Candidates:
    """The best spans of a batch of windows as places in passages."""

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
    """(B,) log of the sum of exp(score / temperature) over all spans of the window."""


def candidates(spans: Spans, windows: Windows, features: FeatureSet) -> Candidates:
    """The places in passages of the best spans of windows."""
    numbering = features.addressing
    begins, ends = characters(features, windows, spans.first, spans.last)
    place = numbering.place(windows.question, windows.passage_language)
    return Candidates(
        pair=numbering.pair(place, windows.question_language),
        score=spans.score,
        begin=begins,
        end=ends,
        null=spans.null,
        mass=spans.mass,
    )


def characters(features: FeatureSet, windows: Windows, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """(B, n) first character in the passage of spans of windows, and one past the last character.

    Args:
        features: the corpus of the windows.
        windows: B windows.
        first: (B, n) first token of each span, counted from the window's first passage token.
        last: (B, n) last token of each span, counted likewise.
    """
    begins, ends = np.zeros_like(first), np.zeros_like(first)
    passages = features.passage_rows(windows)
    for k, language in enumerate(features.languages):
        mine = (windows.passage_language == k) & (windows.stop > windows.start)
        table, most = features.passages[language], (windows.stop - windows.start - 1)[mine, None]
        at = (table.rows[passages[mine]] + windows.start[mine])[:, None]
        begins[mine] = table.begins[at + np.minimum(first[mine], most)]
        ends[mine] = table.ends[at + np.minimum(last[mine], most)]
    return begins, ends


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
    totals = np.logaddexp(masses, nulls.astype(np.float64) / temperature) if impossible else masses
    spans = masses - totals if impossible else np.zeros(len(pairs))
    chances = np.exp(score[order].astype(np.float64) / temperature - totals[row])
    answers: list[list[Answer]] = [[] for _ in pairs]
    for n, *span in zip(*(part.tolist() for part in (row, begin[order], end[order], chances)), strict=True):
        answers[n].append(_slice(passages[int(pairs[n])], *span))
    no_answer = np.full(len(pairs), np.inf)
    no_answer[row[rank == 0]] = nulls[row[rank == 0]] - score[order[rank == 0]]
    return {
        int(pair): Decoded(found or [Answer("", 0, 0, 0.0)], *parts)
        for pair, found, *parts in zip(pairs, answers, no_answer.tolist(), spans.tolist(), strict=True)
    }


def _slice(passage: str, begin: int, end: int, probability: float) -> Answer:
    """The span as a reader takes it, see `readable`."""
    begin, end = readable(passage, begin, end)
    return Answer(passage[begin:end], begin, end, probability)
