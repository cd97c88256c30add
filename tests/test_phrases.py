import math
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.config import BUILTIN_CORPUS
from lbkd.corpus import squad
from lbkd.errors import DataError
from lbkd.phrases import Phrase, Phrases, mine, npmi, read_phrases, words_of, write_phrases


def found(phrases: list[str], text: str) -> list[str]:
    return [text[begin:end] for begin, end in Phrases(phrases).find(text)]


@pytest.mark.parametrize(
    ("phrases", "text", "expected"),
    [
        (["new york"], "In New  York, NEW\nYORK; new yorker; anew york.", ["New  York", "NEW\nYORK"]),
        (["new york", "new york city"], "New York City, New York.", ["New York City", "New York"]),
        (["a b", "b c d"], "a b c d", ["a b"]),  # from left to right, no overlap
        (["b c", "a b c d"], "a b c e", ["b c"]),
        (["paris"], "Paris parishes Paris", ["Paris", "Paris"]),
        (["jean-paul sartre"], "Jean-Paul Sartre, jean paul sartre", ["Jean-Paul Sartre"]),
        (["\t(new york)! "], "new york", ["new york"]),
        (["cafe\u0301 noir"], "Caf\u00e9 noir", ["Caf\u00e9 noir"]),  # composed or not
        (["ﬁne art"], "Fine art", ["Fine art"]),
        (["थीम ट्यून"], "नोट थीम ट्यून थी", ["थीम ट्यून"]),  # a word has its vowel signs
        (["थ"], "थीम", []),
        (["北京", "大学"], "我在北京大学。", ["北京", "大学"]),
        (["กรุงเทพ"], "ที่กรุงเทพมี", ["กรุงเทพ"]),
        (["", " ", "..."], "a ... b", []),
        (["a"], "", []),
    ],
)
def test_find(phrases: list[str], text: str, expected: list[str]) -> None:
    assert found(phrases, text) == expected


@given(
    st.lists(st.text("ab-. 京", max_size=6), max_size=6),
    st.text("abAB-. \n京", max_size=30),
)
def test_matches_are_phrases_between_word_edges(texts: list[str], text: str) -> None:
    phrases = Phrases(texts)
    edges = [word.span() for word in words_of(text)]
    end = 0
    for match in phrases.find(text):
        assert match[0] >= end
        end = match[1]
        assert " ".join(text[slice(*match)].lower().split()) in phrases.members
        assert match[0] in {begin for begin, _ in edges}
        assert match[1] in {end for _, end in edges}
    if not phrases.find(text):  # nothing that could be found is missed
        words = {" ".join(text[a:d].lower().split()) for a, _ in edges for _, d in edges if d > a}
        assert not words & phrases.members


def test_words_are_runs_of_letters_and_their_marks(builtin_texts: tuple[str, ...]) -> None:
    for text in builtin_texts:
        covered = {at for word in words_of(text) for at in range(*word.span())}
        letters = {at for at, c in enumerate(text) if unicodedata.category(c)[0] in "LMN"}
        assert letters <= covered
        assert not any(text[at].isspace() for at in covered)


TEXTS = ("New York is big. New york, New York!", "Is big new york? Is small.")
# Words: new york is big | new york | new york   is big new york | is small: 14.
# new 4, york 4, is 3, big 2, small 1; new york 4, is big 2, york is 1, big new 1, is small 1.


def test_mine_by_hand() -> None:
    best = mine(TEXTS)
    assert [(phrase.text, phrase.times) for phrase in best] == [("new york", 4), ("is big", 2)]
    # both 4 of 14: ln(4 * 14 / (4 * 4)) / ln(14 / 4) = ln 3.5 / ln 3.5
    assert best[0].score == pytest.approx(1.0)
    # ln(2 * 14 / (3 * 2)) / ln(14 / 2) = 1.5404450 / 1.9459101
    assert best[1].score == pytest.approx(0.7916322, abs=1e-6)


def test_an_ngram_is_as_strong_as_its_weakest_cut() -> None:
    # 16 words; a 4, b 2, c 3, d 2, x 5; a b 2, b c 2, c d 1 (d ends two runs), a b c 2
    scores = {phrase.text: phrase.score for phrase in mine(["a b c, a b c d; x x", "x a, c d? x a x"])}
    counts = {"a": 4, "b": 2, "c": 3, "d": 2, "a b": 2, "b c": 2, "a b c": 2, "c d": 2}
    cuts = [(counts["a"], counts["b c"]), (counts["a b"], counts["c"])]
    by_hand = [math.log(2 * 16 / (x * y)) / math.log(16 / 2) for x, y in cuts]
    assert by_hand == pytest.approx([2 / 3, 0.8050], abs=1e-4)  # ln 4 / ln 8 and ln(16 / 3) / ln 8
    assert scores["a b c"] == pytest.approx(2 / 3)
    assert "x a" not in scores  # ln(2 * 16 / (5 * 4)) / ln 8 = 0.226


@pytest.mark.parametrize(
    ("both", "x", "y", "total", "expected"),
    [(2, 2, 2, 100, 1.0), (1, 10, 10, 100, 0.0), (1, 20, 20, 100, -math.log(4) / math.log(100))],
)
def test_npmi(both: int, x: int, y: int, total: int, expected: float) -> None:
    assert npmi(both, x, y, total) == pytest.approx(expected)


def test_nothing_to_mine() -> None:
    assert mine([]) == mine(["", "..."]) == mine(["one", "two three"]) == mine(["a a a a a"]) == []


def test_every_mined_phrase_is_found_as_often_as_counted() -> None:
    """Where it is alone in the list; overlapping occurrences are counted, and matched once."""
    passages = squad.read(BUILTIN_CORPUS / "train.es.json", "es").passages
    best = mine(passages)
    assert len(best) > 20
    for phrase in best:
        assert sum(len(Phrases([phrase.text]).find(text)) for text in passages) == phrase.times >= 2
        assert 2 <= len(phrase.text.split()) <= 4


def test_scripts_without_spaces() -> None:
    assert [p.text for p in mine(["我在北京。北京大，北京小；大我小", "在大小我"])] == ["北京"]


def test_lists_come_back(tmp_path: Path) -> None:
    lists = {
        "en": [Phrase("new york", 4, 1.0), Phrase("is big", 2, 0.8)],
        "es": [Phrase("un año", 3, 1.0)],
    }
    paths = write_phrases(tmp_path / "new", lists)
    assert paths["en"].read_text(encoding="utf-8") == "new york\nis big\n"
    read = read_phrases(tmp_path / "new", ["en", "es"])
    assert {language: phrases.members for language, phrases in read.items()} == {
        "en": {"new york", "is big"},
        "es": {"un año"},
    }
    with pytest.raises(DataError, match=r"en.txt, .*es.txt would be overwritten; choose another folder"):
        write_phrases(tmp_path / "new", lists)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"de.txt: no readable list of phrases .*No such file.* `lbkd data phrases --out"),
        (b"\xff\xfe", r"de.txt: no readable list of phrases .*utf-8"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    (tmp_path / "en.txt").write_text("\ufeffNew York\n\n", encoding="utf-8")
    if content is not None:
        (tmp_path / "de.txt").write_bytes(content)
    assert read_phrases(tmp_path, ["en"])["en"].members == {"new york"}
    with pytest.raises(DataError, match=message):
        read_phrases(tmp_path, ["en", "de"])
