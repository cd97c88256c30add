"""A statistical word aligner, fitted to the parallel sentences of the dataset that is translated.

IBM Model 1 (Brown et al., 1993) with the prior of Dyer et al. (2013, fast_align): word j of m is the likelier
to translate word i of n, the nearer i/n is to j/m. The model is fitted in both directions, and a link needs
both. Differs: the tension is fixed, words spelt alike get a pseudo-count, and words are compared by their
first five characters.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lbkd.recovery.words import Span, beginning, is_word, words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_EM_ITERATIONS = 5
_TENSION = 4.0
"""Strength of the diagonal prior; fast_align's initial value."""
_NULL = 0.08
"""Probability that a target word translates no source word; fast_align's value."""
_SMOOTHING = 0.01
"""Pseudo-count of every pair of words."""
_ALIKE = 5.0
"""Pseudo-count of two words that are spelt alike."""
_MOST_CELLS = 10_000_000
"""Pairs of words in the sentences that the aligner is fitted to; each takes some 60 bytes of memory."""
_MOST_PROJECTED = 8_000_000
"""Pairs of words up to which a span is projected; time and memory grow with this number."""


class Aligner:
    """Links the words of a source text to the words of its translation.

    Args:
        pairs: parallel sentences to fit the model to, the most useful first. Sentences beyond ten million
            pairs of words are ignored.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._source: dict[str, int] = {"": 0}  # "" is the empty word, which untranslated words come from
        self._target: dict[str, int] = {"": 0}
        sources, targets, cells = [], [], 0
        for pair in pairs:
            source, target = _ids(pair[0], self._source), _ids(pair[1], self._target)
            cells += (len(source) + 1) * (len(target) + 1)
            if cells > _MOST_CELLS:
                break
            if len(source) and len(target):
                sources.append(source)
                targets.append(target)
        self._forward = _Table(sources, targets, self._source, self._target)
        self._backward = _Table(targets, sources, self._target, self._source)

    def links(self, source: str, target: str) -> Floats:
        """(n, m): geometric mean of the posterior probabilities that words i and j translate each other."""
        left, right = _ids(source, self._source, grow=False), _ids(target, self._target, grow=False)
        forward = self._forward.posterior(left, right)
        backward = self._backward.posterior(right, left)
        both: Floats = np.sqrt(forward * backward.T)
        return both

    def project(self, source: str, span: Span, target: str) -> tuple[Span, float] | None:
        """The span of the target that translates a span of the source, and a score from 0 to 1.

        The score is 2 x / (y + z): x sums the links between both spans, y all links of the target's span, and
        z all links of the source's span, where z is at least the number of the source's words. The score is 1
        for spans whose words translate each other one by one with certainty. None if no link joins the span
        with the target, or if the texts have more than some 2,000 words each, since cost is quadratic.
        """
        ours, theirs = words(source), words(target)
        rows = [n for n, word in enumerate(ours) if word.end > span.start and word.start < span.end]
        solid = [n for n in rows if is_word(source[slice(*ours[n])])]
        columns = [n for n, word in enumerate(theirs) if is_word(target[slice(*word)])]
        if not rows or not columns or len(theirs) * (len(ours) + len(theirs)) > _MOST_PROJECTED:
            return None
        links = self.links(source, target)
        inner = np.concatenate([[0.0], links[solid or rows].sum(0).cumsum()])
        outer = np.concatenate([[0.0], links.sum(0).cumsum()])
        first, last = np.array(columns)[:, None], np.array(columns)[None, :] + 1
        whole = max(len(solid or rows), float(links[solid or rows].sum()))
        scores = 2 * (inner[last] - inner[first]) / (np.maximum(outer[last] - outer[first], 0) + whole)
        scores = np.where(last > first, scores, -1.0)
        i, j = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[i, j] <= 0:
            return None
        return Span(theirs[columns[int(i)]].start, theirs[columns[int(j)]].end), min(float(scores[i, j]), 1.0)


class _Table:
    """Translation probabilities t(right | left) of words that share a sentence pair, estimated by EM."""

    def __init__(
        self, lefts: list[Ints], rights: list[Ints], left: dict[str, int], right: dict[str, int]
    ) -> None:
        self._width = len(right) + 1  # the last column is for unknown words
        pairs = list(zip(lefts, rights, strict=True))
        keys = np.concatenate([[0], *(_cells(a, b, self._width).ravel() for a, b in pairs)])
        prior = np.concatenate([[1.0], *(_prior(len(a), len(b)).ravel() for a, b in pairs)])
        sizes = [1, *(len(a) + 1 for a, b in pairs for _ in b)]  # a first dummy cell: no array is empty
        group = np.repeat(np.arange(len(sizes)), sizes)
        self._keys, place = np.unique(keys, return_inverse=True)
        owner = self._keys // self._width
        same = np.array([right.get(word, -1) for word in left])
        same[0] = -1
        alike = _ALIKE * (same[owner] == self._keys % self._width)
        self._values = np.full(len(self._keys), 1 / self._width)
        for _ in range(_EM_ITERATIONS):
            share = self._values[place] * prior
            share /= np.bincount(group, share)[group]
            counts = np.bincount(place, share, len(self._keys)) + alike
            totals = np.bincount(owner, counts)
            self._values = (counts + _SMOOTHING) / (totals[owner] + _SMOOTHING * self._width)

    def posterior(self, left: Ints, right: Ints) -> Floats:
        """(n, m): probability that word j of `right` translates word i of `left`."""
        keys = _cells(left, right, self._width)
        place = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        known = self._keys[place] == keys
        floor = np.full(len(left) + 1, _SMOOTHING / self._width)
        floor[0] = 1 / self._width  # an unknown word translates the empty word first of all
        values = np.where(known, self._values[place], floor)
        share = values * _prior(len(left), len(right))
        found: Floats = (share / share.sum(1, keepdims=True))[:, 1:].T
        return found


def _cells(left: Ints, right: Ints, width: int) -> Ints:
    """(m, n + 1): one integer for each pair of words; column 0 is the empty word."""
    found: Ints = np.concatenate([[0], left])[None, :] * width + right[:, None]
    return found


@lru_cache(maxsize=4096)
def _prior(n: int, m: int) -> Floats:
    """(m, n + 1): prior probability that word j of m translates each of n words; column 0: no word."""
    i, j = (np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m
    near = np.exp(-_TENSION * np.abs(i[None, :] - j[:, None]))
    near *= (1 - _NULL) / near.sum(1, keepdims=True)
    return np.concatenate([np.full((m, 1), _NULL), near], axis=1)


def _ids(text: str, numbers: dict[str, int], grow: bool = True) -> Ints:
    """Number of each word of a text; unknown words are added to `numbers`, or share the next free number."""
    forms = [beginning(text[slice(*span)]) for span in words(text)]
    if grow:
        return np.array([numbers.setdefault(form, len(numbers)) for form in forms], dtype=np.int64)
    return np.array([numbers.get(form, len(numbers)) for form in forms], dtype=np.int64)
