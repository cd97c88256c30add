"""Grapheme clusters: what a reader takes for one character (Unicode Standard Annex 29, extended clusters).

A letter with its accents, an Arabic letter with its vowel marks, a syllable of Hangul jamo, a Devanagari
conjunct with its vowel sign, and an emoji with joiners are one cluster each. Differs: every white-space
character is a cluster of its own, even before a combining mark, so that no answer begins with white space.
"""

from bisect import bisect_left, bisect_right
from functools import lru_cache

import regex

_CLUSTER = regex.compile(r"\s|\X")
_CERTAIN = regex.compile(
    r"[^\p{GCB=Prepend}\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=L}\p{GCB=RI}][\p{GCB=XX}\p{GCB=LV}\p{GCB=LVT}]"
    r"|[^\p{GCB=Prepend}][\s\x21-\x7e]"
)
"""Two characters that two clusters meet between, whatever precedes them."""


@lru_cache(maxsize=64)
def starts(text: str) -> tuple[int, ...]:
    """First character of each cluster of a text, ascending."""
    return tuple(match.start() for match in _CLUSTER.finditer(text))


def widen(text: str, start: int, end: int) -> tuple[int, int]:
    """The smallest span of whole clusters that contains the characters `start` to `end` (exclusive).

    Args:
        text: the text.
        start: from 0.
        end: at least `start`, at most the length of the text.
    """
    if _is_edge(text, start) and _is_edge(text, end):
        return start, end
    first = starts(text)
    after = bisect_left(first, end)
    return first[bisect_right(first, start) - 1], first[after] if after < len(first) else len(text)


def readable(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends, widened to whole clusters."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return widen(text, start, start + len(part.strip()))


def _is_edge(text: str, place: int) -> bool:
    """Whether two neighbours alone tell that a cluster begins with character `place`."""
    return not 0 < place < len(text) or _CERTAIN.match(text, place - 1) is not None
