"""One SQuAD-format file in another language: translated sentence by sentence, with its answers located."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbkd.corpus.squad import Answer, Dataset, Question, rebuilt
from lbkd.corpus_translation.locate import AnswerInSentence, RecoverySettings, locate_answers
from lbkd.corpus_translation.memory import TranslationMemory
from lbkd.errors import DataError
from lbkd.graphemes import widen
from lbkd.recovery.sentences import cut
from lbkd.recovery.tally import Tally
from lbkd.recovery.words import Span
from lbkd.scripts import has_spaces, letters_in, script_of

_LEAST_IN_SCRIPT = 0.5
"""Share of a file's letters that must be of the language's script: names and loan words may be of others."""


@dataclass(frozen=True)
class _TranslatedPassage:
    text: str
    starts: Mapping[Span, int]
    """First character in `text` of each sentence, by the sentence's span in the source passage."""
    equal: bool
    """Whether the translation is the source, and has letters."""


class Translated:
    """The translation of a file.

    Args:
        data: the source file.
        source: language of the source file, an ISO code.
        memory: the opened translation memory; missing translations are added.
        recovery: markers and methods that locate the answers.
        name: name of the translated file, for progress.
    """

    def __init__(
        self, data: Dataset, source: str, memory: TranslationMemory, recovery: RecoverySettings, name: str
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
        wanted = dict.fromkeys(
            self._in_sentence(q, answer)[1] for q in data.questions for answer in q.answers
        )
        texts = [
            text[slice(*span)]
            for text, spans in zip(data.passages, self._sentences, strict=True)
            for span in spans
        ]
        texts += (question.text for question in data.questions)
        self._found = locate_answers(list(wanted), texts, memory, recovery, self._tally, name)
        self._passages = [self._passage(row) for row in range(len(data.passages))]

    def document(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The translated file's JSON value, and the counts for the report.

        Passages and articles without a translated question are left out.

        Args:
            document: the source file's JSON value; unknown fields are copied.

        Raises:
            DataError: no question could be kept, or every passage came back as it was.
        """
        kept, equal = {"passages": 0, "questions": 0}, 0
        questions = iter(self._data.questions)

        def change(paragraph: dict[str, Any], number: int) -> dict[str, Any] | None:
            passage = self._passages[number]
            pairs = zip(paragraph["qas"], questions, strict=False)  # `qas` ends first: no question is skipped
            asked = [self._question(record, question, passage) for record, question in pairs]
            qas = [record for record in asked if record]
            if not (passage.text.strip() and qas):
                return None
            nonlocal equal
            if passage.equal:
                equal += 1
                self._tally.remark("passages equal to their source", {"passage": passage.text})
            kept["passages"] += 1
            kept["questions"] += len(qas)
            return {**paragraph, "context": passage.text, "qas": qas}

        translated = rebuilt(document, change)
        if not kept["questions"]:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in self._tally.lost.items())
            raise DataError(
                f"{self._data.path}: no question could be kept in {self._memory.target!r} ({reasons}). "
                "Try other --markers or --methods, or another --backend."
            )
        if equal == kept["passages"]:
            raise DataError(
                f"{self._data.path}: the backend gave back every passage as it was, which is no translation "
                f"into {self._memory.target!r}. Check the backend's settings, or take another --backend."
            )
        self._refuse_other_script(translated)
        totals = {"passages": len(self._data.passages), "questions": len(self._data.questions)}
        counts = {
            name: {"source": total, "kept": kept[name], "discarded": total - kept[name]}
            for name, total in totals.items()
        }
        return translated, {**counts, **self._tally.result()}

    def _refuse_other_script(self, translated: Mapping[str, Any]) -> None:
        """Raise DataError if most letters of the translated passages and questions are of another script."""
        target = self._memory.target
        if (script := script_of(target)) is None:
            return
        paragraphs = [paragraph for article in translated["data"] for paragraph in article["paragraphs"]]
        asked = (record["question"] for paragraph in paragraphs for record in paragraph["qas"])
        share, other = letters_in([*(paragraph["context"] for paragraph in paragraphs), *asked], script)
        if share < _LEAST_IN_SCRIPT:
            raise DataError(
                f"{self._data.path}: {share:.1%} of the letters of the translation into {target!r} are of "
                f"the script {script}; most others are {other}. Take a backend that writes {script}, or "
                "name in --to the script that it has, as in sr-Cyrl."
            )

    def _in_sentence(self, question: Question, answer: Answer) -> tuple[Span, AnswerInSentence]:
        """The span of an answer's sentence in the passage, and the answer with this sentence."""
        start, end = _stripped(answer)
        sentence = next(span for span in self._sentences[question.passage] if span.end >= end)
        text = self._data.passages[question.passage][slice(*sentence)]
        return sentence, AnswerInSentence(text, Span(start - sentence.start, end - sentence.start))

    def _passage(self, row: int) -> _TranslatedPassage:
        """Join the translated sentences of a passage with the white space between the source's sentences."""
        source, text, end = self._data.passages[row], "", 0
        starts = {}
        for span in self._sentences[row]:
            between = source[end : span.start]
            end = span.end
            sentence = source[slice(*span)]
            if self._memory.in_parts(sentence):
                self._tally.remark("sentences translated in parts", {"sentence": sentence})
            if translation := self._memory[sentence]:
                text += between or (" " if text and has_spaces(self._memory.target) else "")
                starts[span] = len(text)
                text += translation
            else:
                self._tally.remark("sentences without translation", {"sentence": sentence})
        text += source[end:]
        same = text.split() == source.split() and any(map(str.isalpha, text))
        return _TranslatedPassage(text, starts, same)

    def _question(
        self, record: Mapping[str, Any], question: Question, passage: _TranslatedPassage
    ) -> dict[str, Any] | None:
        """The translated question with its located answers; None without wording or without any answer."""
        wording = self._memory[question.text]
        answers = []
        for raw, answer in zip(record["answers"], question.answers, strict=True):
            sentence, in_sentence = self._in_sentence(question, answer)
            found = self._found[in_sentence] if wording else "empty question"
            if isinstance(found, str):
                self._tally.lose(question.id, answer.text, found, self._memory[in_sentence.sentence])
                continue
            offset = passage.starts[sentence]
            span = Span(*widen(passage.text, offset + found.span.start, offset + found.span.end))
            text = passage.text[slice(*span)]
            self._tally.keep(question.id, answer.text, found, text)
            answers.append({**raw, **found.fields(text, span.start)})
        if not wording or (question.answers and not answers):
            return None
        # The plausible answers of SQuAD v2's unanswerable questions refer to the source passage.
        kept = {name: value for name, value in record.items() if name != "plausible_answers"}
        return {**kept, "question": wording, "answers": answers}


def _stripped(answer: Answer) -> Span:
    """The span of an answer in its passage without white space at both ends."""
    start = answer.start + len(answer.text) - len(answer.text.lstrip())
    return Span(start, start + len(answer.text.strip()))
