"""SQuAD v1.1 and v2 JSON files, read strictly: a file with any fault is refused."""

import itertools
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from lbkd.corpus.check import Fault, load, shown
from lbkd.errors import DataError
from lbkd.workspace import fingerprint, write_text

T = TypeVar("T")

_TYPES = {str: "a string", list: "a list", dict: "an object", int: "a whole number", bool: "true or false"}
_SHOWN_FAULTS = 4


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
        """(3, Q): row of the passage; start and end (exclusive) of the first answer, -1 without answers."""
        found = np.full((3, len(self.questions)), -1, dtype=np.int32)
        for n, question in enumerate(self.questions):
            found[0, n] = question.passage
            for answer in question.answers[:1]:
                found[1:, n] = answer.start, answer.start + len(answer.text)
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
    faults = [fault for fault in found if fault.kind not in tolerated]
    if dataset is not None and not faults:
        return dataset
    lines = [f"{path} ({language}): {len(faults)} fault{'s' * (len(faults) > 1)}"]
    for fault in faults[:_SHOWN_FAULTS]:
        place = fault.where + (f" (id {shown(fault.id)})" if fault.id else "")
        lines += [f"  {place}: {fault.message}" if place else f"  {fault.message}", f"    -> {fault.remedy}"]
    if len(faults) > _SHOWN_FAULTS:
        lines.append(f"  and {len(faults) - _SHOWN_FAULTS} more")
    if any(fault.where for fault in faults):
        lines.append(f"`lbkd data check {shlex.quote(str(path))}` lists them all.")
    raise DataError("\n".join(lines))


def inspect_file(path: Path, language: str) -> tuple[Dataset | None, list[Fault]]:
    """The dataset and no faults; or None and all faults. No content of the file raises an error."""
    dataset, faults = _parsed(path, language)
    return (None if faults else dataset), faults


def _parsed(path: Path, language: str) -> tuple[Dataset | None, list[Fault]]:
    document, fault = load(path)
    if fault:
        return None, [fault]
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


class _Walk:
    """Collects the content and the faults of a JSON value in one pass."""

    def __init__(self, document: Any) -> None:
        self.faults: list[Fault] = []
        self.passages: list[str] = []
        self.articles: list[int] = []
        self.titles: list[str] = []
        self.questions: list[Question] = []
        self.places: dict[str, str] = {}  # question id -> place of its first occurrence
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

    def note(self, kind: str, where: str, id: str, message: str, remedy: str) -> None:
        id = id if len(id) <= 80 else id[:79] + "…"
        self.faults.append(Fault(kind, where, id, message, remedy))

    def field(self, record: dict[str, Any], name: str, kind: type[T], where: str, id: str = "") -> T | None:
        """The value of a field; for a missing field or another type, None after noting a fault."""
        if name not in record:
            message = f"there is no field {name!r}"
            self.note("missing field", where, id, message, f"add {name!r}, {_TYPES[kind]}")
            return None
        value = record[name]
        if type(value) is not kind:  # exact: true and false are no numbers
            message = f"{name!r} must be {_TYPES[kind]}, found {shown(value)}"
            self.note("wrong type", where, id, message, f"make {name!r} {_TYPES[kind]}")
            return None
        if isinstance(value, str) and (place := _surrogate(value)) is not None:
            message = f"{name!r} has half a surrogate pair, {value[place]!a}, at character {place}"
            self.note("surrogate", where, id, message, "write the whole character, or remove the half")
            return None
        return value

    def text(self, record: dict[str, Any], name: str, where: str, id: str = "") -> str | None:
        """The value of a string field; for an empty string, None after noting a fault."""
        value = self.field(record, name, str, where, id)
        if value is None or value.strip():
            return value
        self.note(
            "empty", where, id, f"{name!r} is empty, found {shown(value)}", "fill it or remove the entry"
        )
        return None

    def items(
        self, record: dict[str, Any], name: str, where: str, id: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Place and content of each object in a list field."""
        for number, item in enumerate(self.field(record, name, list, where or "top level", id) or ()):
            place = f"{where}.{name}[{number}]".lstrip(".")
            if type(item) is dict:
                yield place, item
            else:
                message = f"must be an object, found {shown(item)}"
                self.note("wrong type", place, id, message, "make it an object or remove it")

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
            self.note("duplicate id", where, id, message, "give every question its own id, or remove one")
        answers = [
            self.answer(answer, place, id, passage)
            for place, answer in self.items(record, "answers", where, id)
        ]
        impossible = (
            self.field(record, "is_impossible", bool, where, id) if "is_impossible" in record else False
        )
        if impossible and answers:
            message = "'is_impossible' is true, but 'answers' is not empty"
            self.note("answered", where, id, message, "remove the answers, or make 'is_impossible' false")
        if impossible is False and record.get("answers") == []:
            message = "there are no answers, and 'is_impossible' is not true"
            self.note("unanswered", where, id, message, 'add an answer, or "is_impossible": true')
        row = len(self.passages) - 1
        self.questions.append(Question(id, text, row, tuple(answer for answer in answers if answer)))

    def answer(self, record: dict[str, Any], where: str, id: str, passage: str | None) -> Answer | None:
        text = self.text(record, "text", where, id)
        start = self.field(record, "answer_start", int, where, id)
        if start is not None and start < 0:
            message = f"'answer_start' is negative, found {shown(start)}"
            self.note("negative start", where, id, message, "count characters of the passage from 0")
        elif text and passage and start is not None and passage[start : start + len(text)] != text:
            there = shown(passage[start : start + len(text)]) if start < len(passage) else "the passage's end"
            message = f"{shown(text)} is not at character {shown(start)}, where {there} stands"
            spots = passage.rfind(text, 0, start + len(text) - 1), passage.find(text, start)
            if nearest := [spot for spot in spots if spot >= 0]:
                spot = min(nearest, key=lambda spot: abs(spot - start))
                remedy = f"if that one is meant, set 'answer_start' to {spot} (characters, not bytes, from 0)"
                self.note("misplaced answer", where, id, f"{message}; it occurs at {spot}", remedy)
            else:
                message += "; it does not occur in the passage"
                self.note(
                    "misplaced answer", where, id, message, "copy the answer from the passage, or remove it"
                )
        return None if text is None or start is None else Answer(text, start)


def _surrogate(text: str) -> int | None:
    """Place of the first lone surrogate; None for a text without one."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
