"""The shapes in which corpora nest or list their questions, recognised by the names of their fields."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from lbkd.conversion.answers import answers_of
from lbkd.conversion.counts import Counts
from lbkd.conversion.raw import RawPassage, RawQuestion
from lbkd.conversion.tydiqa import CODES, gold_passage
from lbkd.corpus.check import shown
from lbkd.corpus.formats import CONTEXTS, IDS, QUESTIONS
from lbkd.errors import DataError

_GOLD_ID = re.compile(rf"({'|'.join(CODES)})-(?:-?\d+)-\d+")
"""A question's id in TyDiQA-GoldP: `korean--5252295675424886259-0`."""
_LANGUAGE = re.compile(r"[\w-]+")
"""Names of languages, which become parts of files' names."""


class UnknownShape(DataError):
    """A record has none of the known sets of fields."""


def by_language(records: Sequence[Any]) -> dict[str, list[Any]]:
    """A file's records by the language that each tells; "" for those that tell none.

    It is told by the field `language`, and in TyDiQA-GoldP by the questions' ids.
    """
    found: dict[str, list[Any]] = {}
    for record in records:
        if isinstance(record, dict) and "header" in record and len(record) == 1:
            continue
        told = record.get("language") if isinstance(record, dict) else None
        if not (isinstance(told, str) and _LANGUAGE.fullmatch(told)):
            told = _language_of_id(record)
        found.setdefault(CODES.get(told, told), []).append(record)
    return found


def _language_of_id(record: Any) -> str:
    """The language in the first id of a record of TyDiQA-GoldP, an article or a row; "" for other records."""
    for inner in ("paragraphs", "qas"):
        if isinstance(record, dict) and isinstance(record.get(inner), list):
            record = next(iter(record[inner]), None)
    found = _GOLD_ID.fullmatch(str(record.get("id"))) if isinstance(record, dict) else None
    return found[1] if found else ""


def passages(records: Sequence[Any], counts: Counts) -> list[RawPassage]:
    """The passages of a file's records in their order; questions in rows are gathered by their passage.

    Raises:
        UnknownShape: a record is none of: an article with `paragraphs`, a passage with `qas`, a row with a
            passage and a question, a record of TyDiQA.
    """
    found: list[RawPassage] = []
    rows: dict[Hashable, RawPassage] = {}
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise UnknownShape(f"record {number + 1} must be an object, found {shown(record)}")
        if "paragraphs" in record:
            inner = record["paragraphs"]
            for paragraph in inner if isinstance(inner, list) else [inner]:
                if not isinstance(paragraph, dict):
                    raise UnknownShape(f"a paragraph must be an object, found {shown(paragraph)}")
                found.append(_passage(paragraph, number, record.get("title")))
        elif "qas" in record and _first(record, CONTEXTS) is not None:
            found.append(_passage(record, number, record.get("title")))
        elif "document_plaintext" in record:
            if passage := _tydiqa(record, counts):
                found.append(passage)
        elif _first(record, CONTEXTS) is not None and _first(record, QUESTIONS) is not None:
            row = _row(record, counts)
            key = (str(row.article), str(row.context))
            if key in rows:
                rows[key].questions.extend(row.questions)
            else:
                rows[key] = row
                found.append(row)
        else:
            fields = ", ".join(map(str, record))[:100]
            raise UnknownShape(f"record {number + 1} has no passage and question; its fields are: {fields}")
    return found


def _tydiqa(record: Mapping[str, Any], counts: Counts) -> RawPassage | None:
    try:
        return gold_passage(record, counts)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        message = f"the record of TyDiQA {shown(record.get('example_id'))} is incomplete: {error!r}"
        raise UnknownShape(message) from None


def _passage(record: Mapping[str, Any], article: int, title: Any) -> RawPassage:
    """A passage with its list of questions."""
    asked = record.get("qas") or []
    if not isinstance(asked, list) or not all(isinstance(item, dict) for item in asked):
        raise UnknownShape(f"'qas' must be a list of objects, found {shown(asked)}")
    questions = [_question(item, answers_of_nothing=None) for item in asked]
    return RawPassage(_first(record, CONTEXTS), article, title, questions)


def _row(record: Mapping[str, Any], counts: Counts) -> RawPassage:
    """A passage with the one question of a row; rows with an empty list of answers are unanswerable."""
    question = _question(record, answers_of_nothing=True)
    if question.impossible is True and "is_impossible" not in record:
        counts.add("rows with an empty list of answers: unanswerable", str(question.id))
    context, title = _first(record, CONTEXTS), record.get("title")
    return RawPassage(context, str(title or context), title, [question])


def _question(record: Mapping[str, Any], answers_of_nothing: bool | None) -> RawQuestion:
    """A question; `answers_of_nothing` stands for `is_impossible` where it is missing and answers are []."""
    answers = answers_of(record)
    impossible = record.get("is_impossible")
    if impossible is None and not answers and record.get("answers") is not None:
        impossible = answers_of_nothing
    return RawQuestion(_first(record, IDS), _first(record, QUESTIONS), answers, impossible)


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of some fields that a record has; None if it has none."""
    return next((record[name] for name in names if record.get(name) is not None), None)
