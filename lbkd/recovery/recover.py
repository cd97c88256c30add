"""One answer after another found in the translation of its sentence, by the surest method that finds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from lbkd.errors import ConfigError, nearest
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.markers import Marked
from lbkd.recovery.search import counterpart, exact, normalized
from lbkd.recovery.words import Span, word_ends, words

FAMILIES = ("marked", "answer", "alignment")
"""What the user chooses from, in the order in which they are tried: each seeks what those before it lost."""

METHODS = ("marked", "marked-normalized", "answer", "answer-normalized", "alignment")
"""What is noted with an answer; normalized where the string itself does not occur."""

LEAST = 0.3
"""Score of an alignment below which it is not believed."""


@dataclass(frozen=True)
class Found:
    """Where an answer is, by which method, and how sure that is."""

    span: Span
    method: str
    score: float
    """0 to 1; what it measures depends on the method, see the functions below."""

    def fields(self, text: str, start: int) -> dict[str, Any]:
        """What an answer's entry in a file says, given the answer and where it stands in its passage."""
        return {"text": text, "answer_start": start, "method": self.method, "score": round(self.score, 4)}


def check_methods(names: Sequence[str]) -> None:
    """ConfigError for an unknown method, or none at all."""
    for name in names or ("",):
        if name not in FAMILIES:
            raise ConfigError(f"no method {name!r} (--methods); {nearest(name, FAMILIES)}")


def by_marker(marked: Marked, text: str) -> Found | None:
    """The marked span of one translation, found in the translation of the sentence without markers.

    The score is the share of words that both translations have in common, in order (twice the common ones
    over all): 1 if the markers changed nothing.
    """
    if marked.text == text:
        return Found(marked.span, "marked", 1.0)
    answer = marked.text[slice(*marked.span)]
    for search, method in ((exact, "marked"), (normalized, "marked-normalized")):
        if spans := search(text, answer):
            span = counterpart(spans, text, search(marked.text, answer), marked.span, marked.text)
            return Found(span, method, _common(marked.text, text))
    return None


def by_string(answer: str, text: str, source: str, span: Span) -> Found | None:
    """The answer's own translation, found in that of its sentence.

    The score is 1 over the number of occurrences, halved where the answer is only a part of a word.

    Args:
        answer: the translation of the answer alone.
        text: the translation of the sentence.
        source: the sentence.
        span: where it has the answer.
    """
    others = exact(source, source[slice(*span)])
    for search, method in ((exact, "answer"), (normalized, "answer-normalized")):
        if spans := search(text, answer):
            place = counterpart(spans, text, others, span, source)
            return Found(place, method, _whole(text, place) / len(spans))
    return None


def by_place(answer: str, text: str, near: int) -> Found | None:
    """The answer's occurrence that is nearest to a place in the text; the score is that of `by_string`."""
    for search, method in ((exact, "answer"), (normalized, "answer-normalized")):
        if spans := search(text, answer):
            span = min(spans, key=lambda span: abs(span.start - near))
            return Found(span, method, _whole(text, span) / len(spans))
    return None


def by_alignment(aligner: Aligner, source: str, span: Span, text: str) -> Found | None:
    """The words that translate the answer's, by the word aligner."""
    projected = aligner.project(source, span, text)
    if projected is None or projected[1] < LEAST:
        return None
    return Found(projected[0], "alignment", projected[1])


def _whole(text: str, span: Span) -> float:
    """1 for whole words, one half for a part of one."""
    return 1.0 if word_ends(text, span.start) and word_ends(text, span.end) else 0.5


def _common(one: str, other: str) -> float:
    ours, theirs = ([text[slice(*span)] for span in words(text)] for text in (one, other))
    return float(SequenceMatcher(None, ours, theirs, autojunk=False).ratio())
