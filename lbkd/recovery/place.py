"""The occurrence of an answer that is meant by a stated place, which may be wrong or missing."""

from collections.abc import Collection

from lbkd.graphemes import widen
from lbkd.recovery.likeness import LOOK_ALIKE, MIN_SCORE, likeness, spellings
from lbkd.recovery.recover import RecoveredAnswer
from lbkd.recovery.search import fold, fold_loosely, places
from lbkd.recovery.sentences import cut
from lbkd.recovery.words import Span, beginnings, word_ends

_HALF = 200
"""Distance in characters at which a score is half of that at the stated place."""
_CUT_WORD, _CUT_SHORT_WORD, _SHORT = 0.9, 0.75, 4
"""Factors for each end of an occurrence that lies inside a word; the second is for up to four characters."""
_ANYWHERE = 0.75
"""Factor for a single occurrence that no stated place supports."""
_LANGUAGE = "en"
"""Language whose rules split passages into sentences, since the passage's language is unknown."""


def by_place(
    answer: str, text: str, near: int, min_score: float = MIN_SCORE, question: str = ""
) -> RecoveredAnswer | None:
    """Recover the occurrence of an answer that a stated place means, whole words or not.

    The occurrence with the greatest likeness * 200 / (200 + distance in characters) is taken. Likeness is
    1 for a verbatim occurrence, less for another spelling. The score is this figure and, unless the
    occurrence is at the place, times 0.9 for each end inside a word, 0.75 if it has at most four characters.

    Where no place is stated (`near` is 0 or negative), `likeliest` chooses among the occurrences of the
    greatest likeness, and 1/2 + 1/4n for n such occurrences stands for the distance. So a verbatim occurrence
    is always found if it is the only one. An occurrence at 0 counts as one at a stated place if `near` is 0.

    Args:
        answer: the answer's wording.
        text: the passage.
        near: the stated first character; 0 or negative if unknown.
        min_score: score below which an occurrence is not taken, from 0 to 1.
        question: the question, which tells occurrences apart where no place is stated.

    Returns:
        The occurrence, widened to whole grapheme clusters; None if no occurrence has the score.
    """
    near = max(near, -1)
    reach = round(_HALF * (1 / min_score - 1)) if near > 0 and min_score > 0 else max(near, 0) + len(text)
    found = _likeness_of_occurrences(answer, text, Span(max(0, near - reach), near + reach))
    if not found:
        return None
    if near > 0:
        best = _nearest(found, text, near)
    else:
        best = _anywhere(found, text, question)
        at_place = [RecoveredAnswer(s, _method(found[s]), found[s], 0) for s in found if s.start == near]
        best = max([*at_place, best], key=lambda each: each.score)
    return best if best.score >= min_score else None


def likeliest(spans: Collection[Span], text: str, question: str) -> Span:
    """The one of several occurrences that an answer without a stated place means most probably.

    Whole words come before beginnings and ends of words, these before the insides of words; then the sentence
    that has most words of the question; then the first occurrence.
    """
    cuts = {span: 2 - word_ends(text, span.start) - word_ends(text, span.end) for span in spans}
    left = sorted(span for span in spans if cuts[span] == min(cuts.values()))
    if len(left) == 1 or not question:
        return left[0]
    asked = beginnings(question)
    common = {sentence: len(asked & beginnings(text[slice(*sentence)])) for sentence in cut(text, _LANGUAGE)}

    def shared(span: Span) -> int:
        return next((number for sentence, number in common.items() if span.start < sentence.end), 0)

    return max(left, key=shared)


def _nearest(found: dict[Span, float], text: str, near: int) -> RecoveredAnswer:
    """The occurrence with the greatest likeness for its distance from a stated place."""
    far = {span: abs(span.start - near) for span in found}
    whole = {span: _wholeness(text, span) if far[span] else 1.0 for span in found}
    value = {span: alike * _HALF / (_HALF + far[span]) for span, alike in found.items()}
    best = max(found, key=lambda span: (value[span], -far[span], whole[span]))
    return RecoveredAnswer(best, _method(found[best]), value[best] * whole[best], far[best])


def _anywhere(found: dict[Span, float], text: str, question: str) -> RecoveredAnswer:
    """The likeliest of the occurrences of the greatest likeness."""
    alike = max(found.values())
    equal = [span for span in found if found[span] == alike]
    best = likeliest(equal, text, question)
    score = alike * _ANYWHERE * _wholeness(text, best) * (2 + 1 / len(equal)) / 3
    return RecoveredAnswer(best, _method(alike), score, choices=len(equal))


def _method(alike: float) -> str:
    if alike == 1:
        return "answer"
    return "answer-respelt" if alike > LOOK_ALIKE else "answer-look-alike"


def _likeness_of_occurrences(answer: str, text: str, window: Span) -> dict[Span, float]:
    """Verbatim and folded occurrences that begin in a window, widened to whole grapheme clusters."""
    found: dict[Span, float] = {}
    for spelling in spellings(answer):
        spans = {
            Span(*widen(text, place, place + len(spelling))) for place in places(text, spelling, *window)
        }
        for form in (fold, fold_loosely):
            spans.update(form(text).occurrences(form(spelling).text, *window))
        found.update({span: likeness(answer, text[slice(*span)]) for span in spans - found.keys()})
    return found


def _wholeness(text: str, span: Span) -> float:
    """1 for whole words, less for ends inside words; letters may follow digits, as in 45th."""
    cuts = sum(not word_ends(text, end) and text[end - 1].isdigit() == text[end].isdigit() for end in span)
    factor: float = (_CUT_SHORT_WORD if span.end - span.start <= _SHORT else _CUT_WORD) ** cuts
    return factor
