"""Passages split into sentences; no character but white space lies outside the sentences."""

from collections.abc import Sequence

from sentencex import segment

from lbkd.recovery.words import Span


def cut(text: str, language: str, whole: Sequence[Span] = ()) -> list[Span]:
    """Spans of the sentences without surrounding white space.

    Args:
        text: the passage.
        language: ISO code whose rules apply.
        whole: spans that no boundary may cut, such as answers; the sentences that share a span are joined.
    """
    found: list[Span] = []
    start = 0
    for piece in segment(language, text):
        inner = piece.strip()
        if inner:
            first = start + len(piece) - len(piece.lstrip())
            found.append(Span(first, first + len(inner)))
        start += len(piece)
    joined: list[Span] = []
    for span in found:
        if joined and any(keep.start < joined[-1].end and keep.end > span.start for keep in whole):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined
