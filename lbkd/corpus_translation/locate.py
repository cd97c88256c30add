"""Answers located in the translations of their sentences: by markers, then by strings, then by alignment."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lbkd.corpus_translation.memory import TranslationMemory
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.markers import mark, read, style_for
from lbkd.recovery.plausible import Translation, growth, judged
from lbkd.recovery.recover import METHODS, RecoveredAnswer, by_alignment, by_marker, by_string
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
    markers = "marked" in settings.methods and memory.markers
    marked = _marked(answers, settings) if markers else {}
    memory.fill([*texts, *(sentence.text for sentence in marked.values())], name)
    grown = growth((text, memory[text]) for text in dict.fromkeys(texts))
    pairs = {a.sentence: Translation(a.sentence, memory[a.sentence], grown) for a in answers}
    found: Located = {}
    for answer in answers:
        if not memory[answer.sentence]:
            found[answer] = "empty translation"
        elif answer in marked:
            found[answer] = _by_marker(answer, marked[answer], pairs[answer.sentence], memory, tally)
        else:
            found[answer] = "no marker fits" if markers else "not found"
    if "answer" in settings.methods:
        lost = _lost(found, memory)
        memory.fill([answer.text for answer in lost], name)
        for answer in lost:
            text = memory[answer.sentence]
            string = by_string(memory[answer.text], text, answer.sentence, answer.span)
            _take(string, answer, pairs[answer.sentence], found)
    if "alignment" in settings.methods and (lost := _lost(found, memory)):
        ordered = dict.fromkeys([*(answer.sentence for answer in lost), *texts])
        aligner = Aligner([(text, memory[text]) for text in ordered])
        for answer in lost:
            aligned = by_alignment(aligner, answer.sentence, answer.span, memory[answer.sentence])
            _take(aligned, answer, pairs[answer.sentence], found)
    _part(found, tally)
    return found


def _take(place: RecoveredAnswer | None, answer: AnswerInSentence, pair: Translation, found: Located) -> None:
    """Note the place that a method found for an answer, if it is plausible."""
    if place is not None:
        found[answer] = judged(place, answer.span, pair) or "implausible answer"


def _part(found: Located, tally: Tally) -> None:
    """Tell different answers apart that were located at one place of one sentence.

    Of answers that do not overlap in the source, and are not worded alike, one at most can be right: the one
    that an earlier method found, or the same method with a higher score. The others are lost, all of them if
    none is ahead. Answers that overlap may be translated alike, and are counted.
    """
    places: defaultdict[tuple[str, Span], dict[AnswerInSentence, tuple[int, float]]] = defaultdict(dict)
    for answer, result in found.items():
        if isinstance(result, RecoveredAnswer):
            rank = -METHODS.index(result.method), result.score
            places[answer.sentence, result.span][answer] = rank
    for (text, _), ranks in places.items():
        lost = {
            one for one in ranks if any(ranks[other] >= ranks[one] for other in ranks if _exclude(one, other))
        }
        found.update(dict.fromkeys(lost, "another answer's place"))
        kept = {answer.text.casefold(): answer for answer in ranks if answer not in lost}
        if len(kept) > 1:
            answers = [answer.text for answer in kept.values()]
            tally.remark("places with several answers", {"sentence": text, "answers": answers})


def _exclude(one: AnswerInSentence, other: AnswerInSentence) -> bool:
    """Whether two answers of a sentence cannot have one translation."""
    apart = one.span.end <= other.span.start or other.span.end <= one.span.start
    return apart and one.text.casefold() != other.text.casefold()


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
    answer: AnswerInSentence,
    sentence: MarkedSentence,
    pair: Translation,
    memory: TranslationMemory,
    tally: Tally,
) -> RecoveredAnswer | str:
    marked = read(memory[sentence.text], sentence.style)
    place = None if isinstance(marked, str) else by_marker(marked, pair.text)
    right = place and judged(place, answer.span, pair)
    state = marked if isinstance(marked, str) else "implausible" if place and not right else "sound"
    tally.markers[state] += 1
    if right:
        return right
    return "marked answer not in the sentence" if state == "sound" else f"markers {state}"


def _lost(found: Located, memory: TranslationMemory) -> list[AnswerInSentence]:
    """The answers that are not located although their sentences have translations."""
    return [answer for answer, result in found.items() if isinstance(result, str) and memory[answer.sentence]]
