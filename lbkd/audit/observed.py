"""The columns of some windows, from the teachers' logits and weights."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lbkd.evaluation.decode import characters
from lbkd.evaluation.spans import Logits, Places, best_spans, places
from lbkd.features.batches import Batch
from lbkd.features.dataset import FeatureSet
from lbkd.features.tokens import Ints
from lbkd.features.windows import Windows
from lbkd.weighting import entropy

Floats = npt.NDArray[np.float64]


def observed(
    features: FeatureSet, batch: Batch, logits: Tensor, weights: Tensor, longest: int
) -> dict[str, npt.NDArray[Any]]:
    """The columns of `Audit` for B windows.

    A teacher's answer is the best span of the window by start plus end logit, as it is decoded, or "no
    answer" where the CLS token's logits are at least as high: what labels say of a window, too. A span may
    start at any token of the window, also at one that decoding leaves to another window.

    Args:
        features: the corpus of the windows.
        batch: the windows.
        logits: (2, K, B, L) start and end logits of K teachers, -inf at padding.
        weights: (2, K, B) of the teachers.
        longest: tokens of the longest span.
    """
    windows, halves = batch.windows, logits.numpy()
    allowed = anywhere(features, batch)
    told = [answers(features, batch, Logits(*each), allowed, longest) for each in zip(*halves, strict=True)]
    answer, gold = np.stack([place for place, _ in told], 1), labelled(features, windows)
    labels = np.stack([batch.starts.numpy(), batch.ends.numpy()])
    return {
        "feature": windows.feature.astype(np.int64),
        "question": windows.question.astype(np.int32),
        "passage_language": windows.passage_language.astype(np.int16),
        "question_language": windows.question_language.astype(np.int16),
        "read": _spanned(features, windows, windows.start, windows.stop - 1).astype(np.int32),
        "gold": gold.astype(np.int32),
        "weights": weights.numpy().transpose(2, 0, 1).astype(np.float16),
        "entropy": entropy(logits).numpy().transpose(2, 0, 1).astype(np.float16),
        "hit": (halves.argmax(-1) == labels[:, None]).transpose(2, 0, 1),
        "answer": answer.astype(np.int32),
        "probability": np.stack([chance for _, chance in told], 1).astype(np.float16),
        "right": (answer == gold[:, None]).all(-1),
    }


def anywhere(features: FeatureSet, batch: Batch) -> Places:
    """Where spans may lie if they may start at any token of the window."""
    allowed = places(features, batch.windows, batch.passage_at)
    return allowed._replace(owned=allowed.inside)


def answers(
    features: FeatureSet, batch: Batch, logits: Logits, allowed: Places, longest: int
) -> tuple[Ints, Floats]:
    """(B, 2) characters of the answer of each window's logits, -1 for "no answer", and (B,) its probability.

    See `observed`.
    """
    windows = batch.windows
    spans = best_spans(logits, allowed, 1, longest)
    score, null, mass = (part.astype(np.float64) for part in (spans.score[:, 0], spans.null, spans.mass))
    found = np.concatenate(characters(features, windows, spans.first, spans.last), 1)
    chance: Floats = np.exp(np.maximum(score, null) - np.logaddexp(mass, null))
    return np.where((score > null)[:, None], found, -1), chance


def labelled(features: FeatureSet, windows: Windows) -> Ints:
    """(B, 2) characters of the labelled answers; -1 and -1 in a window without the answer."""
    gold = _spanned(features, windows, windows.first, windows.last)
    return np.where((windows.first >= 0)[:, None], gold, -1)


def _spanned(features: FeatureSet, windows: Windows, first: Ints, last: Ints) -> Ints:
    """(B, 2) characters of the passage tokens `first` to `last` (inclusive) of each window."""
    inside = (np.maximum(token - windows.start, 0)[:, None] for token in (first, last))
    return np.concatenate(characters(features, windows, *inside), 1)
