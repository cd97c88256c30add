"""Answers sought in the translations of their sentences: markers first, then strings, then word alignment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lbkd.corpus_translation.memory import Progress, TranslationMemory
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.markers import mark, read, style_for
from lbkd.recovery.recover import Found, by_alignment, by_marker, by_string
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span


@dataclass(frozen=True)
class How:
    """How answers are sought."""

    markers: str
    """Style of the markers."""
    methods: tuple[str, ...]
    """Some of `lbkd.recovery.recover.FAMILIES`."""


@dataclass(frozen=True)
class Place:
    """An answer in its sentence, or in the sentences that it spans."""

    sentence: str
    span: Span

    @property
    def answer(self) -> str:
        """Its text."""
        return self.sentence[slice(*self.span)]


def recover(
    places: Sequence[Place],
    texts: Sequence[str],
    memory: TranslationMemory,
    how: How,
    tally: Tally,
    progress: Progress,
) -> Mapping[Place, Found | str]:
    """Where each answer is in the translation of its sentence, or why that is not known.

    Args:
        places: the answers, each once.
        texts: all that is to be translated without markers, the sentences among it; word alignment learns
            from it.
        memory: the translations; what it lacks is added.
        how: markers and methods.
        tally: counts what became of the markers.
        progress: is told about every batch.
    """
    marked: dict[Place, tuple[str, str]] = {}
    if "marked" in how.methods:
        for place in places:
            if style := style_for(place.sentence, how.markers):
                marked[place] = mark(place.sentence, place.span, style), style
    memory.fill([*texts, *(text for text, _ in marked.values())], progress)
    found: dict[Place, Found | str] = {}
    for place in places:
        if not memory[place.sentence]:
            found[place] = "empty translation"
        elif place in marked:
            found[place] = _by_marker(place, *marked[place], memory, tally)
        else:
            found[place] = "no marker fits" if "marked" in how.methods else "not found"
    if "answer" in how.methods:
        lost = list(_lost(found, memory))
        memory.fill([place.answer for place in lost], progress)
        for place in lost:
            text = memory[place.sentence]
            found[place] = by_string(memory[place.answer], text, place.sentence, place.span) or found[place]
    if "alignment" in how.methods and (lost := list(_lost(found, memory))):
        ordered = dict.fromkeys([*(place.sentence for place in lost), *texts])
        aligner = Aligner([(text, memory[text]) for text in ordered])
        for place in lost:
            text = memory[place.sentence]
            found[place] = by_alignment(aligner, place.sentence, place.span, text) or found[place]
    return found


def _by_marker(place: Place, text: str, style: str, memory: TranslationMemory, tally: Tally) -> Found | str:
    marked = read(memory[text], style)
    tally.markers[marked if isinstance(marked, str) else "sound"] += 1
    if isinstance(marked, str):
        return f"markers {marked}"
    return by_marker(marked, memory[place.sentence]) or "marked answer not in the sentence"


def _lost(found: Mapping[Place, Found | str], memory: TranslationMemory) -> Iterator[Place]:
    """The answers that may still be found."""
    return (place for place, what in found.items() if isinstance(what, str) and memory[place.sentence])
