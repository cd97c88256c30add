"""Units of answers' offsets: characters, or what another program counted instead of characters."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
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
    before = _measured(text, unit)
    return (*starts(text), len(text))[bisect_right(before, offset) - 1]


def unit_of(answers: Iterable[tuple[str, str, int]]) -> str:
    """The unit in which the most answers stand at their offsets, up to case and composition.

    Answers for which the units give the same character do not count. Of several units, the first of `UNITS`.

    Args:
        answers: passage, wording and offset of each answer.
    """
    hits = Counter({CHARACTERS: 0})
    for passage, text, offset in answers:
        if offset <= 0 or not text or passage.isascii():
            continue
        at = {unit: character(passage, offset, unit) for unit in UNITS}
        if len(set(at.values())) > 1:
            right = {place: _stands(passage, text, place) for place in set(at.values())}
            hits.update(unit for unit in UNITS if right[at[unit]])
    return max(UNITS, key=lambda unit: hits[unit])


def _stands(passage: str, text: str, place: int) -> bool:
    """Whether an answer stands at a place, up to case and composition."""
    if passage.startswith(text, place):
        return True
    there = passage[place : place + len(normalize("NFD", text))]
    return normalize("NFC", there).casefold().startswith(normalize("NFC", text).casefold())


@lru_cache(maxsize=64)
def _measured(text: str, unit: str) -> tuple[int, ...]:
    """Offset in a unit of each grapheme cluster of a text, and of the text's end."""
    first = starts(text)
    measure = UNITS[unit]
    sizes = (measure(text[start:end]) for start, end in zip(first, (*first[1:], len(text)), strict=True))
    return tuple(accumulate(sizes, initial=0))
