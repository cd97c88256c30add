"""Answers of a question in the forms that corpora have: lists, columns, spans, bare texts."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Mapping
from typing import Any

from lbkd.conversion.raw import RawAnswer

_ARRAY = re.compile(r"array\((\[.*?\])(?:,\s*dtype=\w+)?\)", re.DOTALL)
"""A numpy array as pandas writes it into a CSV file."""


def answers_of(record: Mapping[str, Any]) -> list[RawAnswer]:
    """The answers of a question's record.

    `detected_answers` with inclusive `char_spans` (MRQA) come before `answers`, and these before the columns
    `answer_text` (or `answer`) and `answer_start`.
    """
    if "detected_answers" in record:
        return _detected(record["detected_answers"])
    found = record.get("answers")
    if found is None:
        found = record.get("answer_text", record.get("answer"))
        if not isinstance(found, dict | list):
            return [] if found is None else [RawAnswer(found, record.get("answer_start"))]
    return _listed(_unpacked(found))


def _detected(found: Any) -> list[RawAnswer]:
    """One answer for each span of MRQA's detected answers; spans include their last character."""
    answers = [answer for answer in found if isinstance(answer, dict)] if isinstance(found, list) else []
    return [
        RawAnswer(answer.get("text"), span[0], span[1] + 1)
        for answer in answers
        for span in (answer["char_spans"] if isinstance(answer.get("char_spans"), list) else [])
        if isinstance(span, list) and [type(end) for end in span] == [int, int]
    ]


def _listed(found: Any) -> list[RawAnswer]:
    if isinstance(found, dict):  # columns, or a single answer
        texts, starts = found.get("text"), found.get("answer_start")
        if not isinstance(texts, list):
            return [RawAnswer(texts, starts)]
        if not isinstance(starts, list):
            starts = [starts] * len(texts) if len(texts) == 1 else []
        return [RawAnswer(text, starts[n] if n < len(starts) else None) for n, text in enumerate(texts)]
    if isinstance(found, list):
        return [
            answer
            for item in found
            for answer in (_listed(item) if isinstance(item, dict | list) else [RawAnswer(item)])
        ]
    return [RawAnswer(found)]


def _unpacked(found: Any) -> Any:
    """The list or object that a text holds, as in CSV files; any other value as it is."""
    if not isinstance(found, str) or found.lstrip()[:1] not in ("{", "["):
        return found
    try:
        return json.loads(found)
    except ValueError:
        pass
    try:
        return ast.literal_eval(_with_commas(_ARRAY.sub(r"\1", found.strip())))
    except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
        return found


def _with_commas(text: str) -> str:
    """A list of texts or numbers with a comma between two that stand side by side, as in a numpy array."""
    values = tokenize.STRING, tokenize.NUMBER
    parts: list[str] = []
    former = tokenize.ENDMARKER
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.NL:
            parts.append(f", {token.string}" if {former, token.type} <= {*values} else token.string)
            former = token.type
    return "".join(parts)
