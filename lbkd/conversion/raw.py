"""Passages, questions and answers as a file has them: values of any type, under one set of names."""

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

_WHOLE = re.compile(r"\s*[+-]?\d{1,18}(\.0*)?\s*")


@dataclass(frozen=True)
class RawAnswer:
    """An answer as the file has it."""

    text: Any
    start: Any = None
    """Offset in the passage; None for an answer without offset."""
    end: Any = None
    """Offset behind the last character, for a span that included it; None for other answers."""


@dataclass(frozen=True)
class RawQuestion:
    """A question as the file has it."""

    id: Any
    text: Any
    answers: list[RawAnswer]
    impossible: Any = None
    """The value of `is_impossible`; None where there is none."""


@dataclass(frozen=True)
class RawPassage:
    """A passage as the file has it; passages with equal `article` form one article."""

    context: Any
    article: Hashable
    title: Any = ""
    questions: list[RawQuestion] = field(default_factory=list)


def text_of(value: Any) -> str | None:
    """A text that can be written as UTF-8 and is not blank, or a number as text; None for anything else."""
    if isinstance(value, float):
        return str(int(value) if value.is_integer() else value) if math.isfinite(value) else None
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        return None
    return None if re.search("[\ud800-\udfff]", value) else value


def whole(value: Any) -> int | None:
    """The whole number that a number or a text gives; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.split(".")[0])
    return None
