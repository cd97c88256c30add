"""Answers to the questions of a file, and the file that keeps them, where a stopped command goes on."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from lbkd.errors import DataError
from lbkd.inference import Answerer
from lbkd.locks import FileLock
from lbkd.prediction.questions import FileQuestion
from lbkd.workspace import differences, fingerprint, replacing_file

FORMATS = ("jsonl", "squad")
"""JSON lines with id and answers; one JSON object, question id -> text of the best answer."""
_AT_ONCE = 64
"""Questions that are answered together: some seconds' work of a CPU."""

Row = dict[str, Any]
"""`id`, `answers`: the answerer's, best first, and `asked`: the fingerprint of the question."""


def answer_rows(answerer: Answerer, questions: Iterable[FileQuestion]) -> Iterator[list[Row]]:
    """The answers to questions, some at a time; a fault is raised once all questions before it are answered.

    Args:
        answerer: its options are those of all questions.
        questions: see `lbkd.prediction.questions`.
    """
    left = iter(questions)
    fault: DataError | None = None
    while fault is None:
        some: list[FileQuestion] = []
        try:
            for question in islice(left, _AT_ONCE):
                some.append(question)  # one by one: what was taken before a fault stays
        except DataError as error:
            fault = error
        if some:
            yield _rows(answerer, some)
        elif fault is None:
            return
    raise fault


def _rows(answerer: Answerer, some: list[FileQuestion]) -> list[Row]:
    found = answerer([{"question": each.question, "context": each.passage} for each in some])
    return [
        {"asked": fingerprint(each), "id": each.id, "answers": [best] if isinstance(best, dict) else best}
        for each, best in zip(some, found, strict=True)
    ]


def distinct(questions: Iterable[FileQuestion]) -> Iterator[FileQuestion]:
    """The questions, whose ids must differ, since SQuAD predictions have one answer an id.

    Raises:
        DataError: an id that an earlier question has.
    """
    seen: set[int] = set()
    for question in questions:
        if (number := hash(question.id)) in seen:
            raise DataError(
                f"the id {question.id!r} comes twice, and SQuAD predictions have one answer an id; take "
                "JSON lines (--format jsonl), or give each question its own id."
            )
        seen.add(number)
        yield question


def text_of(row: Row) -> str:
    """The best answer's text, "" where no answer is the best."""
    text: str = row["answers"][0]["answer"]
    return text


def format_of(out: Path | None, asked: str | None) -> str:
    """The format of a file with answers: what was asked for, or what the file's name tells."""
    return asked or ("squad" if out is not None and out.suffix == ".json" else "jsonl")


class AnswerFile:
    """The file that answers go to, `<out>.part` until all are there; made by `answer_file`."""

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        self.out, self.part = out, out.with_name(f"{out.name}.part")
        self._about = json.loads(json.dumps(about))
        self.kept = 0
        """Rows of a former command."""
        if self.part.exists():
            self._take_up()
        else:
            self.add([self._about])

    def remaining(self, questions: Iterable[FileQuestion]) -> Iterator[FileQuestion]:
        """The questions whose answers are not kept yet.

        Raises:
            DataError: a kept answer is another question's.
        """
        left = iter(questions)
        for number, row in enumerate(self._rows(), start=1):
            asked = next(left, None)
            if asked is None or fingerprint(asked) != row["asked"]:
                raise DataError(
                    f"{self.part}: answer {number} (id {row['id']!r}) is to another question than the file's "
                    f"{number}{'th' if asked else 'th, which is missing'}: the questions have changed. Bring "
                    f"them back as they were, or remove {self.part} to begin anew."
                )
        yield from left

    def add(self, rows: Iterable[Row]) -> None:
        """Keep the answers to some questions."""
        with self.part.open("a", encoding="utf-8") as file:
            file.writelines(map(_line, rows))

    def finish(self, format: str) -> None:
        """Write the file itself, and remove the part."""
        with replacing_file(self.out) as beside, beside.open("w", encoding="utf-8") as file:
            write_rows(file, self._rows(), format)
        self.part.unlink()

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the part, each with the fingerprint of its question."""
        with self.part.open(encoding="utf-8", newline="\n") as file:
            yield from map(json.loads, islice(file, 1, None))

    def _take_up(self) -> None:
        """Check the rows of a former command; a last line that was not finished is removed."""
        good, about = 0, None
        with self.part.open("rb") as file:
            for number, line in enumerate(file):
                value = _value(line)
                if value is None or (number and not {"asked", "id", "answers"} <= value.keys()):
                    if line.endswith(b"\n"):
                        raise DataError(
                            f"{self.part}: line {number + 1} is damaged; remove the file to begin anew."
                        )
                    break
                about = about or value
                self.kept, good = number, good + len(line)
        if about is not None and (different := differences(about, self._about)):
            raise DataError(
                f"{self.part} was begun with another {different}: give the same command, or remove the file "
                "to begin anew."
            )
        with self.part.open("r+b") as file:
            file.truncate(good)
        if about is None:
            self.add([self._about])


def _value(line: bytes) -> dict[str, Any] | None:
    """The object in a finished line; None where there is none."""
    try:
        value = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def answer_file(out: Path, about: Mapping[str, Any]) -> Iterator[AnswerFile]:
    """The file for answers, which must not be there yet; what a stopped command computed is taken up.

    Args:
        out: the file.
        about: all that the answers depend on but the questions, by name.

    Raises:
        DataError: the file is there, or its part is another command's or damaged.
    """
    if out.exists():
        raise DataError(f"{out} is there already; remove it, or name another file for the answers.")
    lock = FileLock(out)
    if not lock.acquire():
        raise DataError(f"{out}: {lock.owner()} writes it now; name another file, or wait.")
    try:
        file = AnswerFile(out, about)
        yield file
    finally:
        lock.release()


def write_rows(file: IO[str], rows: Iterable[Row], format: str) -> None:
    """Write rows, taken one by one, in a format of `FORMATS`."""
    if format == "jsonl":
        file.writelines(_line({"id": row["id"], "answers": row["answers"]}) for row in rows)
        return
    between = "{\n"
    for row in rows:
        file.write(f"{between}{_json(row['id'])}: {_json(text_of(row))}")
        between = ",\n"
    file.write("\n}\n")


def _line(value: Any) -> str:
    return _json(value) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
