"""What an answerer is asked: the questions and passages of a call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from lbkd.corpus.check import shown
from lbkd.errors import DataError, MissingKeyError

Pair = tuple[str, str]
"""A question and its passage."""
_EXPECTED = "expected {'question': ..., 'context': ...}"


@dataclass(frozen=True)
class Asked:
    """The questions of a call."""

    pairs: Iterator[Pair]
    """Question and passage of each; a fault is raised when its pair is reached."""
    single: bool = False
    """One question was given outside a list."""
    stream: bool = False
    """The number of questions is unknown before the last one, as with a generator."""


def asked(inputs: Sequence[Any], question: Any, context: Any, others: Sequence[Any] = ()) -> Asked:
    """The questions of a call, whichever way they are given.

    Args:
        inputs: the call's arguments by position: none; entries, see below; or a question and a context.
        question: a question, or any iterable of questions.
        context: one passage for all questions, or an iterable with a passage for each question.
        others: the values of the call's other names for entries; None where a name was not given.

    An entry is a dictionary with "question" and "context"; entries are one, several, or an iterable of them.

    Raises:
        DataError: nothing that could be a question and a passage, questions given twice, or numbers of
            questions and passages that differ.
    """
    entries = [other for other in others if other is not None]
    pair = len(inputs) == 2 and not all(isinstance(entry, Mapping) for entry in inputs)
    if len(entries) + bool(inputs) + (question is not None or context is not None) > 1:
        raise DataError(
            "the questions are given twice: give either question and context, or entries by position, as X "
            "or as data."
        )
    if inputs and not pair:
        entries = [inputs[0] if len(inputs) == 1 else list(inputs)]
    if entries:
        return _of_entries(entries[0])
    if pair:
        question, context = inputs
    questions, contexts = _listed(question), _listed(context)
    if isinstance(context, str):
        contexts *= len(questions)
    if len(questions) != len(contexts):
        raise DataError(f"{len(questions)} questions but {len(contexts)} contexts: give one for each.")
    numbered = enumerate(zip(questions, contexts, strict=True))
    pairs = (checked(*texts, f"question {number}") for number, texts in numbered)
    return Asked(pairs, single=isinstance(question, str))


def checked(question: Any, passage: Any, where: str) -> Pair:
    """Question and passage, if both are sound texts; otherwise a DataError that begins with `where`."""
    for what, text in (("question", question), ("passage", passage)):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: the {what} is {shown(text)}; expected a text that is not empty.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{where}: the {what} has half a surrogate pair, {text[error.start]!a}, at character "
                f"{error.start}; write the whole character, or remove the half."
            ) from error
    return question, passage


def _of_entries(entries: Any) -> Asked:
    if isinstance(entries, Mapping):
        return Asked(iter([_pair(entries, 0)]), single=True)
    sized = isinstance(entries, Sized)
    if not isinstance(entries, Iterable) and sized and hasattr(entries, "__getitem__"):  # a Dataset of torch
        entries = map(entries.__getitem__, range(len(entries)))
    if isinstance(entries, str | bytes) or not isinstance(entries, Iterable):
        raise DataError(f"{shown(entries)}: {_EXPECTED}, or several such dictionaries.")
    return Asked((_pair(entry, n) for n, entry in enumerate(entries)), stream=not sized)


def _pair(entry: Any, number: int) -> Pair:
    where = f"question {number}"
    if not isinstance(entry, Mapping):
        raise DataError(f"{where}: {shown(entry)}: {_EXPECTED}.")
    for key in ("question", "context"):
        if key not in entry:
            raise MissingKeyError(
                f"{where}: the key {key!r} is missing in {shown(dict(entry))}; {_EXPECTED}."
            )
    return checked(entry["question"], entry["context"], where)


def _listed(value: Any) -> list[Any]:
    many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return list(value) if many else [value]
