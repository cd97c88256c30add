"""Passages cut into sentences that give the passage back."""

from collections.abc import Sequence

from sentencex import segment

from lbkd.recovery.words import Span


def cut(text: str, language: str, whole: Sequence[Span] = ()) -> list[Span]:
    """Where the sentences stand, without the white space around them.

    Between them and at both ends there is white space alone. Sentences are joined where one of the spans in
    `whole`, such as an answer, would be cut.
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
