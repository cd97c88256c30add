"""One SQuAD-format file in another language: translated sentence by sentence, its answers found again."""

from collections.abc import Mapping
from typing import Any

from lbkd.corpus.squad import Answer, Dataset, Question, rebuilt
from lbkd.corpus_translation.locate import How, Place, recover
from lbkd.corpus_translation.memory import Progress, TranslationMemory
from lbkd.errors import DataError
from lbkd.recovery.sentences import cut
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span

_UNSPACED = ("ja", "km", "lo", "my", "th", "zh")
"""Languages that need no space between sentences."""


class Translated:
    """A file on its way to another language.

    Args:
        data: the file as it was read.
        source: its language, an ISO code.
        memory: what is translated so far; opened.
        how: how answers are sought.
        progress: is told about every batch.
    """

    def __init__(
        self, data: Dataset, source: str, memory: TranslationMemory, how: How, progress: Progress
    ) -> None:
        self._data = data
        self._memory = memory
        self._tally = Tally()
        answers: list[list[Span]] = [[] for _ in data.passages]
        for question in data.questions:
            answers[question.passage] += map(_stripped, question.answers)
        asked = {question.passage for question in data.questions}
        self._sentences = [
            cut(text, source, whole if memory.sentences else [Span(0, len(text))]) if row in asked else []
            for row, (text, whole) in enumerate(zip(data.passages, answers, strict=True))
        ]
        places = dict.fromkeys(self._place(q, answer)[1] for q in data.questions for answer in q.answers)
        texts = [
            text[slice(*span)]
            for text, spans in zip(data.passages, self._sentences, strict=True)
            for span in spans
        ]
        texts += (question.text for question in data.questions)
        self._found = recover(list(places), texts, memory, how, self._tally, progress)
        self._passages = [self._passage(row) for row in range(len(data.passages))]

    def document(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The file's content in the other language, and its part of the report.

        Passages and articles of which no question is left are left out.

        Args:
            document: the source file's JSON value; fields that are not known are handed on.

        Raises:
            DataError: no question could be kept.
        """
        kept = {"passages": 0, "questions": 0}
        questions = iter(self._data.questions)

        def change(paragraph: dict[str, Any], number: int) -> dict[str, Any] | None:
            text, starts = self._passages[number]
            pairs = zip(paragraph["qas"], questions, strict=False)  # the first ends it: none is lost
            asked = [self._question(record, question, text, starts) for record, question in pairs]
            qas = [record for record in asked if record]
            if not (text.strip() and qas):
                return None
            kept["passages"] += 1
            kept["questions"] += len(qas)
            return {**paragraph, "context": text, "qas": qas}

        translated = rebuilt(document, change)
        if not kept["questions"]:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in self._tally.lost.items())
            raise DataError(
                f"{self._data.path}: no question could be kept in {self._memory.target!r} ({reasons}). "
                "Nothing was written; try other --markers or --methods, or another --backend."
            )
        totals = {"passages": len(self._data.passages), "questions": len(self._data.questions)}
        counts = {
            name: {"source": total, "kept": kept[name], "discarded": total - kept[name]}
            for name, total in totals.items()
        }
        return translated, {**counts, **self._tally.result()}

    def _place(self, question: Question, answer: Answer) -> tuple[Span, Place]:
        """The sentence of an answer as a span of its passage, and the answer in it."""
        start, end = _stripped(answer)
        sentence = next(span for span in self._sentences[question.passage] if span.end >= end)
        text = self._data.passages[question.passage][slice(*sentence)]
        return sentence, Place(text, Span(start - sentence.start, end - sentence.start))

    def _passage(self, row: int) -> tuple[str, Mapping[Span, int]]:
        """A translated passage, and where in it each sentence of the source begins.

        Between the sentences is what was between them in the source.
        """
        source, text, end = self._data.passages[row], "", 0
        starts = {}
        for span in self._sentences[row]:
            between = source[end : span.start]
            end = span.end
            if translation := self._memory[source[slice(*span)]]:
                text += between or (" " if text and self._memory.target[:2] not in _UNSPACED else "")
                starts[span] = len(text)
                text += translation
        return text + source[end:], starts

    def _question(
        self, record: Mapping[str, Any], question: Question, text: str, starts: Mapping[Span, int]
    ) -> dict[str, Any] | None:
        """A question with those of its answers that were found; None if it cannot be kept."""
        wording = self._memory[question.text]
        answers = []
        for raw, answer in zip(record["answers"], question.answers, strict=True):
            sentence, place = self._place(question, answer)
            found = self._found[place] if wording else "empty question"
            if isinstance(found, str):
                self._tally.lose(question.id, answer.text, found, self._memory[place.sentence])
                continue
            start = starts[sentence] + found.span.start
            here = text[start : starts[sentence] + found.span.end]
            self._tally.keep(question.id, answer.text, found, here)
            answers.append({**raw, **found.fields(here, start)})
        if not wording or (question.answers and not answers):
            return None
        # What SQuAD v2 offers as plausible for unanswerable questions stands in the source's passage.
        kept = {name: value for name, value in record.items() if name != "plausible_answers"}
        return {**kept, "question": wording, "answers": answers}


def _stripped(answer: Answer) -> Span:
    """Where an answer stands, without white space at its ends."""
    start = answer.start + len(answer.text) - len(answer.text.lstrip())
    return Span(start, start + len(answer.text.strip()))
