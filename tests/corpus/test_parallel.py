import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.errors import DataError


def write(path: Path, *passages: tuple[str, list[str]], ask: str = "What?", answer: str = "a") -> Path:
    """A file of one article; every answer is a passage's first character."""
    paragraphs: list[dict[str, Any]] = []
    for context, ids in passages:
        answers = [{"text": answer, "answer_start": context.index(answer)}]
        paragraphs.append(
            {"context": context, "qas": [{"id": i, "question": ask, "answers": answers} for i in ids]}
        )
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return path


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    return {
        "de": write(tmp_path / "de", ("a drei", ["3", "9"]), ("a neu", ["8"]), ("a eins", ["1"])),
        "en": write(tmp_path / "en", ("a one", ["1", "2"]), ("a three", ["3"])),
        "es": write(tmp_path / "es", ("a dos", ["2"]), ("a ocho", ["8", "7"])),
    }


def test_alignment(paths: dict[str, Path]) -> None:
    corpus = ParallelCorpus.read(paths, "en")
    assert corpus.languages == ("de", "en", "es")
    assert corpus.source == "en"
    assert corpus.question_ids == ("1", "2", "3", "9", "8", "7")
    assert {language: rows.tolist() for language, rows in corpus.rows.items()} == {
        "de": [3, -1, 0, 1, 2, -1],
        "en": [0, 1, 2, -1, -1, -1],
        "es": [-1, 0, -1, -1, 1, 2],
    }
    assert corpus.rows["de"].dtype == np.int32
    for language, rows in corpus.rows.items():
        for row, question_id in zip(rows, corpus.question_ids, strict=True):
            assert row == -1 or corpus.datasets[language].questions[row].id == question_id


def test_limit_counts_the_sources_passages(paths: dict[str, Path]) -> None:
    corpus = ParallelCorpus.read(paths, "en", limit=1)
    assert corpus.question_ids == ("1", "2")
    assert corpus.datasets["en"].passages == ("a one",)
    german = corpus.datasets["de"]
    assert (german.passages, german.articles) == (("a eins",), (0,))
    assert [(question.id, question.passage) for question in german.questions] == [("1", 0)]
    assert corpus.rows["de"].tolist() == [0, -1]
    whole = ParallelCorpus.read({"en": paths["en"]}, "en")
    assert ParallelCorpus.read({"en": paths["en"]}, "en", limit=99) == whole


def test_missing_files_are_all_named(paths: dict[str, Path], tmp_path: Path) -> None:
    paths |= {"fr": tmp_path / "fr.json", "hi": tmp_path / "hi.json"}
    with pytest.raises(DataError) as caught:
        ParallelCorpus.read(paths, "en")
    assert str(caught.value).splitlines() == [
        "2 of 5 files do not exist. Languages asked for: de, en, es, fr, hi.",
        f"  fr: {tmp_path / 'fr.json'}",
        f"  hi: {tmp_path / 'hi.json'}",
        "Put them there, or leave these languages out.",
    ]


def test_source_must_have_a_file(paths: dict[str, Path]) -> None:
    with pytest.raises(
        DataError, match="no file for the source language 'fr'. Languages asked for: de, en, es"
    ):
        ParallelCorpus.read(paths, "fr")


def test_faulty_file(paths: dict[str, Path]) -> None:
    paths["es"].write_text("[]")
    with pytest.raises(DataError, match=r"es \(es\): 1 fault"):
        ParallelCorpus.read(paths, "en")


def test_nothing_in_common(paths: dict[str, Path], tmp_path: Path) -> None:
    paths["fr"] = write(tmp_path / "fr", ("a huit", ["8"]))
    with pytest.raises(DataError, match="No question ids shared with the source en") as caught:
        ParallelCorpus.read(paths, "en")
    assert str(caught.value).splitlines()[1:-1] == [f"  fr: {paths['fr']}"]


def test_limit_that_leaves_nothing(paths: dict[str, Path]) -> None:
    with pytest.raises(DataError, match=r"\(first 0 passages\)"):
        ParallelCorpus.read(paths, "en", limit=0)


def test_fingerprint(paths: dict[str, Path], tmp_path: Path) -> None:
    def fingerprint(**others: Path) -> str:
        return ParallelCorpus.read(paths | others, "en").fingerprint()

    before = fingerprint()
    assert fingerprint() == before
    moved = tmp_path / "moved"
    moved.write_bytes(paths["es"].read_bytes())
    assert fingerprint(es=moved) == before
    other = tmp_path / "other"
    changed = {
        before,
        fingerprint(es=write(other, ("a does", ["2"]), ("a ocho", ["8", "7"]))),
        fingerprint(es=write(other, ("a dos", ["3"]), ("a ocho", ["8", "7"]))),
        fingerprint(es=write(other, ("a dos", ["2"]), ("a ocho", ["8", "7"]), ask="Who?")),
        fingerprint(es=write(other, ("a dos", ["2"]), ("a ocho", ["8", "7"]), answer="o")),
        fingerprint(es=write(other, ("a dos", ["2"]), ("a ocho", ["7", "8"]))),
        fingerprint(fr=paths["es"]),
        ParallelCorpus.read(paths, "de").fingerprint(),
        ParallelCorpus.read({key: paths[key] for key in ("en", "de", "es")}, "en").fingerprint(),
        ParallelCorpus.read({"en": paths["en"]}, "en").fingerprint(),
    }
    assert len(changed) == 10
