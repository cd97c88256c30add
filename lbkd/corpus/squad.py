"""SQuAD v1.1 and v2 JSON files, read strictly: a file with any fault is refused."""

import itertools
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lbkd.corpus import formats
from lbkd.corpus.check import Fault, load, refusal, shown
from lbkd.corpus.differences import difference
from lbkd.corpus.fields import FieldReader
from lbkd.corpus.formats import CONVERT
from lbkd.graphemes import widen
from lbkd.recovery.place import by_place
from lbkd.workspace import fingerprint, write_text

MENDABLE = ("misplaced answer", "negative start", "cut character")
"""Kinds of faults of answers that `lbkd data repair` corrects."""

TOLERATED = frozenset({"cut character"})
"""Kinds of faults of answers that `read` accepts, since public test sets have them (MLQA's Hindi one)."""


class Answer(NamedTuple):
    """An answer of a passage: `passage[start : start + len(text)] == text`."""

    text: str
    start: int
    """Character offset in the passage."""


@dataclass(frozen=True)
class Question:
    """A question about a passage; a question without answers is unanswerable (SQuAD v2's `is_impossible`)."""

    id: str
    text: str
    passage: int
    """Row in `Dataset.passages`."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Dataset:
    """The content of one SQuAD-format file, in the file's order and with unchanged texts."""

    path: Path
    language: str
    passages: Sequence[str]
    articles: Sequence[int]
    """Article number of each passage."""
    titles: Sequence[str]
    """Title of each article; empty for an article without a title."""
    questions: Sequence[Question]

    @property
    def ids(self) -> Sequence[str]:
        """(Q,) ids of the questions."""
        return [question.id for question in self.questions]

    @property
    def question_texts(self) -> Sequence[str]:
        """(Q,) texts of the questions."""
        return [question.text for question in self.questions]

    @property
    def columns(self) -> npt.NDArray[np.int32]:
        """(3, Q): row of the passage; start and end (exclusive) of the first answer, -1 without answers.

        White space at the answer's edges is left out, so that labels and answers are what a reader sees.
        """
        found = np.full((3, len(self.questions)), -1, dtype=np.int32)
        for n, question in enumerate(self.questions):
            found[0, n] = question.passage
            for answer in question.answers[:1]:
                start = answer.start + len(answer.text) - len(answer.text.lstrip())
                found[1:, n] = start, start + len(answer.text.strip())
        return found

    @property
    def content(self) -> str:
        """Fingerprint of all passages, questions, ids and answers."""
        questions = [(item.id, item.text, item.passage, item.answers) for item in self.questions]
        return fingerprint([list(self.passages), questions])


def read(path: Path, language: str, tolerated: Collection[str] = ()) -> Dataset:
    """Read a SQuAD-format file.

    Args:
        path: the file.
        language: ISO code of the file's texts.
        tolerated: kinds of faults that the file may have; only kinds of faults of answers are possible.

    Raises:
        DataError: the file has other faults; the message shows the first four, with remedies.
    """
    dataset, found = _parsed(path, language)
    faults = [fault for fault in found if fault.kind not in TOLERATED.union(tolerated)]
    if dataset is not None and not faults:
        return dataset
    raise refusal(path, language, faults)


def inspect_file(path: Path, language: str) -> tuple[Dataset | None, list[Fault]]:
    """The dataset and no faults; or None and all faults. No content of the file raises an error."""
    dataset, faults = _parsed(path, language)
    return (None if faults else dataset), faults


def inspect(path: Path, document: Any, language: str = "") -> tuple[Dataset, list[Fault]]:
    """The dataset of a JSON value, as far as it can be read, and all its faults.

    Args:
        path: the file that the value is from, or will be in.
        document: the value.
        language: ISO code of the texts.
    """
    walk = _Walk(document)
    dataset = Dataset(
        path,
        language,
        passages=tuple(walk.passages),
        articles=tuple(walk.articles),
        titles=tuple(walk.titles),
        questions=tuple(walk.questions),
    )
    return dataset, walk.faults


def _parsed(path: Path, language: str) -> tuple[Dataset | None, list[Fault]]:
    document, fault = load(path)
    return (None, [fault]) if fault else inspect(path, document, language)


def rebuilt(
    document: Mapping[str, Any], change: Callable[[dict[str, Any], int], dict[str, Any] | None]
) -> Any:
    """A copy of a file's JSON value with changed paragraphs.

    Args:
        document: the JSON value of a file without structural faults.
        change: function of a paragraph and its number, from 0 on; returns the new paragraph, or None to leave
            the paragraph out. An article without remaining paragraphs is left out, too.
    """
    number = itertools.count()
    articles = []
    for article in document["data"]:
        changed = [change(paragraph, next(number)) for paragraph in article["paragraphs"]]
        if paragraphs := [paragraph for paragraph in changed if paragraph]:
            articles.append({**article, "paragraphs": paragraphs})
    return {**document, "data": articles}


def write(path: Path, document: Any) -> None:
    """Write a JSON value so that the file is either complete or not replaced."""
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    # Unread fields may hold half a surrogate pair, which UTF-8 cannot express and a JSON escape can.
    write_text(path, re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text))


