"""Passages split into sentences, and long sentences into halves; only white space lies outside the pieces."""

import re
from collections.abc import Iterator, Sequence

from sentencex import segment

from lbkd.recovery.words import Span
from lbkd.scripts import is_unspaced

_BLOCK = 10_000
"""Characters that are split at once: the cost of sentencex grows with the square of a text's length."""


def cut(text: str, language: str, whole: Sequence[Span] = ()) -> list[Span]:
    """Spans of the sentences without surrounding white space.

    Args:
        text: the passage.
        language: ISO code whose rules apply.
        whole: spans that no boundary may cut, such as answers; the sentences that share a span are joined.
    """
    joined: list[Span] = []
    kept = sorted(whole)
    number, reach = 0, 0  # the spans before `number` begin inside joined sentences and end at `reach` at most
    for piece in _pieces(text, language):
        inner = text[slice(*piece)]
        if not inner.strip():
            continue
        span = Span(piece.end - len(inner.lstrip()), piece.start + len(inner.rstrip()))
        if joined and reach > span.start:
            span = Span(joined.pop().start, span.end)
        joined.append(span)
        while number < len(kept) and kept[number].start < span.end:
            reach = max(reach, kept[number].end)
            number += 1
    return joined


_SHORTEST = 20
"""Characters below which a text is not halved."""
_CLAUSE = re.compile(r"(?<=[,;:،؛])\s+|(?<=[、，；：。！？।])\s*|\s+(?=[(–—-])")
"""Place after a mark of a clause, or before a dash or a bracket."""


def halves(text: str) -> tuple[str, str] | None:
    """A text cut near its middle, without the white space at the cut; None for a text that cannot be cut.

    The cut is at the mark of a clause nearest to the middle; if the middle half of the text has none, at the
    nearest white space, else between two characters of a script that is written without spaces.
    """
    if len(text) < _SHORTEST:
        return None
    middle, first, last = len(text) // 2, len(text) // 4, len(text) - len(text) // 4
    for found in (_CLAUSE, re.compile(r"\s+")):
        spans = (Span(*match.span()) for match in found.finditer(text, first, last))
        near = min(spans, key=lambda span: abs(span.start - middle), default=None)
        if near is not None:
            return text[: near.start], text[near.end :]
    places = (place for place in range(first, last) if all(map(is_unspaced, text[place - 1 : place + 1])))
    place = min(places, key=lambda place: abs(place - middle), default=None)
    return None if place is None else (text[:place], text[place:])


def _pieces(text: str, language: str) -> Iterator[Span]:
    """Spans of the sentences with white space, split in blocks that end where a sentence does."""
    start, size = 0, _BLOCK
    while start < len(text):
        pieces = [len(piece) for piece in segment(language, text[start : start + size])]
        last = start + size >= len(text)
        complete = pieces if last else pieces[:-1]  # the block may end inside its last sentence
        if not last and not any(complete):
            size *= 2  # one sentence fills the block
            continue
        for length in complete:
            yield Span(start, start + length)
            start += length
        if last:
            return
        size = _BLOCK
