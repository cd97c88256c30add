"""Passages as files have them, made strict: the value of a SQuAD-format file that the reader accepts."""

import itertools
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from lbkd.conversion.counts import Counts
from lbkd.conversion.place import place
from lbkd.conversion.raw import RawAnswer, RawPassage, RawQuestion, text_of, whole
from lbkd.recovery.offsets import unit_of
from lbkd.workspace import fingerprint

_NUMERAL = re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?")
EMPTY = "empty alternates left out"
ALL_EMPTY = "questions whose answers are all empty: left out"


def document(passages: Sequence[RawPassage], counts: Counts) -> dict[str, Any]:
    """The value of a SQuAD-format file with the passages, in their order; changes and losses are counted."""
    unit = unit_of(_numbered(passages))
    return _Strict(unit, counts).document(passages)


def _numbered(passages: Sequence[RawPassage]) -> Iterator[tuple[str, str, int]]:
    """Passage, text and offset of each answer that has an offset."""
    for passage in passages:
        context = text_of(passage.context)
        for question in passage.questions if context else ():
            for answer in question.answers:
                text, start = text_of(answer.text), whole(answer.start)
                if context and text and start is not None and start >= 0:
                    yield context, text, start


class _Strict:
    """Makes the values of one file strict."""

    def __init__(self, unit: str, counts: Counts) -> None:
        self._unit = unit
        self._counts = counts
        self._asked: dict[str, tuple[str, str, dict[str, Any]]] = {}
        """Id to passage, question and record of each question so far."""

    def document(self, passages: Sequence[RawPassage]) -> dict[str, Any]:
        articles: dict[Hashable, dict[str, Any]] = {}
        for passage in passages:
            if (paragraph := self._paragraph(passage)) is None:
                continue
            article = articles.setdefault(passage.article, {"paragraphs": []})
            if "title" not in article and (title := text_of(passage.title)):
                article["title"] = title
            article["paragraphs"].append(paragraph)
        data = [
            {name: each[name] for name in ("title", "paragraphs") if name in each}
            for each in articles.values()
        ]
        return {"version": "1.1", "data": data}

    def _paragraph(self, passage: RawPassage) -> dict[str, Any] | None:
        context = text_of(passage.context)
        if context is None:
            for question in passage.questions or (RawQuestion("", "", []),):
                self._counts.add(
                    "passages without text: left out with their questions", str(question.id or "")
                )
            return None
        asked = [self._question(question, context) for question in passage.questions]
        return {"context": context, "qas": [record for record in asked if record]}

    def _question(self, question: RawQuestion, context: str) -> dict[str, Any] | None:
        """A question's record; None for one that is left out or joined to an earlier one."""
        text = text_of(question.text)
        if text is None:
            self._counts.add("questions without text: left out", str(question.id or ""))
            return None
        id = self._id(question.id, context, text)
        unanswerable = str(question.impossible).lower() in ("true", "1", "1.0")
        answers = [
            answer for raw in question.answers if (answer := self._answer(raw, context, text, id)) is not None
        ]
        if unanswerable and answers:
            self._counts.add("questions marked as unanswerable that have answers: left out", id)
            return None
        if not unanswerable and not answers:
            self._counts.add(ALL_EMPTY, id)
            return None
        return self._recorded(id, context, text, answers)

    def _recorded(
        self, id: str, context: str, text: str, answers: list[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """The record of a question; None if answers were joined to the question's earlier record."""
        if earlier := self._asked.get(id):
            if earlier[:2] == (context, text) and bool(earlier[2]["answers"]) == bool(answers):
                self._counts.add("questions given twice: answers joined", id)
                earlier[2]["answers"] += [each for each in answers if each not in earlier[2]["answers"]]
                return None
            self._counts.add("ids of several questions: the later made anew", id)
            id = self._made(context, text)
        record: dict[str, Any] = {"id": id, "question": text, "answers": answers}
        if not answers:
            record["is_impossible"] = True
        self._asked[id] = (context, text, record)
        return record

    def _id(self, value: Any, context: str, text: str) -> str:
        id = text_of(value)
        if id is None:
            id = fingerprint([context, text])
            self._counts.add("ids made", id)
        elif not isinstance(value, str):
            self._counts.add("ids given as numbers", id)
        return id

    def _made(self, context: str, text: str) -> str:
        """An id that depends on passage and question, and on how many questions of them are before it."""
        made = fingerprint([context, text])
        numbered = (f"{made}-{number}" for number in itertools.count(2))
        return next(id for id in itertools.chain([made], numbered) if id not in self._asked)

    def _answer(self, raw: RawAnswer, context: str, question: str, id: str) -> dict[str, Any] | None:
        text = text_of(raw.text)
        if text is None:
            self._counts.add(EMPTY, id)
            return None
        start = whole(raw.start)
        if not isinstance(raw.text, str):
            self._counts.add("answers given as numbers", id)
            numeral = _NUMERAL.match(context, max(start or 0, 0))
            if numeral and float(numeral[0].replace(",", "")) == raw.text:  # 3.50 was read as 3.5
                text = numeral[0]
        if start is not None and type(raw.start) is not int:
            self._counts.add(
                "offsets given as text" if isinstance(raw.start, str) else "offsets given as decimals", id
            )
        if raw.end is not None:
            self._counts.add("spans that include their last character", id)
        if text != text.strip():
            self._counts.add("answers with white space at the edges: stripped", id)
        placed = place(context, text, start, whole(raw.end), self._unit, question)
        if placed.how:
            self._counts.add(placed.how, id)
        return {"text": placed.text, "answer_start": placed.start}
