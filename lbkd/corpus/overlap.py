"""Questions that two corpora share, whatever their ids: training data must not contain test questions."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lbkd.corpus.parallel import ParallelCorpus


@dataclass(frozen=True)
class SharedQuestion:
    """A question of a test set that occurs in a training set."""

    text: str
    """The question in the test set."""
    test_file: Path
    test_id: str
    train_file: Path
    train_id: str
    """The id in the training set, which differs from `test_id` if only question and passage are equal."""


def shared_questions(train: ParallelCorpus, test: ParallelCorpus) -> list[SharedQuestion]:
    """Questions of a test set that a training set has in any language, each test id once.

    Two questions are shared if their ids are equal, or if both their wording and their passage's wording are
    equal without regard to case, white space and compatibility forms (NFKC). The former also finds
    translations of a test question.
    """
    first: dict[str, tuple[Path, str]] = {}  # test id -> file and text
    wordings: dict[tuple[str, str], str] = {}  # normalized passage and question -> test id
    for data in test.datasets.values():
        passages = [_normalized(passage) for passage in data.passages]
        for question in data.questions:
            first.setdefault(question.id, (data.path, question.text))
            wordings.setdefault((passages[question.passage], _normalized(question.text)), question.id)
    found: dict[str, SharedQuestion] = {}

    def share(test_id: str, train_file: Path, train_id: str) -> None:
        test_file, text = first[test_id]
        found.setdefault(test_id, SharedQuestion(text, test_file, test_id, train_file, train_id))

    for column, id in enumerate(train.question_ids):
        if id in first:
            language = next(language for language, rows in train.rows.items() if rows[column] >= 0)
            share(id, train.datasets[language].path, id)
    tested = {passage for passage, _ in wordings}
    for data in train.datasets.values():
        shared = {
            row: text for row, passage in enumerate(data.passages) if (text := _normalized(passage)) in tested
        }
        for number in np.flatnonzero(np.isin(data.columns[0], list(shared))).tolist():
            question = data.questions[number]
            if test_id := wordings.get((shared[question.passage], _normalized(question.text))):
                share(test_id, data.path, question.id)
    return list(found.values())


def _normalized(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
