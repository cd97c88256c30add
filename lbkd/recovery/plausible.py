"""Doubts about a recovered answer that its method cannot have: letters, length, and what is left outside."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lbkd.recovery.recover import RecoveredAnswer
from lbkd.recovery.words import Span, is_word, words

_FREE_LENGTH = 2.0
"""Times that an answer may be longer or shorter than expected at its full score; beyond, the score falls."""
_MOST_LENGTH = 4.0
"""Times beyond which an answer is rejected; XQuAD's answers in any two languages hardly ever are."""
_SHORT = 8
"""Characters added to both lengths: short answers differ more."""
_MOST_OUTSIDE = 2
"""Words outside an answer that a translation may lack; each halves the score."""


@dataclass(frozen=True)
class Translation:
    """A text, its translation, and the usual length of translations."""

    source: str
    text: str
    growth: float
    """Characters of translations for each character of their sources, over all texts of a file."""


def growth(pairs: Iterable[tuple[str, str]]) -> float:
    """Characters of translations for each character of their sources; sources without one do not count."""
    sizes = [(len(source), len(text)) for source, text in pairs if text]
    return sum(after for _, after in sizes) / max(1, sum(before for before, _ in sizes)) or 1.0


def judged(found: RecoveredAnswer, span: Span, pair: Translation) -> RecoveredAnswer | None:
    """A recovered answer with its score lowered where it is doubtful; None if it cannot be right.

    Without letters, an answer that had letters may have the numbers that it had (`20th`, `20`), no others. An
    answer that had letters or digits keeps some. The score is halved for each doubling of the length beyond
    twice the expected one, or below half of it, and the answer rejected beyond four times. The score is
    halved, too, for each word that the source has outside the answer where the translation has none, and the
    answer rejected if these words are more than two: then it is the whole sentence.

    Args:
        found: the answer in the translation.
        span: the answer's characters in the source.
        pair: the source and its translation.
    """
    source, text = pair.source[slice(*span)], pair.text[slice(*found.span)]
    if is_word(source) and not is_word(text):
        return None
    if _has_letters(source) and not _has_letters(text) and not _numbers(text) <= _numbers(source):
        return None
    ratio = (len(text) + _SHORT) / (len(source) * pair.growth + _SHORT)
    far = max(ratio, 1 / ratio)
    whole = not (is_word(pair.text[: found.span.start]) or is_word(pair.text[found.span.end :]))
    lacking = _words_outside(pair.source, span) if whole else 0
    if far > _MOST_LENGTH or lacking > _MOST_OUTSIDE:
        return None
    return replace(found, score=found.score * min(1.0, _FREE_LENGTH / far) * 0.5**lacking)


def _has_letters(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _numbers(text: str) -> set[int]:
    """The numbers in a text; the digits of a group (`16,000`) count as one number."""
    joined = re.sub(r"(?<=\d)[.,\s](?=\d{3}(?!\d))", "", text)
    return {int(number) for number in re.findall(r"\d+", joined)}


def _words_outside(text: str, span: Span) -> int:
    """Number of words with letters or digits that lie outside a span."""
    outside = (word for word in words(text) if word.end <= span.start or word.start >= span.end)
    return sum(is_word(text[slice(*word)]) for word in outside)
