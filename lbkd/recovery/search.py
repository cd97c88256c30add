"""String search that tolerates changes of case, accents, spaces and punctuation, and picks an occurrence."""

import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from lbkd.graphemes import starts
from lbkd.recovery.words import Span, is_mark, word_ends

_UNIFORM = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))
"""Hyphens, dashes and the minus sign to the hyphen of keyboards."""


@dataclass(frozen=True)
class FoldedText:
    """A text in a form in which spellings are equal, with the place of each of its characters."""

    text: str
    begins: tuple[int, ...]
    """For each folded character, the first character in the original of the grapheme cluster it is of."""
    ends: tuple[int, ...]
    """The same for the character after the cluster."""

    def occurrences(self, sought: str, first: int = 0, last: int = sys.maxsize) -> Iterator[Span]:
        """Spans of whole clusters of the original that read like a folded string.

        Args:
            sought: the folded string.
            first: first character of the original at which a span may begin.
            last: last character of the original at which a span may begin.
        """
        window = bisect_left(self.begins, first), bisect_right(self.begins, last) - 1
        for place in places(self.text, sought, *window):
            after = place + len(sought)
            if not (self._inside(place) or self._inside(after)):
                yield Span(self.begins[place], self.ends[after - 1])

    def _inside(self, place: int) -> bool:
        """Whether the folded character `place` is of the same cluster as the one before."""
        return 0 < place < len(self.begins) and self.begins[place] == self.begins[place - 1]


def exact(text: str, sought: str) -> list[Span]:
    """All occurrences of a string; if any occurrence is made of whole words, only those."""
    return _best(text, (Span(place, place + len(sought)) for place in places(text, sought)))


def normalized(text: str, sought: str) -> list[Span]:
    """`exact` without regard to case, accents, compatibility forms (NFKC), spaces and punctuation."""
    return _best(text, fold_loosely(text).occurrences(fold_loosely(sought).text))


def counterpart(found: list[Span], text: str, other: list[Span], chosen: Span, other_text: str) -> Span:
    """The occurrence in one text that corresponds to a chosen occurrence in another text.

    With equal numbers of occurrences the n-th corresponds to the n-th; otherwise the one whose relative place
    in its text is nearest.

    Args:
        found: occurrences in `text`, at least one.
        text: the text to choose from.
        other: occurrences in the other text.
        chosen: the occurrence in the other text.
        other_text: the other text.
    """
    if len(found) == len(other) and chosen in other:
        return found[other.index(chosen)]
    share = (chosen.start + chosen.end) / (2 * len(other_text))
    return min(found, key=lambda span: abs((span.start + span.end) / (2 * len(text)) - share))


def places(text: str, sought: str, first: int = 0, last: int = sys.maxsize) -> Iterator[int]:
    """First characters, from `first` to `last`, of all occurrences; overlapping ones included.

    An empty string has no occurrence.
    """
    end = last + len(sought)
    place = text.find(sought, first, end) if sought else -1
    while place >= 0:
        yield place
        place = text.find(sought, place + 1, end)


@lru_cache(maxsize=64)
def fold(text: str) -> FoldedText:
    """A text with one form for case, width (NFKC), composition, dashes and runs of white space.

    Invisible format characters are left out.
    """
    return _joined((_plain(text[slice(*span)]), span) for span in _clusters(text))


@lru_cache(maxsize=64)
def fold_loosely(text: str) -> FoldedText:
    """`fold` without accents, spaces and punctuation: letters, digits, symbols and the marks of scripts."""
    return _joined((_bare(text[slice(*span)]), span) for span in _clusters(text))


def _clusters(text: str) -> Iterator[Span]:
    """Grapheme clusters of a text."""
    first = starts(text)
    return map(Span, first, (*first[1:], len(text)))


def _joined(parts: Iterable[tuple[str, Span]]) -> FoldedText:
    """Join the folded clusters of a text; runs of white space become one space."""
    folded: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    for part, span in parts:
        if part == " " and folded and folded[-1] == " ":
            ends[-1] = span.end
        else:
            folded += part
            begins += [span.start] * len(part)
            ends += [span.end] * len(part)
    return FoldedText("".join(folded), tuple(begins), tuple(ends))


@lru_cache(maxsize=2**16)
def _plain(cluster: str) -> str:
    """A grapheme cluster without differences of case, width and composition."""
    if cluster.isspace():
        return " "
    # Upper case first: only there are the dotless and the dotted i of Turkish equal.
    folded = unicodedata.normalize("NFKD", cluster).upper().casefold().replace("i\u0307", "i")
    folded = unicodedata.normalize("NFKC", folded).translate(_UNIFORM)
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


@lru_cache(maxsize=2**16)
def _bare(cluster: str) -> str:
    """`_plain` without accents, spaces and punctuation."""
    parts = unicodedata.normalize("NFKD", _plain(cluster))
    kept = (c for c in parts if unicodedata.category(c)[0] not in "CZP" and not _is_accent(c))
    return unicodedata.normalize("NFC", "".join(kept))


def _best(text: str, spans: Iterator[Span]) -> list[Span]:
    """The spans that are whole words; if there is none, beginnings and ends of words of three characters."""
    ranked: dict[int, list[Span]] = {1: [], 2: []}
    for span in spans:
        ends = word_ends(text, span.start) + word_ends(text, span.end)
        cuts_mark = is_mark(text[span.start]) or (span.end < len(text) and is_mark(text[span.end]))
        if not cuts_mark and (ends == 2 or (ends == 1 and span.end - span.start >= 3)):
            ranked[ends].append(span)
    return ranked[2] or ranked[1]


def _is_accent(char: str) -> bool:
    """True for accents and the points of Hebrew and Arabic; false for Indic vowel signs and dakuten."""
    order = unicodedata.combining(char)
    return order >= 200 or 10 <= order <= 35
