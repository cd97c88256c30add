"""Grapheme clusters: what a reader takes for one character (Unicode Standard Annex 29, extended clusters).

A letter with its accents, an Arabic letter with its vowel marks, a syllable of Hangul jamo, a Devanagari
conjunct with its vowel sign, and an emoji with joiners are one cluster each.
"""

from bisect import bisect_left, bisect_right
from functools import lru_cache

import regex

_CLUSTER = regex.compile(r"\X")
_FIRST_EXTENDER = "\u0300"
"""Below this character only a carriage return with a line feed forms a cluster of two."""


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
    if not _inside(text, start) and not _inside(text, end):
        return start, end
    first = starts(text)
    after = bisect_left(first, end)
    return first[bisect_right(first, start) - 1], first[after] if after < len(first) else len(text)


def _inside(text: str, place: int) -> bool:
    """Whether the cluster of character `place` may begin before this character."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    return max(before, after) >= _FIRST_EXTENDER or (before, after) == ("\r", "\n")
