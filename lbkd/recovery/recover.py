"""Methods that recover an answer in the translation of its sentence: markers, string search, alignment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from lbkd.errors import ConfigError, nearest
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.likeness import MIN_SCORE, likeness, spellings
from lbkd.recovery.markers import Marked
from lbkd.recovery.search import counterpart, exact, normalized
from lbkd.recovery.words import Span, word_ends, words

FAMILIES = ("marked", "answer", "alignment")
"""Choices of `--methods`, in the order in which they are tried on the answers not yet recovered."""

METHODS = (
    *("marked", "marked-normalized", "answer", "answer-respelt", "answer-look-alike", "answer-normalized"),
    "alignment",
)
"""Names of methods in files and reports; `-normalized` where only `search.normalized` finds the string,
`-respelt` and `-look-alike` where `place.by_place` finds another spelling."""

MIN_ALIGNMENT_SCORE = 0.3
"""Score below which an alignment is rejected."""

_MOST_COMPARED = 4_000_000
"""Pairs of words up to which the order of common words is compared, which takes quadratic time."""


@dataclass(frozen=True)
class RecoveredAnswer:
    """The span of an answer in its new text, with the method that found the span."""

    span: Span
    method: str
    """One of `METHODS`; in repaired files also `in place` and, for a cut answer, `whole characters`."""
    score: float
    """Confidence from 0 to 1; the method's function tells what the score measures."""
    distance: int | None = None
    """Characters between the span's start and the place that a file states; None where no place is stated."""
    choices: int = 1
    """Equal occurrences that this one was chosen from, where no place is stated."""

    def fields(self, text: str, start: int) -> dict[str, Any]:
        """The fields of the answer in a SQuAD-format file, given its wording and its place in the passage."""
        return {"text": text, "answer_start": start, "method": self.method, "score": round(self.score, 4)}


def check_methods(names: Sequence[str]) -> None:
    """Raise ConfigError for an unknown method or an empty list."""
    for name in names or ("",):
        if name not in FAMILIES:
            raise ConfigError(f"no method {name!r} (--methods); {nearest(name, FAMILIES)}")


def by_marker(marked: Marked, text: str) -> RecoveredAnswer | None:
    """Recover the marked span of one translation in the translation of the sentence without markers.

    The score is the share of words that both translations have in common, in order (twice the number of
    common words over the number of all words): 1 if the markers left the translation unchanged.
    """
    if marked.text == text:
        return RecoveredAnswer(marked.span, "marked", 1.0)
    answer = marked.text[slice(*marked.span)]
    for search, method in ((exact, "marked"), (normalized, "marked-normalized")):
        if spans := search(text, answer):
            span = counterpart(spans, text, search(marked.text, answer), marked.span, marked.text)
            return RecoveredAnswer(span, method, _common_words(marked.text, text))
    return None


def by_string(
    answer: str, text: str, source: str, span: Span, min_likeness: float = MIN_SCORE
) -> RecoveredAnswer | None:
    """Recover the translation of an answer alone in the translation of its sentence.

    The score is the occurrence's likeness over the number of occurrences, halved where the answer begins or
    ends inside a word.

    Args:
        answer: the translation of the answer alone.
        text: the translation of the sentence.
        source: the sentence in the source language.
        span: the answer's span in `source`.
        min_likeness: likeness (see `lbkd.recovery.likeness`) below which an occurrence is not taken.
    """
    others = exact(source, source[slice(*span)])
    for method, found in _occurrences(answer, text):
        alike = {place: likeness(answer, text[slice(*place)]) for place in found}
        if spans := [place for place in found if alike[place] >= min_likeness]:
            place = counterpart(spans, text, others, span, source)
            return RecoveredAnswer(place, method, alike[place] * _word_score(text, place) / len(spans))
    return None


def by_alignment(aligner: Aligner, source: str, span: Span, text: str) -> RecoveredAnswer | None:
    """Recover the words that are aligned to the words of an answer; the score is `Aligner.project`'s."""
    projected = aligner.project(source, span, text)
    if projected is None:
        return None
    place, score = projected
    return RecoveredAnswer(place, "alignment", score) if score >= MIN_ALIGNMENT_SCORE else None


def _occurrences(answer: str, text: str) -> Iterator[tuple[str, list[Span]]]:
    """Method and occurrences of an answer in any of its spellings."""
    for spelling in spellings(answer):
        yield "answer", exact(text, spelling)
        yield "answer-normalized", normalized(text, spelling)


def _word_score(text: str, span: Span) -> float:
    """1 for a span of whole words, 0.5 for a span that begins or ends inside a word."""
    return 1.0 if word_ends(text, span.start) and word_ends(text, span.end) else 0.5


def _common_words(one: str, other: str) -> float:
    """Twice the number of words in common over the number of words of both texts.

    Words count as common if their order is equal, too; in very long texts, whatever their order.
    """
    ours, theirs = ([text[slice(*span)] for span in words(text)] for text in (one, other))
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    short = len(ours) * len(theirs) <= _MOST_COMPARED
    return float(matcher.ratio() if short else matcher.quick_ratio())
