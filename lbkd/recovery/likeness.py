"""Likeness of two spellings of an answer: by case and width, punctuation, accents, capitals and numbers."""

import html
import re

from lbkd.recovery.search import fold

MIN_SCORE = 0.4
"""Score below which an occurrence is not believed to be the answer."""

RESPELT, _TRIMMED, LOOK_ALIKE = 0.98, 0.85, 0.6
"""Likeness of texts that are equal but for case, width, composition, dashes, white space and HTML entities;
but for punctuation at their ends, too; but for accents and all punctuation."""
_OTHER_CAPITALS = 0.42
"""Factor for a short word in capitals and the same letters as a common word: WHO and who."""
_OTHER_NUMBERS = 0.5
"""Factor for texts whose numbers have other values: -5 and 5, 3:30 and 330."""

_EDGES = " .,;:!?¡¿…،؛؟۔।。、，！？「」『』《》〈〉【】()[]{}\"'“”‘’«»‹›„‚`"
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d+(?:[^\w\s]\d+)*")
_GROUPING = re.compile(r"[.'’٬](?=\d{3}(?!\d))")


def likeness(answer: str, wording: str) -> float:
    """Likeness of an answer and an occurrence of its letters and digits, from 0 to 1 for equal texts."""
    return max(
        _alike(spelling, wording) * (1 if spelling == answer else RESPELT) for spelling in spellings(answer)
    )


def spellings(answer: str) -> list[str]:
    """An answer as it is, with HTML entities in the place of characters, and the other way round."""
    return list(dict.fromkeys((answer, html.unescape(answer), html.escape(answer, quote=False))))


def _alike(answer: str, wording: str) -> float:
    if answer == wording:
        return 1.0
    one, other = fold(answer).text.strip(), fold(wording).text.strip()
    trimmed = one.strip(_EDGES) == other.strip(_EDGES)
    alike = RESPELT if one == other else _TRIMMED if trimmed else LOOK_ALIKE
    if _is_acronym(answer) != _is_acronym(wording):
        alike *= _OTHER_CAPITALS
    return alike * (_OTHER_NUMBERS if _numbers(one) != _numbers(other) else 1)


def _is_acronym(text: str) -> bool:
    """Whether a text is one word of two to four capitals, full stops aside."""
    letters = text.strip(_EDGES).replace(".", "")
    return 2 <= len(letters) <= 4 and letters.isalpha() and letters.isupper()


def _numbers(folded: str) -> list[str]:
    """The numbers of a folded text, without regard to the sign of decimals and of thousands."""
    return [_GROUPING.sub("", number.replace(",", ".")) for number in _NUMBER.findall(folded)]
