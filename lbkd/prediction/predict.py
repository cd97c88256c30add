"""All questions of a file answered, with progress, into a file or as they come."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from lbkd.inference import Answerer
from lbkd.prediction.answers import Row, answer_file, answer_rows
from lbkd.prediction.questions import FileQuestion
from lbkd.progress import Listener

_BETWEEN_NOTES = 5.0
"""Seconds between two words on how far the work is, where the number of questions is unknown."""


def predicted(
    answerer: Answerer,
    questions: Iterable[FileQuestion],
    listener: Listener,
    total: int | None = None,
    done: int = 0,
) -> Iterator[list[Row]]:
    """The answers to questions, some at a time.

    Args:
        answerer: its options are those of all questions.
        questions: those that are not answered yet.
        listener: hears how many are answered.
        total: number of all questions; None where it is unknown.
        done: number of those that were answered before.

    Raises:
        DataError: see `questions`; what comes before is answered.
    """
    last = monotonic()
    for rows in answer_rows(answerer, questions):
        yield rows
        done += len(rows)
        if total is not None:
            listener.progress("answers", done, total, {})
        elif monotonic() - last > _BETWEEN_NOTES:
            last = monotonic()
            listener.note(f"{done} questions are answered")


def predict_to_file(
    answerer: Answerer,
    questions: Iterable[FileQuestion],
    place: tuple[Path, str],
    about: Mapping[str, Any],
    listener: Listener,
    total: int | None = None,
) -> None:
    """Answer all questions into a file, which is there once it is complete.

    Args:
        answerer: its options are those of all questions.
        questions: all of them; the answers that a stopped command has kept are not computed again.
        place: the file, and its format of `FORMATS`.
        about: all that the answers depend on but the questions, by name.
        listener: hears how many are answered.
        total: number of all questions; None where it is unknown.

    Raises:
        DataError: see `answer_file`, and `questions`: the answers to those before a fault are kept.
    """
    out, format = place
    with answer_file(out, about) as file:
        if file.kept:
            listener.note(f"{file.kept} answers in {file.part} are kept")
        left = file.remaining(questions)
        for rows in predicted(answerer, left, listener, total, file.kept):
            file.add(rows)
        file.finish(format)
