"""Places of answers: from offsets in any unit, and of answers without offsets."""

import unicodedata
from typing import NamedTuple

from lbkd.recovery.offsets import CHARACTERS, character
from lbkd.recovery.place import likeliest
from lbkd.recovery.search import places
from lbkd.recovery.words import Span

ONLY = "answers without offset: set to their only occurrence"
SEVERAL = "answers without offset: set to the likeliest of several occurrences"
WORDING = "answers worded as the passage has them"
MISPLACED = "answers not at their offset: left to `data repair`"
ABSENT = "answers whose text is not in the passage: left to `data repair`"


class Placed(NamedTuple):
    """An answer's place in its passage; the text is the passage's own if the answer is there."""

    text: str
    start: int
    how: str
    """The kind of change or loss; empty for an answer that stands at its offset in characters."""


def _fits(passage: str, text: str, start: int) -> int | None:
    """The place of an answer without white space at its edges, if `start` is the place of the whole text or
    of the text without that white space; None otherwise.
    """
    bare = text.strip()
    if passage.startswith(text, start):
        start += len(text) - len(text.lstrip())
    return start if passage.startswith(bare, start) else None


def place(passage: str, text: str, start: int | None, end: int | None, unit: str, question: str) -> Placed:
    """The place of an answer in characters; its old offset, or -1, where it does not stand at any.

    Args:
        passage: the passage.
        text: the answer; white space at its edges is stripped.
        start: the offset; None or negative for an answer without offset.
        end: the offset behind the answer, or None; used where the passage words the answer otherwise.
        unit: unit of the offsets, of `lbkd.recovery.offsets.UNITS`.
        question: the question, which tells the occurrences of an answer without offset apart.
    """
    bare = text.strip()
    if start is None or start < 0:
        return _sought(passage, bare, question)
    if end is not None and _folded(passage[start:end]) == _folded(bare):
        span = passage[start:end]
        return Placed(span.strip(), start + len(span) - len(span.lstrip()), "" if span == text else WORDING)
    for each in dict.fromkeys((unit, CHARACTERS)):
        at = character(passage, start, each)
        if (found := _fits(passage, text, at)) is not None:
            return Placed(bare, found, "" if each == CHARACTERS or at == start else f"offsets in {each}")
    return Placed(bare, character(passage, start, unit), MISPLACED if bare in passage else ABSENT)


def _folded(text: str) -> str:
    """A text without white space and without differences of case, width and composition."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _sought(passage: str, bare: str, question: str) -> Placed:
    found = [Span(start, start + len(bare)) for start in places(passage, bare)]
    if not found:
        return Placed(bare, -1, ABSENT)
    return Placed(bare, likeliest(found, passage, question).start, ONLY if len(found) == 1 else SEVERAL)
