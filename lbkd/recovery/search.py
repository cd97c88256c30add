"""A string found in a text: as it is, or without what translation tends to change; and which occurrence."""

import unicodedata
from collections.abc import Iterator

from lbkd.recovery.words import Span, is_mark, word_ends


def exact(text: str, sought: str) -> list[Span]:
    """Where the string stands in the text, as whole words if it does anywhere."""
    return _best(text, (Span(place, place + len(sought)) for place in _places(text, sought)))


def normalized(text: str, sought: str) -> list[Span]:
    """The same without regard to case, accents, compatibility forms (NFKC), spaces and punctuation."""
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
    """Which occurrence stands for `chosen`, one of `other` in another text.

    The first for the first, and so on, if both texts have as many; else the nearest by its relative place.
    """
    if len(found) == len(other) and chosen in other:
        return found[other.index(chosen)]
    share = (chosen.start + chosen.end) / (2 * len(other_text))
    return min(found, key=lambda span: abs((span.start + span.end) / (2 * len(text)) - share))


def _places(text: str, sought: str) -> Iterator[int]:
    place = text.find(sought) if sought else -1
    while place >= 0:
        yield place
        place = text.find(sought, place + 1)


def _best(text: str, spans: Iterator[Span]) -> list[Span]:
    """Those that are whole words; if none is, beginnings or ends of words that have three characters."""
    ranked: dict[int, list[Span]] = {1: [], 2: []}
    for span in spans:
        ends = word_ends(text, span.start) + word_ends(text, span.end)
        cuts_mark = is_mark(text[span.start]) or (span.end < len(text) and is_mark(text[span.end]))
        if not cuts_mark and (ends == 2 or (ends == 1 and span.end - span.start >= 3)):
            ranked[ends].append(span)
    return ranked[2] or ranked[1]


def _fold(text: str) -> tuple[str, list[int]]:
    """Letters, digits, symbols and the marks that are no accents; and the place that each comes from."""
    folded, origin = [], []
    for place, char in enumerate(text):
        for part in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold()):
            kind = unicodedata.category(part)
            if kind[0] not in "CZP" and not _is_accent(part):
                folded.append(part)
                origin.append(place)
    return "".join(folded), origin


def _is_accent(char: str) -> bool:
    """Accents, and the points of Hebrew and Arabic, but no vowel sign of Indic scripts and no dakuten."""
    order = unicodedata.combining(char)
    return order >= 200 or 10 <= order <= 35


def _grown(text: str, end: int) -> int:
    while end < len(text) and is_mark(text[end]):
        end += 1
    return end
