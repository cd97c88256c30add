"""The occurrence of an answer that is meant by a stated place, which may be wrong or missing."""

import re

from lbkd.graphemes import widen
from lbkd.recovery.recover import RecoveredAnswer, spellings
from lbkd.recovery.search import fold, fold_loosely, places
from lbkd.recovery.words import Span, word_ends

MIN_SCORE = 0.4
"""Score below which an occurrence is not believed to be the answer."""

_HALF = 200
"""Distance in characters at which a score is half of that at the stated place."""
_RESPELT, _TRIMMED, _LOOK_ALIKE = 0.98, 0.85, 0.6
"""Likeness of texts that are equal but for case, width, composition, dashes, white space and HTML entities;
but for punctuation at their ends, too; but for accents and all punctuation."""
_OTHER_CAPITALS = 0.42
"""Factor for a short word in capitals and the same letters as a common word: WHO and who."""
_OTHER_NUMBERS = 0.5
"""Factor for texts whose numbers have other values: -5 and 5, 3:30 and 330."""
_CUT_WORD, _CUT_SHORT_WORD, _SHORT = 0.9, 0.7, 4
"""Factors for each end of an occurrence that lies inside a word; the second is for up to four characters."""
_ANYWHERE = 0.75
"""Factor for a single occurrence that no stated place supports."""

_EDGES = " .,;:!?¡¿…،؛؟۔।。、，！？「」『』《》〈〉【】()[]{}\"'“”‘’«»‹›„‚`"
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d+(?:[^\w\s]\d+)*")
_GROUPING = re.compile(r"[.'’٬](?=\d{3}(?!\d))")


def by_place(answer: str, text: str, near: int, min_score: float = MIN_SCORE) -> RecoveredAnswer | None:
    """Recover the occurrence of an answer that a stated place means, whole words or not.

    The occurrence with the greatest likeness * 200 / (200 + distance in characters) is taken. Likeness is
    1 for a verbatim occurrence, less for another spelling. The score is this figure and, unless the
    occurrence is at the place, times 0.9 for each end inside a word, 0.7 if it has at most four characters.

    Where no place is stated (`near` is 0 or negative), the first occurrence with the greatest likeness is
    taken, whole words before others, and 1/2 + 1/4n for n such occurrences stands for the distance. An
    occurrence at 0 counts as one at a stated place.

    Args:
        answer: the answer's wording.
        text: the passage.
        near: the stated first character; 0 or negative if unknown.
        min_score: score below which an occurrence is not taken, from 0 to 1.

    Returns:
        The occurrence, widened to whole grapheme clusters; None if no occurrence has the score.
    """
    reach = round(_HALF * (1 / min_score - 1)) if near > 0 and min_score > 0 else near + len(text)
    found = _likeness_of_occurrences(answer, text, Span(max(0, near - reach), max(0, near + reach)))
    if not found:
        return None
    whole = {span: 1.0 if span.start == near else _wholeness(text, span) for span in found}
    far = {span: abs(span.start - near) if near > 0 or span.start == near else None for span in found}
    value = {
        span: alike
        * (_ANYWHERE * whole[span] if (distance := far[span]) is None else _HALF / (_HALF + distance))
        for span, alike in found.items()
    }
    best = max(found, key=lambda span: (value[span], -abs(span.start - near), whole[span]))
    equal = list(value.values()).count(value[best])
    score = value[best] * ((2 + 1 / equal) / 3 if far[best] is None else whole[best])
    if score < min_score:
        return None
    return RecoveredAnswer(best, _method(found[best]), score, far[best])


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
    for spelling in spellings(answer):
        spans = {
            Span(*widen(text, place, place + len(spelling))) for place in places(text, spelling, *window)
        }
        for form in (fold, fold_loosely):
            spans.update(form(text).occurrences(form(spelling).text, *window))
        for span in spans:
            wording = text[slice(*span)]
            alike = likeness(spelling, wording) * (1 if spelling == answer else _RESPELT)
            found[span] = max(alike, found.get(span, 0))
    return found


def _wholeness(text: str, span: Span) -> float:
    """1 for whole words, less for ends inside words; letters may follow digits, as in 45th."""
    cuts = sum(not word_ends(text, end) and text[end - 1].isdigit() == text[end].isdigit() for end in span)
    factor: float = (_CUT_SHORT_WORD if span.end - span.start <= _SHORT else _CUT_WORD) ** cuts
    return factor


def _is_acronym(text: str) -> bool:
    """Whether a text is one word of two to four capitals, full stops aside."""
    letters = text.strip(_EDGES).replace(".", "")
    return 2 <= len(letters) <= 4 and letters.isalpha() and letters.isupper()


def _numbers(folded: str) -> list[str]:
    """The numbers of a folded text, without regard to the sign of decimals and of thousands."""
    return [_GROUPING.sub("", number.replace(",", ".")) for number in _NUMBER.findall(folded)]
