"""Answers that are not where their file says, as in published translations, found again.

<folder>/repaired/<file>                the file with the answers' places put right
<folder>/repaired/repair-report.json    counts and examples, for each file of the folder
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus.squad import Dataset, Question
from lbkd.errors import DataError
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.recover import Found, by_alignment, by_place, by_string
from lbkd.recovery.sentences import cut
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span
from lbkd.workspace import add_to_json

REPORT = "repair-report.json"
_MENDABLE = ("misplaced answer", "negative start")
_LANGUAGE = "en"
"""Whose rules cut all files into sentences: a file's language is not known, and full stops are alike."""


def repair(path: Path, source: Path | None, in_place: bool = False) -> dict[str, Any]:
    """Write a file anew with its answers in place; the report on it.

    Args:
        path: the file.
        source: the file that it is a translation of, with the same question ids.
        in_place: write over the file, not beside it.

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
        """The file's content with its answers in place, and the report."""
        questions = iter(self._data.questions)
        kept = 0

        def change(paragraph: dict[str, Any], number: int) -> dict[str, Any] | None:
            nonlocal kept
            pairs = zip(paragraph["qas"], questions, strict=False)  # the first ends it: none is lost
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
        passage = self._data.passages[question.passage]
        answers = []
        for number, (raw, answer) in enumerate(zip(record["answers"], question.answers, strict=True)):
            if answer.start >= 0 and passage.startswith(answer.text, answer.start):
                span = Span(answer.start, answer.start + len(answer.text))
                self._tally.keep(question.id, answer.text, Found(span, "in place", 1.0), answer.text)
                answers.append(raw)
            elif found := self._find(question, number, passage):
                text = passage[slice(*found.span)]
                self._tally.keep(question.id, answer.text, found, text)
                answers.append({**raw, **found.fields(text, found.span.start)})
            else:
                self._tally.lose(question.id, answer.text, "not in the passage", passage)
        return {**record, "answers": answers} if answers or not question.answers else None

    def _find(self, question: Question, number: int, passage: str) -> Found | None:
        answer = question.answers[number]
        original = self._originals.get(question.id)
        if not (self._source and original and original.answers):
            return by_place(answer.text.strip(), passage, answer.start)
        text, start = original.answers[number if len(original.answers) == len(question.answers) else 0]
        source, span = self._source.passages[original.passage], Span(start, start + len(text))
        found = by_string(answer.text.strip(), passage, source, span)
        return found or self._align(source, span, passage)

    def _align(self, source: str, span: Span, passage: str) -> Found | None:
        """By the words of the sentence; of the whole passage, if sentences do not match."""
        for ours, theirs in _matched(source, passage):
            if ours.start <= span.start and span.end <= ours.end:
                inner = Span(span.start - ours.start, span.end - ours.start)
                found = by_alignment(self._aligner, source[slice(*ours)], inner, passage[slice(*theirs)])
                if found is None:
                    return None
                place = Span(found.span.start + theirs.start, found.span.end + theirs.start)
                return Found(place, found.method, found.score)
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
            pairs += [(source[slice(*a)], passage[slice(*b)]) for a, b in _matched(source, passage)]
        return Aligner(pairs)


def _matched(source: str, passage: str) -> list[tuple[Span, Span]]:
    """Sentences of both that belong together: one by one if there are as many, else none."""
    ours, theirs = cut(source, _LANGUAGE), cut(passage, _LANGUAGE)
    return list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else []
