"""Places of answers: offsets in characters, UTF-8 bytes or UTF-16 units, and answers without offsets."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

CHARACTERS, BYTES, UTF_16 = "characters", "bytes", "UTF-16 units"
ONLY = "answers without offset: set to their only occurrence"
FIRST = "answers without offset: set to the first of several occurrences"
WORDING = "answers worded as the passage has them"
MISPLACED = "answers not at their offset: left to `data repair`"
ABSENT = "answers whose text is not in the passage: left to `data repair`"
_ENCODINGS = {BYTES: ("utf-8", 1), UTF_16: ("utf-16-le", 2)}


class Placed(NamedTuple):
    """An answer's place in its passage; the text is the passage's own if the answer is there."""

    text: str
    start: int
    how: str
    """The kind of change or loss; empty for an answer that stands at its offset in characters."""


@lru_cache(maxsize=4)
def _encoded(passage: str, encoding: str) -> bytes:
    return passage.encode(encoding)


def characters(passage: str, offset: int, unit: str) -> int | None:
    """The offset in characters of an offset in another unit; None for one inside a character or outside."""
    if unit == CHARACTERS:
        return offset
    encoding, size = _ENCODINGS[unit]
    raw = _encoded(passage, encoding)
    if not 0 <= offset * size <= len(raw):
        return None
    try:
        return len(raw[: offset * size].decode(encoding))
    except UnicodeDecodeError:
        return None


def fits(passage: str, text: str, start: int | None) -> int | None:
    """The place of an answer without white space at its edges, if `start` is the place of the whole text or
    of the text without that white space; None otherwise.
    """
    bare = text.strip()
    if start is None or start < 0:
        return None
    if passage.startswith(text, start):
        start += len(text) - len(text.lstrip())
    return start if passage.startswith(bare, start) else None


def unit_of(answers: Iterable[tuple[str, str, int]]) -> str:
    """The unit of a file's offsets: the one at which most answers stand of those that tell units apart.

    Args:
        answers: passage, text and offset of each answer.
    """
    votes: Counter[str] = Counter()
    for passage, text, start in answers:
        if passage.isascii():
            continue
        places = {unit: fits(passage, text, characters(passage, start, unit)) for unit in (BYTES, UTF_16)}
        places[CHARACTERS] = fits(passage, text, start)
        if len({*places.values()}) > 1:
            votes.update(unit for unit, place in places.items() if place is not None)
    return max((CHARACTERS, BYTES, UTF_16), key=lambda unit: votes[unit])  # the first of equals


def place(passage: str, text: str, start: int | None, end: int | None, unit: str) -> Placed:
    """The place of an answer in characters; its old offset, or -1, where it does not stand at any.

    Args:
        passage: the passage.
        text: the answer; white space at its edges is stripped.
        start: the offset; None or negative for an answer without offset.
        end: the offset behind the answer, or None; used where the passage words the answer otherwise.
        unit: unit of the offsets.
    """
    bare = text.strip()
    if start is None or start < 0:
        return _sought(passage, bare)
    if end is not None and _folded(passage[start:end]) == _folded(bare):
        span = passage[start:end]
        return Placed(span.strip(), start + len(span) - len(span.lstrip()), "" if span == text else WORDING)
    for each in dict.fromkeys((unit, CHARACTERS)):
        at = characters(passage, start, each)
        if (found := fits(passage, text, at)) is not None:
            return Placed(bare, found, "" if each == CHARACTERS or at == start else f"offsets in {each}")
    at = characters(passage, start, unit)
    return Placed(bare, start if at is None else at, MISPLACED if bare in passage else ABSENT)


def _folded(text: str) -> str:
    """A text without white space and without differences of case, width and composition."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _sought(passage: str, bare: str) -> Placed:
    found = passage.find(bare)
    if found < 0:
        return Placed(bare, -1, ABSENT)
    if passage.find(bare, found + 1) < 0:
        return Placed(bare, found, ONLY)
    return Placed(bare, found, FIRST)
