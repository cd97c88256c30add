"""String search that tolerates changes of case, accents, spaces and punctuation, and picks an occurrence."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from lbkd.recovery.words import Span, is_mark, word_ends


def exact(text: str, sought: str) -> list[Span]:
    """All occurrences of a string; if any occurrence is made of whole words, only those."""
    return _best(text, (Span(place, place + len(sought)) for place in _places(text, sought)))


def normalized(text: str, sought: str) -> list[Span]:
    """`exact` without regard to case, accents, compatibility forms (NFKC), spaces and punctuation."""
    folded, origin = _fold(text)
    bare, _ = _fold(sought)
    return _best(
        text,
        (
            Span(origin[place], _grown(text, origin[place + len(bare) - 1] + 1))
            for place in _places(folded, bare)
        ),
    )


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


def _places(text: str, sought: str) -> Iterator[int]:
    """First characters of all occurrences, overlapping ones included; none for an empty string."""
    place = text.find(sought) if sought else -1
    while place >= 0:
        yield place
        place = text.find(sought, place + 1)


def _best(text: str, spans: Iterator[Span]) -> list[Span]:
    """The spans that are whole words; if there is none, beginnings and ends of words of three characters."""
    ranked: dict[int, list[Span]] = {1: [], 2: []}
    for span in spans:
        ends = word_ends(text, span.start) + word_ends(text, span.end)
        cuts_mark = is_mark(text[span.start]) or (span.end < len(text) and is_mark(text[span.end]))
        if not cuts_mark and (ends == 2 or (ends == 1 and span.end - span.start >= 3)):
            ranked[ends].append(span)
    return ranked[2] or ranked[1]


@lru_cache(maxsize=64)
def _fold(text: str) -> tuple[str, list[int]]:
    """A text's letters, digits, symbols and marks other than accents, and the place of each in the text."""
    folded, origin = [], []
    for place, char in enumerate(text):
        for part in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold()):
            kind = unicodedata.category(part)
            if kind[0] not in "CZP" and not _is_accent(part):
                folded.append(part)
                origin.append(place)
    return "".join(folded), origin


def _is_accent(char: str) -> bool:
    """True for accents and the points of Hebrew and Arabic; false for Indic vowel signs and dakuten."""
    order = unicodedata.combining(char)
    return order >= 200 or 10 <= order <= 35


def _grown(text: str, end: int) -> int:
    """The end of a span extended over the combining marks that follow."""
    while end < len(text) and is_mark(text[end]):
        end += 1
    return end