class _Walk(FieldReader):
    """Collects the content and the faults of a JSON value in one pass."""

    def __init__(self, document: Any) -> None:
        super().__init__()
        self.passages: list[str] = []
        self.articles: list[int] = []
        self.titles: list[str] = []
        self.questions: list[Question] = []
        self.places: dict[str, str] = {}  # question id -> place of its first occurrence
        if format := formats.of_value(document):
            self.note("other format", "", "", format.name, format.remedy)
            return
        if type(document) is not dict:
            message = f"the top level must be an object with the field 'data', found {shown(document)}"
            self.note("wrong type", "", "", message, "bring the file into the SQuAD format")
            return
        for where, article in self.items(document, "data", ""):
            title = self.field(article, "title", str, where) if "title" in article else ""
            self.titles.append(title or "")
            for place, paragraph in self.items(article, "paragraphs", where):
                self.paragraph(paragraph, place)
        if not self.questions and not self.faults:
            self.note("no questions", "data", "", "the file has no questions", "check how it was created")

    def paragraph(self, record: dict[str, Any], where: str) -> None:
        passage = self.text(record, "context", where)
        self.passages.append(passage or "")
        self.articles.append(len(self.titles) - 1)
        for place, question in self.items(record, "qas", where):
            self.question(question, place, passage)

    def question(self, record: dict[str, Any], where: str, passage: str | None) -> None:
        id = self.text(record, "id", where) or ""
        text = self.text(record, "question", where, id) or ""
        if id and (first := self.places.setdefault(id, where)) != where:
            message = f"the id {shown(id)} is already that of {first}"
            self.note(
                "duplicate id",
                where,
                id,
                message,
                f"give every question its own id, or remove one; {CONVERT} does",
            )
        answers = [
            self.answer(answer, place, id, passage)
            for place, answer in self.items(record, "answers", where, id)
        ]
        impossible = (
            self.field(record, "is_impossible", bool, where, id) if "is_impossible" in record else False
        )
        if impossible and answers:
            message = "'is_impossible' is true, but 'answers' is not empty"
            remedy = "remove the answers, or make 'is_impossible' false"
            if not any(answer and answer.text.strip() for answer in answers):
                remedy = f"{CONVERT} leaves out answers that are empty"
            self.note("answered", where, id, message, remedy)
        if impossible is False and record.get("answers") == []:
            message = "there are no answers, and 'is_impossible' is not true"
            self.note("unanswered", where, id, message, 'add an answer, or "is_impossible": true')
        row = len(self.passages) - 1
        self.questions.append(Question(id, text, row, tuple(answer for answer in answers if answer)))

    def answer(self, record: dict[str, Any], where: str, id: str, passage: str | None) -> Answer | None:
        text = self.text(record, "text", where, id)
        start = self.field(record, "answer_start", int, where, id)
        if start is not None and start < 0:
            does = "finds the text in the passage" if text else "leaves out empty answers"
            message = f"'answer_start' is negative, found {shown(start)}"
            self.note("negative start", where, id, message, f"{CONVERT} {does}")
        elif text and passage and start is not None and passage[start : start + len(text)] != text:
            there = shown(passage[start : start + len(text)]) if start < len(passage) else "the passage's end"
            message = f"{shown(text)} is not at character {shown(start)}, where {there} stands"
            found, remedy = _elsewhere(text, start, passage)
            self.note("misplaced answer", where, id, f"{message}; {found}", remedy)
        elif text and passage and start is not None:
            whole = widen(passage, start, start + len(text))
            if whole != (start, start + len(text)):
                message = (
                    f"{shown(text)} is cut inside a character; whole, it is {shown(passage[slice(*whole)])}"
                )
                remedy = f"`lbkd data repair` sets the whole text, with 'answer_start' {whole[0]}"
                self.note("cut character", where, id, message, remedy)
        return None if text is None or start is None else Answer(text, start)


def _elsewhere(text: str, start: int, passage: str) -> tuple[str, str]:
    """Where a misplaced answer occurs, or how it differs from the passage; and the remedy."""
    if passage.encode("utf-8", "replace").startswith(text.encode("utf-8", "replace"), start):
        return "it is at this byte", f"{CONVERT} reads offsets in bytes"
    places = passage.rfind(text, 0, start + len(text) - 1), passage.find(text, start)
    found = by_place(text.strip(), passage, start)
    there = (
        f"{shown(passage[slice(*found.span)])} at {found.span.start} (score {found.score:.2f})"
        if found
        else ""
    )
    if occurrences := [place for place in places if place >= 0]:
        nearest = min(occurrences, key=lambda place: abs(place - start))
        if found and found.method != "answer":
            remedy = (
                f"`lbkd data repair` takes {there}; if the other is meant, set 'answer_start' to {nearest}"
            )
            return f"it occurs at {nearest}, farther than in another spelling", remedy
        remedy = f"if that one is meant, set 'answer_start' to {nearest} (characters, not bytes, from 0)"
        return f"it occurs at {nearest}", remedy
    different = difference(text, passage)
    ignored = f", unless differences in {different} are ignored" if different else ""
    message = f"it does not occur in the passage{ignored}"
    if found:
        return message, f"`lbkd data repair` takes the passage's wording, {there}"
    return message, "copy the answer from the passage, or remove it; `lbkd data repair` cannot find it"
