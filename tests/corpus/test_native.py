"""Languages whose questions are their own, beside translations."""

import json
from pathlib import Path
from typing import Any

import pytest

from lbkd.corpus.parallel import ParallelCorpus
from lbkd.corpus.split import split
from lbkd.errors import DataError


def write(folder: Path, language: str, *articles: list[str]) -> Path:
    """A file of articles, each of one passage, with these ids of questions."""
    data = []
    for number, ids in enumerate(articles):
        passage = f"{language} {number}"
        qas: list[dict[str, Any]] = [
            {"id": id, "question": "?", "answers": [{"text": language, "answer_start": 0}]} for id in ids
        ]
        data.append({"title": passage, "paragraphs": [{"context": passage, "qas": qas}]})
    path = folder / f"{language}.json"
    path.write_text(json.dumps({"data": data}))
    return path


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """English and a translation, Swahili and a translation of that, and Korean."""
    return {
        "en": write(tmp_path, "en", ["1", "2"], ["3"]),
        "de": write(tmp_path, "de", ["3"], ["1"]),
        "sw": write(tmp_path, "sw", ["s1"], ["s2"], ["s3"]),
        "rw": write(tmp_path, "rw", ["s2"], ["s1"]),
        "ko": write(tmp_path, "ko", ["k1", "k2"]),
    }


def read(paths: dict[str, Path], *native: str, limit: int | None = None) -> ParallelCorpus:
    return ParallelCorpus.read(paths, "en", limit, native=native)


def test_a_native_language_has_columns_of_its_own(paths: dict[str, Path]) -> None:
    corpus = read(paths, "sw", "ko")
    assert corpus.question_ids == ("1", "2", "3", "s1", "s2", "s3", "k1", "k2")
    assert {language: rows.tolist() for language, rows in corpus.rows.items()} == {
        "en": [0, 1, 2, -1, -1, -1, -1, -1],
        "de": [1, -1, 0, -1, -1, -1, -1, -1],
        "sw": [-1, -1, -1, 0, 1, 2, -1, -1],
        "rw": [-1, -1, -1, 1, 0, -1, -1, -1],
        "ko": [-1, -1, -1, -1, -1, -1, 0, 1],
    }


def test_what_is_not_named_native_is_a_mistake(paths: dict[str, Path]) -> None:
    with pytest.raises(DataError) as caught:
        read(paths, "sw")
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        f"No question ids shared with the source en, {paths['en']}, nor with sw, {paths['sw']}. "
        "Languages asked for: en, de, sw, rw, ko."
    )
    assert lines[1:-1] == [f"  ko: {paths['ko']}"]
    assert lines[-1].endswith(" --set corpus.native=sw,ko (--native of `lbkd data split`).")
    with pytest.raises(DataError, match=r"sw: .*\n  rw: .*\n  ko: .*\n.*corpus\.native=sw,rw,ko "):
        read(paths)


def test_names_without_a_file_do_not_matter(paths: dict[str, Path]) -> None:
    assert read({"en": paths["en"]}, "sw", "fi").languages == ("en",)


def test_native_questions_with_ids_of_others(paths: dict[str, Path], tmp_path: Path) -> None:
    """Two corpora that number their questions from 0 would look like translations of one another."""
    paths["ko"] = write(tmp_path, "ko", ["k1", "s2", "2"])
    for native, other in ((("ko", "sw"), "sw"), (("ko",), "en")):
        chosen = {name: paths[name] for name in ("en", "sw", "ko") if name in ("en", *native)}
        with pytest.raises(DataError) as caught:
            read(chosen, *native)
        told = str(caught.value)
        assert told.startswith("corpus.native names ko, but ")
        assert f"of the 3 question ids of {paths['ko']}, such as " in told
        assert f"are also ids of {other}, {paths[other]}." in told
    with pytest.raises(DataError, match="corpus.native names de, but 2 of the 2 question ids"):
        read(paths, "de")


def test_the_limit_counts_the_passages_of_each_native_language(paths: dict[str, Path]) -> None:
    corpus = read(paths, "sw", "ko", limit=1)
    assert corpus.question_ids == ("1", "2", "s1", "k1", "k2")
    assert {language: data.passages for language, data in corpus.datasets.items()} == {
        "en": ("en 0",),
        "de": ("de 1",),
        "sw": ("sw 0",),
        "rw": ("rw 1",),
        "ko": ("ko 0",),
    }


def test_native_languages_are_split_by_their_own_articles(paths: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    del paths["ko"]
    split(paths, "en", out, every=2, native=["sw"])
    titles = {
        path.stem: [article["title"] for article in json.loads(path.read_text())["data"]]
        for path in out.glob("*.json")
    }
    assert titles == {
        "train.en": ["en 0"],
        "test.en": ["en 1"],
        "train.de": ["de 1"],
        "test.de": ["de 0"],
        "train.sw": ["sw 0", "sw 2"],
        "test.sw": ["sw 1"],
        "train.rw": ["rw 1"],
        "test.rw": ["rw 0"],
    }
