"""Questions of a file, one by one: JSON lines, a table, or nested as SQuAD nests them."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lbkd.corpus.check import shown
from lbkd.corpus.formats import CONTEXTS, IDS, QUESTIONS
from lbkd.errors import DataError
from lbkd.inference.asked import checked
from lbkd.prediction.texts import lines, pieces

_PASSAGES = ("passage", *CONTEXTS)
_EXPECTED = '"question" and "passage"'
_HEAD = 2**20
"""Characters by which a file's kind is told, unless its first line tells it."""
_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class FileQuestion(NamedTuple):
    """A question of a file."""

    id: str
    """The file's, or the number of the question, from 1, where the file gives none."""
    question: str
    passage: str


def questions(path: Path) -> Iterator[FileQuestion]:
    """The questions of a file in its order, read as they are taken: memory holds one article at most.

    Known by content are JSON lines, objects with `question` and `passage` (or `context`) and perhaps `id`;
    a table with these headings, separated by commas, tabulators or semicolons; and SQuAD-format files, or
    lists of their articles, passages or questions. Packed files are unpacked; `-` is standard input.

    Raises:
        DataError: see `pieces`; what is no question is told with its line and value, after all questions
            before it have been given; a file without questions.
    """
    text = pieces(path)
    head = ""
    for piece in text:
        head += piece
        if len(head) > _HEAD or _tells(head):
            break
    begin = len(head) - len(head.lstrip())
    rest = chain([head], text)
    if (start := _list_begins(head, begin)) is not None:
        found = _listed(path, head, start, text)
    elif head[begin : begin + 1] in ("{", ""):
        found = _json_lines(path, rest)
    else:
        found = _table(path, rest)
    number, named = 0, False
    for number, (id_, question, passage, where) in enumerate(found, start=1):
        pair = checked(question, passage, f"{path}: {where}")
        has_id = isinstance(id_, int) or bool(id_)
        if number > 1 and has_id != named:  # a number may be another question's id
            told = "an id, and no question" if has_id else "no id, and each question"
            raise DataError(
                f"{path}: {where} has {told} before it has one: give every question an id, or none."
            )
        named = has_id
        yield FileQuestion(str(id_) if has_id else str(number), *pair)
    if not number:
        raise DataError(f'{path}: no questions in it; expected lines like {{"question": …, "passage": …}}.')


def _tells(head: str) -> bool:
    """True if the beginning of a file tells its kind: a list of records, or a whole first line of others."""
    text = head.lstrip()
    if _list_begins(head, len(head) - len(text)) is not None:
        return True
    line, ended, _ = text.partition("\n")
    if not ended or line[:1] not in ("{", "["):
        return bool(ended)
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


Found = Iterator[tuple[Any, Any, Any, str]]
"""Id, question and passage as the file has them, and where they stand."""


def _json_lines(path: Path, text: Iterable[str]) -> Found:
    for number, line in enumerate(lines(text), start=1):
        if line.strip():
            where = f"line {number}"
            try:
                yield from _of_record(json.loads(line), where)
            except (ValueError, LookupError, RecursionError) as error:
                message = f"{where} is not a JSON object with {_EXPECTED}: {line.strip()[:80]!r}"
                raise DataError(f"{path}: {message}") from error


def _listed(path: Path, text: str, at: int, more: Iterator[str]) -> Found:
    """The questions of a JSON list that begins before `at`; the list's items are parsed one by one."""
    line, counted = 1, 0
    while True:
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            return
        where = f"line {line}"
        try:
            record, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            longer = _longer(text[at:], more)
            if longer is None or isinstance(error, RecursionError):
                message = f"{where}: {error}, found {text[at : at + 80]!r}"
                raise DataError(f"{path}: {message}") from error
            text, at, counted = longer, 0, 0
            continue
        try:
            yield from _of_record(record, where)
        except LookupError as error:
            message = f"{where} is not an object with {_EXPECTED}: {shown(record)}"
            raise DataError(f"{path}: {message}") from error


