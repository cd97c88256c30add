from pathlib import Path

import pytest
from lbkd_word_list import WordList

from lbkd import translation_registry
from lbkd.errors import ConfigError
from lbkd.testing import check_translator


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.tsv"
    file.write_text("The\tEl\nthe\tel\nbridge\tpuente\n", encoding="utf-8")
    return file


def test_lbkd_knows_it() -> None:
    assert translation_registry.get("word-list") is WordList
    assert translation_registry.origin("word-list").startswith("lbkd-word-list ")


def test_what_a_translator_must_keep_to(words: Path) -> None:
    assert check_translator(WordList(words)) == ["El puente was built in 1820.", "Who built el puente?"]


def test_an_edited_file_translates_anew(words: Path) -> None:
    before = WordList(words).fingerprint("en", "es")
    words.write_text("bridge\tpuente\n", encoding="utf-8")
    assert WordList(words).fingerprint("en", "es") != before


@pytest.mark.parametrize("content", [None, "a line without a tab\n"])
def test_files_that_do_not_fit(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="translation.word-list.file"):
        WordList(file).check("en", "es")
