import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.recovery.words import is_word, word_ends, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("The U.S., 1,500 m", ["The", "U", ".", "S", ".", ",", "1", ",", "500", "m"]),
        ("東京は日本", ["東", "京", "は", "日", "本"]),
        ("東京2020年", ["東", "京", "2020", "年"]),
        ("ที่นี่", ["ที่", "นี่"]),  # a consonant, its vowel sign and its tone mark are one
        ("कि हिंदी", ["कि", "हिंदी"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("القاهرة، مصر", ["القاهرة", "،", "مصر"]),
        ("a\u200db", ["a\u200db"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert [text[slice(*span)] for span in words(text)] == expected


@given(st.text())
def test_words_are_all_but_white_space_in_order(text: str) -> None:
    spans = words(text)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert "".join(text[slice(*span)] for span in spans) == "".join(text.split())


def test_is_word() -> None:
    assert [is_word(text) for text in ("a", "7", "語", "?", " ", "«a»")] == [1, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "ends"),
    [("ab c.", [0, 2, 3, 4, 5]), ("日本", [0, 1, 2]), ("नी", [0, 2]), ("e\u0301 x", [0, 2, 3, 4])],
)
def test_word_ends(text: str, ends: list[int]) -> None:
    assert [place for place in range(len(text) + 1) if word_ends(text, place)] == ends