def _longer(text: str, more: Iterator[str]) -> str | None:
    """The text and at least as much again, so that a long item is not parsed often; None at the end."""
    parts, length = [text], 0
    for piece in more:
        parts.append(piece)
        length += len(piece)
        if length > len(text):
            break
    return "".join(parts) if length else None


def _list_begins(text: str, at: int) -> int | None:
    """Where the items of a list, or of the list `data` of an object, begin; None for other texts."""
    if text[at : at + 1] == "[":
        return at + 1
    try:
        while text[at] in "{,":
            key, at = _DECODER.raw_decode(text, _space(text, at + 1))
            at = _space(text, at)
            if text[at] != ":" or key in (*QUESTIONS, *_PASSAGES):
                return None
            at = _space(text, at + 1)
            if key == "data":
                return at + 1 if text[at] == "[" else None
            at = _space(text, _DECODER.raw_decode(text, at)[1])
    except (ValueError, IndexError, RecursionError):
        pass
    return None


def _space(text: str, at: int) -> int:
    """The place of the next character that is no white space."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _of_record(record: Any, where: str) -> Found:
    """The questions of an article, of a passage, or of one question.

    Raises:
        LookupError: none of these.
    """
    if not isinstance(record, Mapping):
        raise LookupError
    if "paragraphs" in record:
        for n, paragraph in enumerate(_list(record["paragraphs"])):
            yield from _of_record(paragraph, f"{where}: paragraphs[{n}]")
    elif "qas" in record:
        for n, question in enumerate(_list(record["qas"])):
            if not isinstance(question, Mapping):
                raise LookupError
            own = _first(question, IDS, None), _first(question, QUESTIONS), _first(record, _PASSAGES)
            yield *own, f"{where}: qas[{n}]"
    else:
        yield _first(record, IDS, None), _first(record, QUESTIONS), _first(record, _PASSAGES), where


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise LookupError
    return value


def _first(record: Mapping[str, Any], names: Iterable[str], *default: Any) -> Any:
    """The value of the first of some fields that a record has."""
    name = next((name for name in names if name in record), None)
    if name is None and default:
        return default[0]
    return record[name]  # type: ignore[index]


def _table(path: Path, text: Iterable[str]) -> Found:
    former = csv.field_size_limit(sys.maxsize)  # passages may be longer than the module's limit
    try:
        yield from _rows(path, lines(text))
    finally:
        csv.field_size_limit(former)


def _rows(path: Path, text: Iterator[str]) -> Found:
    number = 1
    for line in text:
        if line.strip():
            break
        number += 1
    names, delimiter = _headings(path, line, number)
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        where = f"line {number + rows.line_num + 1}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(f"{path}: {where}: {error}; quote fields with {delimiter!r}.") from error
        if row is None:
            return
        if len(row) > len(names):
            message = f"{where} has {len(row)} fields, the headings {len(names)}: {shown(row[len(names) :])}"
            raise DataError(f"{path}: {message} is too much; quote fields with {delimiter!r}.")
        if row:
            record = dict(zip(names, row, strict=False))
            id_, question, passage = (record.get(_in(names, known)) for known in (IDS, QUESTIONS, _PASSAGES))
            yield id_, question, passage, where


def _headings(path: Path, line: str, number: int) -> tuple[list[str], str]:
    """The headings of a table and its delimiter."""
    for delimiter in ",\t;":
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
        if _in(names, QUESTIONS) and _in(names, _PASSAGES):
            return names, delimiter
    raise DataError(
        f"{path}: line {number} is neither a JSON object with {_EXPECTED} nor the headings of a table with "
        f"these columns: {line.strip()[:80]!r}"
    )


def _in(names: list[str], known: Iterable[str]) -> str:
    """The first known name that a table has; empty if it has none."""
    return next((name for name in known if name in names), "")
