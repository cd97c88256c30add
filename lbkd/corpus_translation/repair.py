"""Repair of files whose answers are not at their offsets, or cut inside a character.

<folder>/repaired/<file>                the file with corrected answers
<folder>/repaired/repair-report.json    counts and moved answers of each repaired file of the folder
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lbkd.corpus import squad
from lbkd.corpus.check import load
from lbkd.corpus.squad import Dataset, Question
from lbkd.errors import DataError
from lbkd.graphemes import widen
from lbkd.outputs import replacing_files
from lbkd.recovery.aligner import Aligner
from lbkd.recovery.likeness import MIN_SCORE
from lbkd.recovery.offsets import CHARACTERS, character, unit_of, zero_is_no_place
from lbkd.recovery.place import by_place
from lbkd.recovery.plausible import Translation, growth, judged
from lbkd.recovery.recover import RecoveredAnswer, by_alignment, by_string
from lbkd.recovery.sentences import cut
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span
from lbkd.workspace import add_to_json

REPORT = "repair-report.json"
_LANGUAGE = "en"
"""Language whose rules split passages into sentences, since the file's language is unknown."""


def repair(
    paths: Sequence[Path],
    source: Path | None,
    in_place: bool = False,
    min_score: float = MIN_SCORE,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write files with corrected answers, made of whole characters: all files, or none if one is refused.

    Args:
        paths: the files to repair.
        source: the file that the files are translations of, with equal question ids. The source tells which
            occurrence of an answer is meant, and lets the word aligner find answers that occur nowhere.
        in_place: replace the files; by default results go into the folder `repaired` beside each file.
        min_score: score below which an occurrence is not taken (see `lbkd.recovery.place.by_place`).
        overwrite: replace files in `repaired` that lbkd did not write, or that were changed since.

    Returns:
        Each file's path to the place of the result, counts and the answers that moved.

    Raises:
        DataError: some files have faults of another kind, or no answer that can be found.
    """
    original = squad.read(source, "") if source else None
    results, faults = {}, []
    for path in paths:
        try:
            results[path] = _Repair(squad.read(path, "", squad.MENDABLE), original, min_score).result()
        except DataError as error:
            faults.append(str(error))
    if faults:
        untouched = f"Nothing was written; these files could be repaired: {', '.join(map(str, results))}."
        raise DataError("\n".join([*faults, *([untouched] if results else [])]))
    targets = {path: path if in_place else path.parent / "repaired" / path.name for path in results}
    report = {}
    with replacing_files(targets.values(), overwrite or in_place) as fresh:
        for path, (document, counts) in results.items():
            squad.write(fresh[targets[path]], document)
            report[str(path)] = {"written": str(targets[path]), **counts}
    for entry in report.values():
        target = Path(entry["written"])
        counts = {name: value for name, value in entry.items() if name != "written"}
        add_to_json(target.parent / REPORT, {target.name: counts})
    return report


class _Repair:
    """The repair of one file."""

    def __init__(self, data: Dataset, source: Dataset | None, min_score: float) -> None:
        self._data = data
        self._source = source
        self._min_score = min_score
        self._originals = {question.id: question for question in source.questions} if source else {}
        if source and not any(question.id in self._originals for question in data.questions):
            raise DataError(f"{data.path}: shares no question id with --source {source.path}.")
        self._tally = Tally()
        self._moved: list[dict[str, Any]] = []
        answers = [(data.passages[q.passage], a.text, a.start) for q in data.questions for a in q.answers]
        misplaced = any(not passage.startswith(text, max(start, 0)) for passage, text, start in answers)
        self._unit = unit_of(answers) if misplaced else CHARACTERS
        self._zero = -1 if zero_is_no_place(answers) else 0

    def result(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The repaired file's JSON value, and the counts for the report."""
        document = load(self._data.path)[0]
        questions, kept = iter(self._data.questions), 0
        for article in document["data"]:
            for paragraph in article["paragraphs"]:
                pairs = zip(paragraph["qas"], questions, strict=False)  # `qas` ends first: none is skipped
                asked = [self._question(record, question) for record, question in pairs]
                paragraph["qas"] = [record for record in asked if record]
                kept += len(paragraph["qas"])
        if not kept:
            raise DataError(f"{self._data.path}: no answer is in its passage; nothing was written.")
        total = len(self._data.questions)
        counts = {"source": total, "kept": kept, "discarded": total - kept}
        details = {"offsets": self._unit, "moved": self._moved}
        return document, {"questions": counts, **self._tally.result(), **details}

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
            if found.choices > 1:
                example = {"id": question.id, "answer": text, "occurrences": found.choices}
                self._tally.remark("answers without offset, chosen from several occurrences", example)
            if (text, found.span.start) == answer:
                answers.append(raw)
                continue
            answers.append({**raw, **found.fields(text, found.span.start)})
            self._moved.append(
                {
                    "id": question.id,
                    **{"answer": answer.text, "found": text, "from": answer.start, "to": found.span.start},
                    **{"distance": found.distance, "method": found.method, "score": round(found.score, 4)},
                }
            )
        return {**record, "answers": answers} if answers or not question.answers else None

    def _recover(self, question: Question, number: int, passage: str) -> RecoveredAnswer | None:
        """Recover answer `number` of a question, widened to whole characters."""
        answer = question.answers[number]
        start = answer.start or self._zero
        near = character(passage, start, self._unit)
        for place in (near, start):
            if place >= 0 and passage.startswith(answer.text, place):
                span = Span(place, place + len(answer.text))
                whole = Span(*widen(passage, *span))
                moved = "answer" if place != start else "in place"
                return RecoveredAnswer(whole, moved if whole == span else "whole characters", 1.0, 0)
        found = self._find(question, number, near)
        return found and replace(found, span=Span(*widen(passage, *found.span)))

    def _find(self, question: Question, number: int, near: int) -> RecoveredAnswer | None:
        """Recover answer `number` of a question that is not at its place, the character `near`.

        Another spelling at the place comes first. With a source, the occurrence that corresponds to the
        source's follows; then the occurrence nearest to the place; with a source, alignment is last.
        """
        passage = self._data.passages[question.passage]
        answer = question.answers[number].text
        text = answer.strip()
        if near > 0:
            near += len(answer) - len(answer.lstrip())
        placed = by_place(text, passage, near, self._min_score, question.text)
        original = self._originals.get(question.id)
        if (placed and placed.distance == 0) or not (self._source and original and original.answers):
            return placed
        model = original.answers[number if len(original.answers) == len(question.answers) else 0]
        source = self._source.passages[original.passage]
        span = Span(model.start, model.start + len(model.text))
        if found := by_string(text, passage, source, span, self._min_score):
            found = judged(found, span, Translation(source, passage, self._growth))
        if found or placed:
            return found or placed
        aligned = self._align(source, span, passage)
        return aligned and judged(aligned, span, Translation(source, passage, self._growth))

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
    def _growth(self) -> float:
        """Characters of a passage for each character of its source."""
        assert self._source
        rows = {
            q.passage: self._originals[q.id].passage for q in self._data.questions if q.id in self._originals
        }
        return growth((self._source.passages[other], self._data.passages[row]) for row, other in rows.items())

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
