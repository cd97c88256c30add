"""Bodies of requests and responses: what is asked, and what comes back."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, ValidationInfo, field_validator

from lbkd.corpus.check import shown
from lbkd.errors import DataError, nearest
from lbkd.inference.asked import Pair, checked
from lbkd.inference.options import Options
from lbkd.serving.limits import Limits

MOST_ANSWERS, MOST_WINDOWS = 100, 64
_MOST_FAULTS, _LONG, _MOST_NUMBER = 5, 40, 10**9 - 1
_EXAMPLE: dict[str, JsonValue] = {
    "question": "¿Quién la pintó?",
    "context": "La pintó Remedios Varo en 1955.",
    "top_k": 3,
}


class Asked(Options):
    """Questions about passages, and the options of an answerer's call."""

    model_config = ConfigDict(strict=True, title="Asked", json_schema_extra={"examples": [_EXAMPLE]})

    question: str | list[str]
    """A question, or a list of questions."""
    context: str | list[str]
    """A passage for all questions, or a list with a passage for each question."""
    top_k: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 1
    """Most answers to return for each question."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_WINDOWS)] | None = None
    """Windows of the greatest length that a forward pass has room for; by default as many as 8192 tokens."""

    @field_validator("*")
    @classmethod
    def _short(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what would fill a message: numbers of many digits, long languages."""
        if type(value) is int and abs(value) > _MOST_NUMBER:
            raise ValueError("expected a number of at most nine digits")
        if info.field_name in ("lang", "question_lang") and len(value or "") > _LONG:
            raise ValueError("expected a language code")
        return value

    def pairs(self, limits: Limits) -> list[Pair]:
        """Each question with its passage.

        Raises:
            DataError: a text that is empty, or something beyond the limits.
        """
        questions, passages = _listed(self.question), _listed(self.context)
        if len(questions) > limits.questions:
            raise DataError(f"{len(questions)} questions: a request may have {limits.questions}.")
        if isinstance(self.context, str):
            passages *= len(questions)
        if len(questions) != len(passages):
            raise DataError(f"{len(questions)} questions but {len(passages)} passages: give one for each.")
        pairs = [
            checked(*pair, f"question {n}") for n, pair in enumerate(zip(questions, passages, strict=True))
        ]
        for number, pair in enumerate(pairs):
            for what, text, most in zip(
                ("question", "passage"), pair, (limits.question, limits.passage), strict=True
            ):
                if len(text) > most:
                    raise DataError(
                        f"question {number}: the {what} has {len(text)} characters; it may have {most}."
                    )
        if (reading := characters(pairs)) > limits.reading:
            raise DataError(
                f"the questions' passages have {reading} characters together, a passage counted once for "
                f"each of its questions; they may have {limits.reading}. Send fewer questions at once."
            )
        return pairs

    def options(self) -> dict[str, Any]:
        """The options that the request names."""
        named = self.model_dump(exclude={"question", "context", "padding"}, exclude_unset=True)
        return {name: value for name, value in named.items() if value is not None}


class Answer(BaseModel):
    """A slice of the passage: `context[start:end]`."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    score: float
    """Probability of the answer."""
    start: int
    """First character in the passage; characters are Unicode code points."""
    end: int
    """One past the last character."""
    answer: str
    """The text; empty for "the passage has no answer"."""


class Answers(BaseModel):
    """The answers to a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    answers: list[list[Answer]]
    """For each question, in their order, the list of its answers, the best first."""


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    error: str
    """A sentence that names the value and the limit or the choices."""


def characters(pairs: Sequence[Pair]) -> int:
    """Characters of all passages, each counted once for each of its questions."""
    return sum(len(passage) for _, passage in pairs)


def faults(error: ValidationError) -> str:
    """What is wrong with a body, in one line."""
    found: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_context=False)[:_MOST_FAULTS]:
        where = ".".join(str(part) for part in fault["loc"] if part not in ("str", "list[str]"))
        text = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            text = (
                f"there is no such field; {nearest(where, set(Asked.model_fields) - {'padding'}).rstrip('.')}"
            )
        elif fault["type"] not in ("json_invalid", "missing"):
            text += f", found {_shown(fault['input'])}"
        found.setdefault(shown(where) if len(where) > _LONG else where, []).append(text)
    return "; ".join(f"{where}: {' or '.join(texts)}".removeprefix(": ") for where, texts in found.items())


def _shown(value: Any) -> str:
    try:
        return shown(value)
    except ValueError:  # an integer of thousands of digits
        return "a number too long to show"


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
