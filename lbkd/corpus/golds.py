"""Reference answers of a SQuAD-format file, read as leniently as the official evaluation scripts do."""

from dataclasses import dataclass
from pathlib import Path

from lbkd.corpus.check import load, refusal
from lbkd.corpus.fields import FieldReader


@dataclass(frozen=True)
class Gold:
    """The reference answers of one question."""

    id: str
    answers: tuple[str, ...]


def read_golds(path: Path) -> list[Gold]:
    """Read ids and answers in the file's order; an id may occur several times.

    The official scripts look at no other field: passages, offsets and `is_impossible` may be wrong or absent,
    answers may be empty, and the last value of a repeated key counts.

    Raises:
        DataError: the file has no such structure, or an id or answer is no text.
    """
    document, fault = load(path, repeated_keys=True)
    if fault:
        raise refusal(path, "", [fault])
    reader = FieldReader()
    golds = []
    root = document if isinstance(document, dict) else {}
    for at_article, article in reader.items(root, "data", ""):
        for at_paragraph, paragraph in reader.items(article, "paragraphs", at_article):
            for place, question in reader.items(paragraph, "qas", at_paragraph):
                id = reader.field(question, "id", str, place) or ""
                answers = [
                    reader.field(answer, "text", str, where, id)
                    for where, answer in reader.items(question, "answers", place, id)
                ]
                golds.append(Gold(id, tuple(text for text in answers if text is not None)))
    if reader.faults:
        raise refusal(path, "", reader.faults)
    return golds
