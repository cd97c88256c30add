"""The occurrence of an answer that is meant by a stated place, which may be wrong or missing."""

import html
import re

from lbkd.graphemes import widen
from lbkd.recovery.recover import RecoveredAnswer
from lbkd.recovery.search import fold, fold_loosely, places
from lbkd.recovery.words import Span, word_ends

MIN_SCORE = 0.4
"""Score below which an occurrence is not believed to be the answer."""

_HALF = 200
"""Distance in characters at which a score is half of that at the stated place."""
_RESPELT, _TRIMMED, _LOOK_ALIKE = 0.95, 0.85, 0.6
"""Likeness of texts that are equal but for case, width, composition, dashes, white space and entities; but for
punctuation at their ends, too; but for accents and all punctuation."""
_OTHER_CAPITALS = 0.5
"""Factor for a short word in capitals and the same letters as a common word: WHO and who."""
_OTHER_NUMBERS = 0.5
"""Factor for texts whose numbers have other values: -5 and 5, 3:30 and 330."""
_CUT_WORD = 0.95
"""Factor for each end of an occurrence that lies inside a word."""
_CUT_WORD_ANYWHERE = 0.7
"""The same for an occurrence that no stated place supports."""
_ANYWHERE = 0.75
"""Factor for a single occurrence that no stated place supports."""

_EDGES = " .,;:!?¡¿…،؛؟۔।。、，！？「」『』《》〈〉【】()[]{}\"'“”‘’«»‹›„‚`"
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d+(?:[^\w\s]\d+)*")
_GROUPING = re.compile(r"[.'’٬](?=\d{3}(?!\d))")


def by_place(answer: str, text: str, near: int, min_score: float = MIN_SCORE) -> RecoveredAnswer | None:
    """Recover the occurrence of an answer that a stated place means, whole words or not.

    The score is the product of likeness (1 for a verbatim occurrence), of 0.95 for each end inside a word and of
    200 / (200 + distance in characters). The best score wins, then the smallest distance. Where no place is
    stated (`near` is 0 or negative), the last factor is 1/2 + 1/4n for n equally good occurrences, the first of
    which is taken, and an end inside a word counts 0.7; an occurrence at 0 counts as one at a stated place.

    Args:
        answer: the answer's wording.
        text: the passage.
        near: the stated first character; 0 or negative if unknown.
        min_score: score below which an occurrence is not taken, from 0 to 1.

    Returns:
        The occurrence, widened to whole grapheme clusters; None if no occurrence has the score.
    """
    reach = int(_HALF * (1 / min_score - 1)) if near > 0 and min_score > 0 else len(text)
    found = _likeness_of_occurrences(answer, text, Span(max(0, near - reach), near + reach))
    scores = {}
    for span, alike in found.items():
        cuts = 2 - word_ends(text, span.start) - word_ends(text, span.end)
        distance = abs(span.start - near)
        if near > 0 or distance == 0:
            scores[span] = alike * _CUT_WORD**cuts * _HALF / (_HALF + distance)
        else:
            scores[span] = alike * _CUT_WORD_ANYWHERE**cuts * _ANYWHERE
    if not scores:
        return None
    best = min(scores, key=lambda span: (-scores[span], abs(span.start - near)))
    score, stated = scores[best], near > 0 or best.start == near
    if not stated:
        score *= (2 + 1 / list(scores.values()).count(score)) / 3
    if score < min_score:
        return None
    return RecoveredAnswer(best, _method(found[best]), score, abs(best.start - near) if stated else None)


def likeness(answer: str, wording: str) -> float:
    """Likeness of an answer and an occurrence of its letters and digits, from 0 to 1 for equal texts."""
    if answer == wording:
        return 1.0
    one, other = fold(answer).text.strip(), fold(wording).text.strip()
    if one == other:
        alike = _RESPELT
    else:
        alike = _TRIMMED if one.strip(_EDGES) == other.strip(_EDGES) else _LOOK_ALIKE
    if _is_acronym(answer) != _is_acronym(wording):
        alike *= _OTHER_CAPITALS
    return alike * (_OTHER_NUMBERS if _numbers(one) != _numbers(other) else 1)


def _method(alike: float) -> str:
    if alike == 1:
        return "answer"
    return "answer-respelt" if alike > _LOOK_ALIKE else "answer-look-alike"


def _likeness_of_occurrences(answer: str, text: str, window: Span) -> dict[Span, float]:
    """Verbatim and folded occurrences that begin in a window, widened to whole grapheme clusters."""
    found: dict[Span, float] = {}
    for spelling in dict.fromkeys((answer, html.unescape(answer), html.escape(answer, quote=False))):
        spans = {Span(*widen(text, place, place + len(spelling))) for place in places(text, spelling, *window)}
        for form in (fold, fold_loosely):
            spans.update(form(text).occurrences(form(spelling).text, *window))
        for span in spans:
            wording = text[slice(*span)]
            alike = likeness(spelling, wording) * (1 if spelling == answer else _RESPELT)
            found[span] = max(alike, found.get(span, 0))
    return found


def _is_acronym(text: str) -> bool:
    """Whether a text is one word of two to four capitals, full stops aside."""
    letters = text.strip(_EDGES).replace(".", "")
    return 2 <= len(letters) <= 4 and letters.isalpha() and letters.isupper()


def _numbers(folded: str) -> list[str]:
    """The numbers of a folded text, without regard to the sign of decimals and of thousands."""
    return [_GROUPING.sub("", number.replace(",", ".")) for number in _NUMBER.findall(folded)]
