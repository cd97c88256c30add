"""The best spans of windows, from logits in memory; `device_spans` has the same for logits on a device."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows

Floats = npt.NDArray[np.float32]
_NOWHERE = np.float32(-np.inf)


class Logits(NamedTuple):
    """(B, L) logits of an answer's first and last token; -inf at padding."""

    start: Floats
    end: Floats


class Spans(NamedTuple):
    """The n best spans of B windows."""

    score: Floats
    """(B, n) start plus end logit, best first; -inf where a window has fewer than n spans."""
    first: Ints
    """(B, n) first token of the span, counted from the window's first passage token."""
    last: Ints
    """(B, n) last token of the span, counted likewise."""
    null: Floats
    """(B,) start plus end logit of the CLS token."""
    mass: Floats
    """(B,) log of the sum of exp(score / temperature) over all spans of the window."""


class Places(NamedTuple):
    """Where spans may lie in B windows, whose longest has W passage tokens."""

    at: Ints
    """(B, W) position of each passage token in the window; beyond the passage, it may be none."""
    inside: npt.NDArray[np.bool_]
    """(B, W) whether there is such a token, where a span may end."""
    owned: npt.NDArray[np.bool_]
    """(B, W) whether a span may start there, see `Windows.owned`."""


def places(features: FeatureSet, windows: Windows, passage_at: Ints) -> Places:
    """Where spans may lie.

    Args:
        features: the corpus of the windows.
        windows: B windows.
        passage_at: (B,) position of each window's first passage token.
    """
    tokens = windows.stop - windows.start
    column = np.arange(int(np.max(tokens, initial=1)))
    return Places(
        at=passage_at[:, None] + column,
        inside=column < tokens[:, None],
        owned=windows.owned(len(column), features.passage_tokens(windows)),
    )


def best_spans(logits: Logits, allowed: Places, n_best: int, longest: int, temperature: float = 1.0) -> Spans:
    """The `n_best` spans of each window.

    A span lies inside the passage, ends at or after its start, has at most `longest` tokens, and starts at a
    token that belongs to the window. Of equal scores, the earlier start is first, then the shorter span.

    Args:
        logits: of B windows.
        allowed: where spans may lie.
        n_best: spans of each window.
        longest: tokens of the longest span.
        temperature: divides the scores in `Spans.mass`.
    """
    at = np.minimum(allowed.at, logits.start.shape[1] - 1)
    start = np.where(allowed.owned, np.take_along_axis(logits.start, at, 1), _NOWHERE)
    end = np.where(allowed.inside, np.take_along_axis(logits.end, at, 1), _NOWHERE)
    score, first, last, mass = best(start, end, n_best, longest, temperature)
    return Spans(score, first, last, logits.start[:, 0] + logits.end[:, 0], mass)


def best(
    start: Floats, end: Floats, n_best: int, longest: int, temperature: float
) -> tuple[Floats, Ints, Ints, Floats]:
    """Score, first and last token (B, n) of the best spans, and their mass (B,); see `Spans`.

    Args:
        start: (B, W) logits of passage tokens; -inf where no span may start.
        end: (B, W) logits of passage tokens; -inf where no span may end.
        n_best: spans of each window.
        longest: tokens of the longest span.
        temperature: divides the scores in the mass.

    The best `n_best` spans begin at the best `n_best` starts, each judged by its best span: so all others are
    left out before spans are made.
    """
    width = start.shape[1]
    beyond = np.pad(end, ((0, 0), (0, longest - 1)), constant_values=-np.inf)
    starts = np.sort(_top(start + _over(np.maximum, beyond, width), min(n_best, width)), axis=1)
    ends = np.take_along_axis(sliding_window_view(beyond, longest, 1), starts[:, :, None], 1)
    spans = (np.take_along_axis(start, starts, 1)[:, :, None] + ends).reshape(
        len(start), starts.shape[1] * longest
    )
    chosen = _top(spans, min(n_best, spans.shape[1]))
    first = np.take_along_axis(starts, chosen // longest, 1)
    score = np.take_along_axis(spans, chosen, 1)

    top = np.maximum(end.max(1, keepdims=True), np.finfo(np.float32).min)
    likely = np.exp((beyond - top).astype(np.float64) / temperature)
    with np.errstate(divide="ignore"):  # ends far below the top sum to 0
        reach = (start + top).astype(np.float64) / temperature + np.log(_over(np.add, likely, width))
    mass = np.maximum(np.logaddexp.reduce(reach, axis=1), score[:, 0].astype(np.float64) / temperature)
    return score, first, first + chosen % longest, mass.astype(np.float32)


def _over(join: np.ufunc, values: Any, width: int) -> Any:
    """(B, width) each value joined with those behind it that a span reaches."""
    found = values[:, :width].copy()
    for ahead in range(1, values.shape[1] - width + 1):
        join(found, values[:, ahead : ahead + width], out=found)
    return found


def _top(scores: Floats, count: int) -> Ints:
    """(B, count) columns of the greatest scores, greatest first; of equal ones, the earlier is first."""
    return np.argsort(-_ranks(scores), axis=1)[:, :count]


def _ranks(scores: Floats) -> npt.NDArray[np.int64]:
    """(B, N) float32 to int64 in the same order, with the later column lower where scores are equal.

    The bits of a float, read as a whole number, are in the floats' order once those below the sign of a
    negative number are flipped; the columns stand in the 32 bits below them.
    """
    bits = (scores + np.float32(0.0)).view(np.int32)  # -0.0 + 0.0 is 0.0
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return (ordered.astype(np.int64) << 32) - np.arange(scores.shape[1])
