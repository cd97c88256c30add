"""Units of answers' offsets: characters, or what another program counted instead of characters."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate, pairwise
from unicodedata import normalize

from lbkd.graphemes import starts

CHARACTERS = "characters"

UNITS: Mapping[str, Callable[[str], int]] = {
    CHARACTERS: len,
    "UTF-8 bytes": lambda text: len(text.encode()),
    "UTF-16 units": lambda text: len(text.encode("utf-16-le")) // 2,
    "characters of the composed text (NFC)": lambda text: len(normalize("NFC", text)),
    "characters of the decomposed text (NFD)": lambda text: len(normalize("NFD", text)),
}
"""Name of a unit to the function that measures a grapheme cluster in the unit."""


def character(text: str, offset: int, unit: str) -> int:
    """The character of a text at an offset in a unit of `UNITS`; a negative offset stays as it is.

    Offsets inside a grapheme cluster give the cluster's first character, except where the unit is characters.
    """
    if unit == CHARACTERS or offset < 0:
        return offset
    clusters, n = starts(text), bisect_right(_measured(text, unit), offset) - 1
    return clusters[n] if n < len(clusters) else len(text)


def unit_of(answers: Iterable[tuple[str, str, int]]) -> str:
    """The unit in which the answers stand at their offsets, up to case and composition.

    A unit other than characters must give more answers their places than characters do, and at least half of
    those whose place it changes.

    Args:
        answers: passage, wording and offset of each answer.
    """
    changed: Counter[str] = Counter()
    gained: Counter[str] = Counter()
    telling = [answer for answer in answers if answer[2] > 0 and not answer[0].isascii()]
    if all(_stands(*answer) for answer in telling):  # no unit can give more of them their places
        return CHARACTERS
    for passage, text, offset in telling:
        right = {offset: _stands(passage, text, offset)}
        for unit in UNITS:
            place = character(passage, offset, unit)
            if place != offset:
                changed[unit] += 1
                gained[unit] += right.setdefault(place, _stands(passage, text, place)) - right[offset]
    best = max(UNITS, key=lambda unit: gained[unit])
    return best if gained[best] > 0 and 2 * gained[best] >= changed[best] else CHARACTERS


def zero_is_no_place(answers: Iterable[tuple[str, str, int]]) -> bool:
    """Whether 0 stands for a dropped offset: fewer than half of the answers with this offset are there.

    Args:
        answers: passage, wording and offset of each answer.
    """
    there = [_stands(passage, text.lstrip(), 0) for passage, text, offset in answers if offset == 0]
    return 2 * sum(there) < len(there)


def _stands(passage: str, text: str, place: int) -> bool:
    """Whether an answer stands at a place, up to case and composition."""
    if passage.startswith(text, place):
        return True
    there = passage[place : place + len(normalize("NFD", text))]
    return normalize("NFC", there).casefold().startswith(normalize("NFC", text).casefold())


@lru_cache(maxsize=64)
def _measured(text: str, unit: str) -> tuple[int, ...]:
    """Offset in a unit of each grapheme cluster of a text, and of the text's end."""
    sizes = (UNITS[unit](text[start:end]) for start, end in pairwise((*starts(text), len(text))))
    return tuple(accumulate(sizes, initial=0))
