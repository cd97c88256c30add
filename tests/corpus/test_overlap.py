import json
import unicodedata
from pathlib import Path

import pytest

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus.overlap import SharedQuestion, shared_questions
from lbkd.corpus.parallel import ParallelCorpus

MURAL = "Pintó José el mural."


def corpus(path: Path, *questions: tuple[str, str, str], language: str = "es") -> ParallelCorpus:
    """A file with one passage for each (id, question, passage)."""
    paragraphs = [
        {
            "context": passage,
            "qas": [{"id": id, "question": text, "answers": [{"text": passage[0], "answer_start": 0}]}],
        }
        for id, text, passage in questions
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return ParallelCorpus.read({language: path}, language)


def test_an_equal_id_in_another_language(tmp_path: Path) -> None:
    train = corpus(tmp_path / "train", ("a", "Who?", "He did."), ("b", "When?", "Then."), language="en")
    test = corpus(tmp_path / "test", ("c", "¿Qué?", "Eso."), ("b", "¿Cuándo?", "Luego."))
    expected = SharedQuestion("¿Cuándo?", tmp_path / "test", "b", tmp_path / "train", "b")
    assert shared_questions(train, test) == [expected]


@pytest.mark.parametrize(
    ("question", "passage", "shared"),
    [
        ("¿Quién  pintó?", f"{MURAL}\n", True),
        ("¿QUIÉN PINTÓ?", MURAL.lower(), True),
        (unicodedata.normalize("NFD", "¿Quién pintó?"), unicodedata.normalize("NFD", MURAL), True),
        ("¿Quién pintó?", "Pintó Ana el mural.", False),  # the same question on another passage
        ("¿Qué pintó?", MURAL, False),  # another question on the same passage
    ],
)
def test_other_ids(tmp_path: Path, question: str, passage: str, shared: bool) -> None:
    train = corpus(tmp_path / "train", ("x", question, passage))
    test = corpus(tmp_path / "test", ("1", "¿Quién pintó?", MURAL), ("2", "¿Cuándo?", MURAL))
    expected = SharedQuestion("¿Quién pintó?", tmp_path / "test", "1", tmp_path / "train", "x")
    assert shared_questions(train, test) == [expected] * shared


@pytest.mark.parametrize("packed", [False, True])
def test_the_corpus_that_ships(tmp_path: Path, packed: bool) -> None:
    def read(split: str, *languages: str) -> ParallelCorpus:
        paths = {code: BUILTIN_CORPUS / f"{split}.{code}.json" for code in languages}
        return ParallelCorpus.read(paths, "en", folder=tmp_path / "packed" if packed else None)

    train, test = read("train", "en", "es"), read("test", "en", "de")
    assert shared_questions(train, test) == []
    assert [shared.test_id for shared in shared_questions(test, test)] == list(test.question_ids)
    assert len(test.question_ids) == 54
