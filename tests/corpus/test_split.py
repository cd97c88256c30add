import json
from pathlib import Path
from typing import Any

import pytest

from lbkd.corpus.split import SplitFile, split
from lbkd.corpus.squad import read
from lbkd.errors import ConfigError, DataError


def article(name: str, *ids: str) -> dict[str, Any]:
    qas = [
        {"id": i, "question": "¿?", "answers": [{"text": name, "answer_start": 0}], "extra": 1.5} for i in ids
    ]
    return {"title": name, "paragraphs": [{"context": name, "qas": qas, "note": None}], "url": "\ud800"}


def write(path: Path, *articles: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"version": "1.1", "data": articles, "licence": {"by": "é"}}))
    return path


def names(path: Path) -> list[str]:
    return [item["title"] for item in json.loads(path.read_text(encoding="utf-8"))["data"]]


ENGLISH = [article(f"en{n}", f"{n}a", f"{n}b") for n in range(6)]


@pytest.fixture
def english(tmp_path: Path) -> Path:
    return write(tmp_path / "en.json", *ENGLISH)


def test_every_fourth_article_is_test(tmp_path: Path, english: Path) -> None:
    parts = split({"en": english}, "en", tmp_path / "out")
    train, test = tmp_path / "out" / "train.en.json", tmp_path / "out" / "test.en.json"
    assert parts == (SplitFile("en", "train", train, 5, 10), SplitFile("en", "test", test, 1, 2))
    assert names(train) == ["en0", "en1", "en2", "en4", "en5"]
    assert names(test) == ["en3"]
    whole = json.loads(english.read_text())
    assert json.loads(test.read_text(encoding="utf-8")) == whole | {"data": [whole["data"][3]]}
    assert list(json.loads(test.read_text(encoding="utf-8"))) == ["version", "data", "licence"]
    assert "¿" in test.read_text(encoding="utf-8")
    assert len(read(train, "en").questions) == 10


def test_articles_are_matched_by_question_ids(tmp_path: Path, english: Path) -> None:
    german = write(
        tmp_path / "de.json",
        article("de3", "3b", "new"),
        article("nothing asked"),
        article("de1", "1a"),
        article("de3 again", "3a"),
        article("de0", "0b", "0a"),
    )
    out = tmp_path / "out"
    parts = split({"de": german, "en": english}, "en", out, every=2)
    assert [(part.language, part.split, part.articles, part.questions) for part in parts] == [
        ("de", "train", 1, 2),
        ("de", "test", 3, 4),
        ("en", "train", 3, 6),
        ("en", "test", 3, 6),
    ]
    assert names(out / "train.en.json") == ["en0", "en2", "en4"]
    assert names(out / "train.de.json") == ["de0"]
    assert names(out / "test.de.json") == ["de3", "de1", "de3 again"]


def refused(paths: dict[str, Path], out: Path, message: str, every: int = 2) -> None:
    with pytest.raises(DataError, match=message):
        split(paths, "en", out, every)
    assert not list(out.glob("t*.json"))


def test_an_article_of_two_is_refused(tmp_path: Path, english: Path) -> None:
    german = write(tmp_path / "de.json", article("de0", "0a"), article("mixed", "new", "1a", "2b"))
    message = r"de.json: data\[1\] mixes two .*\n.*'1a' is in its data\[1\]\n.*'2b' is in its data\[2\]"
    refused({"en": english, "de": german}, tmp_path / "out", message)


def test_an_unknown_article_is_refused(tmp_path: Path, english: Path) -> None:
    german = write(tmp_path / "de.json", article("de0", "0a"), article("new", "x", "y"))
    refused(
        {"en": english, "de": german}, tmp_path / "out", r"data\[1\] shares no question id with the source"
    )


def test_an_empty_part_is_refused(tmp_path: Path, english: Path) -> None:
    refused({"en": english}, tmp_path / "out", "no question is left to test; choose", every=7)
    german = write(tmp_path / "de.json", article("de1", "1a"))
    refused(
        {"en": english, "de": german}, tmp_path / "out", "to train; choose another number, or leave out 'de'"
    )


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "train.en.json", *ENGLISH)
    before = path.read_bytes()
    with pytest.raises(DataError, match="train.en.json would be overwritten"):
        split({"en": path}, "en", tmp_path)
    assert path.read_bytes() == before


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, english: Path) -> None:
    out = tmp_path / "out"
    split({"en": english}, "en", out)
    written = names(out / "train.en.json")
    split({"en": english}, "en", out, every=3)  # its own files, unchanged, may be replaced
    assert names(out / "train.en.json") == ["en0", "en1", "en3", "en4"]
    corrected = write(out / "test.en.json", *ENGLISH).read_bytes()
    with pytest.raises(DataError, match=r"1 of 2 files are there, .*:\n  .*test\.en\.json\nMove"):
        split({"en": english}, "en", out)
    assert names(out / "train.en.json") == ["en0", "en1", "en3", "en4"]  # all files or none
    assert (out / "test.en.json").read_bytes() == corrected
    split({"en": english}, "en", out, overwrite=True)
    assert names(out / "train.en.json") == written


def test_one_of_one_is_no_split(tmp_path: Path, english: Path) -> None:
    with pytest.raises(ConfigError, match="At least 2, not 1"):
        split({"en": english}, "en", tmp_path / "out", every=1)


def test_xquad(tmp_path: Path, shared_data: Path) -> None:
    paths = {language: shared_data / "xquad" / f"xquad.{language}.json" for language in ("en", "hi")}
    parts = split(paths, "en", tmp_path)
    assert [(part.articles, part.questions) for part in parts] == [(36, 894), (12, 296)] * 2
    english = json.loads(paths["en"].read_bytes())["data"]
    train = json.loads((tmp_path / "train.en.json").read_bytes())["data"]
    assert train == [item for index, item in enumerate(english) if index % 4 != 3]
