"""Answers located in the translations of their sentences: by markers, then by strings, then by alignment."""

from collections.abc import Sequence
from dataclasses import dataclass

from lbkd.corpus_translation.memory import TranslationMemory
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.markers import mark, read, style_for
from lbkd.recovery.recover import RecoveredAnswer, by_alignment, by_marker, by_string
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span


@dataclass(frozen=True)
class RecoverySettings:
    """The methods that recover answers, and the markers of the first of these methods."""

    markers: str
    """One of `lbkd.recovery.markers.STYLES`."""
    methods: tuple[str, ...]
    """Some of `lbkd.recovery.recover.FAMILIES`."""


@dataclass(frozen=True)
class AnswerInSentence:
    """An answer with its sentence; where the answer spans several sentences, with all of these."""

    sentence: str
    span: Span
    """The answer's characters in `sentence`."""

    @property
    def text(self) -> str:
        """The answer's wording."""
        return self.sentence[slice(*self.span)]


@dataclass(frozen=True)
class MarkedSentence:
    """A sentence with markers round its answer."""

    text: str
    style: str


Located = dict[AnswerInSentence, RecoveredAnswer | str]
"""Answer to its place in the translation of its sentence, or to the reason why no method located it."""


def locate_answers(
    answers: Sequence[AnswerInSentence],
    texts: Sequence[str],
    memory: TranslationMemory,
    settings: RecoverySettings,
    tally: Tally,
    name: str,
) -> Located:
    """Locate each answer in the translation of its sentence.

    Args:
        answers: distinct answers.
        texts: all texts to translate without markers, the answers' sentences included; the word aligner is
            fitted to these texts and their translations.
        memory: the translations; missing ones are added.
        settings: markers and methods.
        tally: counts the states of the markers.
        name: name of the file that is translated, for progress.
    """
    marked = _marked(answers, settings) if "marked" in settings.methods else {}
    memory.fill([*texts, *(sentence.text for sentence in marked.values())], name)
    found: Located = {}
    for answer in answers:
        if not memory[answer.sentence]:
            found[answer] = "empty translation"
        elif answer in marked:
            found[answer] = _by_marker(answer, marked[answer], memory, tally)
        else:
            found[answer] = "no marker fits" if "marked" in settings.methods else "not found"
    if "answer" in settings.methods:
        lost = _lost(found, memory)
        memory.fill([answer.text for answer in lost], name)
        for answer in lost:
            text = memory[answer.sentence]
            string = by_string(memory[answer.text], text, answer.sentence, answer.span)
            found[answer] = string or found[answer]
    if "alignment" in settings.methods and (lost := _lost(found, memory)):
        ordered = dict.fromkeys([*(answer.sentence for answer in lost), *texts])
        aligner = Aligner([(text, memory[text]) for text in ordered])
        for answer in lost:
            aligned = by_alignment(aligner, answer.sentence, answer.span, memory[answer.sentence])
            found[answer] = aligned or found[answer]
    return found


def _marked(
    answers: Sequence[AnswerInSentence], settings: RecoverySettings
) -> dict[AnswerInSentence, MarkedSentence]:
    """The marked sentence of each answer, unless the sentence contains the signs of all styles."""
    return {
        answer: MarkedSentence(mark(answer.sentence, answer.span, style), style)
        for answer in answers
        if (style := style_for(answer.sentence, settings.markers))
    }


def _by_marker(
    answer: AnswerInSentence, sentence: MarkedSentence, memory: TranslationMemory, tally: Tally
) -> RecoveredAnswer | str:
    marked = read(memory[sentence.text], sentence.style)
    tally.markers[marked if isinstance(marked, str) else "sound"] += 1
    if isinstance(marked, str):
        return f"markers {marked}"
    return by_marker(marked, memory[answer.sentence]) or "marked answer not in the sentence"


def _lost(found: Located, memory: TranslationMemory) -> list[AnswerInSentence]:
    """The answers that are not located although their sentences have translations."""
    return [answer for answer, result in found.items() if isinstance(result, str) and memory[answer.sentence]]
