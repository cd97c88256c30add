"""Words of any language as places in the text; scripts without spaces have a word a character."""

import re
import unicodedata
from typing import NamedTuple

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana, Chinese characters."""


class Span(NamedTuple):
    """Characters `start` to `end` of a text, `end` not included."""

    start: int
    end: int


def words(text: str) -> list[Span]:
    """Where the words stand; each punctuation mark and symbol is a word of its own.

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
        if joined and (is_mark(char) or (grows and letter and not _UNSPACED.match(char))):
            found[-1] = Span(found[-1].start, place + 1)
        else:
            found.append(Span(place, place + 1))
            grows = letter and not _UNSPACED.match(char)
    return found


def is_mark(char: str) -> bool:
    """Whether a character combines with the one before it, or is invisible between two."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf")


def is_word(text: str) -> bool:
    """Whether there is a letter or digit in it."""
    return any(unicodedata.category(char)[0] in "LN" for char in text)


def word_ends(text: str, place: int) -> bool:
    """Whether a word may begin or end before character `place`."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    if is_mark(after):
        return False
    if not (is_word(before) or is_mark(before)) or not is_word(after):
        return True
    return bool(_UNSPACED.match(before) or _UNSPACED.match(after))
