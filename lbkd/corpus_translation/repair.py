"""Repair of files whose answers are not at their offsets, or cut inside a character.

<folder>/repaired/<file>                the file with corrected answers
<folder>/repaired/repair-report.json    counts and examples for each repaired file of the folder
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus.squad import Dataset, Question
from lbkd.errors import DataError
from lbkd.graphemes import widen
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.recover import RecoveredAnswer, by_alignment, by_place, by_string
from lbkd.recovery.sentences import cut
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span
from lbkd.workspace import add_to_json

REPORT = "repair-report.json"
_MENDABLE = ("misplaced answer", "negative start", "cut character")
"""Kinds of `lbkd.corpus.check.Fault` that `repair` corrects."""
_LANGUAGE = "en"
"""Language whose rules split passages into sentences, since the file's language is unknown."""


def repair(path: Path, source: Path | None, in_place: bool = False) -> dict[str, Any]:
    """Write a file with corrected answers, made of whole characters, and return the report on the answers.

    Args:
        path: the file to repair.
        source: the file that `path` is a translation of, with equal question ids. The source tells which
            occurrence of an answer is meant, and lets the word aligner find answers that occur nowhere.
        in_place: replace `path`; by default the result goes into the folder `repaired` beside `path`.

    Raises:
        DataError: the file has faults of another kind, or no answer can be found.
    """
    data = squad.read(path, "", _MENDABLE)
    work = _Repair(data, squad.read(source, "") if source else None)
    document, counts = work.document(load(path)[0])
    target = path if in_place else path.parent / "repaired" / path.name
    squad.write(target, document)
    add_to_json(target.parent / REPORT, {path.name: counts})
    return {"written": str(target), **counts}


class _Repair:
    def __init__(self, data: Dataset, source: Dataset | None) -> None:
        self._data = data
        self._source = source
        self._originals = {question.id: question for question in source.questions} if source else {}
        if source and not any(question.id in self._originals for question in data.questions):
            raise DataError(f"{data.path}: shares no question id with --source {source.path}.")
        self._tally = Tally()

    def document(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The repaired file's JSON value, and the counts for the report."""
        questions = iter(self._data.questions)
        kept = 0

        def change(paragraph: dict[str, Any], number: int) -> dict[str, Any] | None:
            nonlocal kept
            pairs = zip(paragraph["qas"], questions, strict=False)  # `qas` ends first: no question is skipped
            asked = [self._question(record, question) for record, question in pairs]
            qas = [record for record in asked if record]
            kept += len(qas)
            return {**paragraph, "qas": qas} if qas else None

        repaired = squad.rebuilt(document, change)
        if not kept:
            raise DataError(f"{self._data.path}: no answer is in its passage; nothing was written.")
        total = len(self._data.questions)
        counts = {"source": total, "kept": kept, "discarded": total - kept}
        return repaired, {"questions": counts, **self._tally.result()}

    def _question(self, record: Mapping[str, Any], question: Question) -> dict[str, Any] | None:
        """A question's JSON object with corrected answers; None if all its answers are lost."""
        passage = self._data.passages[question.passage]
        answers = []
        for number, (raw, answer) in enumerate(zip(record["answers"], question.answers, strict=True)):
            found = self._recover(question, number, passage)
            if found is None:
                self._tally.lose(question.id, answer.text, "not in the passage", passage)
                continue
            text = passage[slice(*found.span)]
            self._tally.keep(question.id, answer.text, found, text)
            answers.append(
                raw if found.method == "in place" else {**raw, **found.fields(text, found.span.start)}
            )
        return {**record, "answers": answers} if answers or not question.answers else None

    def _recover(self, question: Question, number: int, passage: str) -> RecoveredAnswer | None:
        """Recover answer `number` of a question, widened to whole characters."""
        answer = question.answers[number]
        if answer.start >= 0 and passage.startswith(answer.text, answer.start):
            span = Span(answer.start, answer.start + len(answer.text))
            whole = Span(*widen(passage, *span))
            return RecoveredAnswer(whole, "in place" if whole == span else "whole characters", 1.0)
        found = self._find(question, number, passage)
        return found and replace(found, span=Span(*widen(passage, *found.span)))

    def _find(self, question: Question, number: int, passage: str) -> RecoveredAnswer | None:
        """Recover answer `number` of a question; without a source, the occurrence nearest to its offset."""
        answer = question.answers[number]
        original = self._originals.get(question.id)
        if not (self._source and original and original.answers):
            return by_place(answer.text.strip(), passage, answer.start)
        model = original.answers[number if len(original.answers) == len(question.answers) else 0]
        source = self._source.passages[original.passage]
        span = Span(model.start, model.start + len(model.text))
        found = by_string(answer.text.strip(), passage, source, span)
        return found or self._align(source, span, passage)

    def _align(self, source: str, span: Span, passage: str) -> RecoveredAnswer | None:
        """Align the words of the answer's sentence; of the whole passage if sentences do not correspond."""
        for ours, theirs in _sentence_pairs(source, passage):
            if ours.start <= span.start and span.end <= ours.end:
                inner = Span(span.start - ours.start, span.end - ours.start)
                found = by_alignment(self._aligner, source[slice(*ours)], inner, passage[slice(*theirs)])
                if found is None:
                    return None
                return replace(
                    found, span=Span(found.span.start + theirs.start, found.span.end + theirs.start)
                )
        return by_alignment(self._aligner, source, span, passage)

    @cached_property
    def _aligner(self) -> Aligner:
        assert self._source
        passages, pairs = {}, []
        for question in self._data.questions:
            if original := self._originals.get(question.id):
                passages[question.passage] = original.passage
                pairs.append((original.text, question.text))
        for row, other in passages.items():
            source, passage = self._source.passages[other], self._data.passages[row]
            sentences = _sentence_pairs(source, passage)
            pairs += [(source[slice(*ours)], passage[slice(*theirs)]) for ours, theirs in sentences]
        return Aligner(pairs)


def _sentence_pairs(source: str, passage: str) -> list[tuple[Span, Span]]:
    """Pair the n-th sentences of both texts; no pairs if the numbers of sentences differ."""
    ours, theirs = cut(source, _LANGUAGE), cut(passage, _LANGUAGE)
    return list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else []
