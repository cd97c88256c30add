"""Words of any language as spans of the text; scripts without spaces have one word a character."""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from lbkd.scripts import is_unspaced

_BEGINNING = 5
"""First characters by which words are compared, so that inflected forms count as one word."""


class Span(NamedTuple):
    """Characters `start` to `end` of a text, `end` not included."""

    start: int
    end: int


def words(text: str) -> list[Span]:
    """Spans of the words; each punctuation mark and each symbol is a word of its own.

    Combining marks and joiners belong to the character before them.
    """
    found: list[Span] = []
    grows = False
    for place, char in enumerate(text):
        if char.isspace():
            grows = False
            continue
        letter = unicodedata.category(char)[0] in "LN"
        joined = bool(found) and found[-1].end == place
        if joined and (is_mark(char) or (grows and letter and not is_unspaced(char))):
            found[-1] = Span(found[-1].start, place + 1)
        else:
            found.append(Span(place, place + 1))
            grows = letter and not is_unspaced(char)
    return found


def is_mark(char: str) -> bool:
    """Whether a character combines with the one before, or is an invisible format character."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf")


def is_word(text: str) -> bool:
    """Whether a text has at least one letter or digit."""
    return any(unicodedata.category(char)[0] in "LN" for char in text)


@lru_cache(maxsize=2**17)
def beginning(word: str) -> str:
    """The first characters of a word, by which words are compared: without regard to case and width."""
    return unicodedata.normalize("NFKC", word).casefold()[:_BEGINNING]


def beginnings(text: str) -> set[str]:
    """Beginnings of a text's words that have a letter or digit."""
    found = (text[slice(*span)] for span in words(text))
    return {beginning(word) for word in found if is_word(word)}


def word_ends(text: str, place: int) -> bool:
    """Whether a word may begin or end right before character `place`."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    if is_mark(after):
        return False
    if not (is_word(before) or is_mark(before)) or not is_word(after):
        return True
    return is_unspaced(before) or is_unspaced(after)
