import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.recovery.search import counterpart, exact, normalized
from lbkd.recovery.words import Span


def found(search: object, text: str, sought: str) -> list[str]:
    return [f"{span.start}:{text[slice(*span)]}" for span in search(text, sought)]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "sought", "expected"),
    [
        ("art, party, Art art", "art", ["0:art", "16:art"]),  # whole words
        ("artist", "art", ["0:art"]),  # a word's beginning, for want of a whole one
        ("party", "art", []),  # but not its inside
        ("it", "i", []),  # nor anything so short
        ("Ankara'da", "Ankara", ["0:Ankara"]),
        ("والقاهرة", "القاهرة", ["1:القاهرة"]),
        ("我在东京和东京塔", "东京", ["2:东京", "5:东京"]),
        ("cafe\u0301", "cafe", []),  # a letter is never parted from its accent
        ("aa aa", "aa", ["0:aa", "3:aa"]),
        ("x", "", []),
    ],
)
def test_exact(text: str, sought: str, expected: list[str]) -> None:
    assert found(exact, text, sought) == expected


@pytest.mark.parametrize(
    ("text", "sought", "expected"),
    [
        ("en PARÍS hoy", "París.", ["3:PARÍS"]),
        ("en Pari\u0301s", "parís", ["3:Pari\u0301s"]),
        ("el café\u0301", "cafe", ["3:café\u0301"]),
        ("die 1.500 m", "1,500", ["4:1.500"]),
        ("well-known", "well known", ["0:well-known"]),
        ("U.S. Army", "US", ["0:U.S"]),
        ("el perro", "perro", ["3:perro"]),
        ("el perro", "un perro", []),  # articles count
        ("ﬁne", "fine", ["0:ﬁne"]),
        ("Ｔｏｋｙｏ", "tokyo", ["0:Ｔｏｋｙｏ"]),
        ("Straße", "STRASSE", ["0:Straße"]),
        ("कि", "की", []),  # vowel signs are no accents
        ("か", "が", []),
        ("سَلام", "سلام", ["0:سَلام"]),  # vowel points are
        ("hotel", "...", []),
        ("", "a", []),
    ],
)
def test_normalized(text: str, sought: str, expected: list[str]) -> None:
    assert found(normalized, text, sought) == expected


@given(st.text(), st.data())
def test_what_is_found_exactly_is_equal_and_no_mark_is_cut_off(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    sought = text[start : data.draw(st.integers(start, len(text)))]
    for span in exact(text, sought):
        assert text[slice(*span)] == sought
    for span in (*exact(text, sought), *normalized(text, sought)):
        assert 0 <= span.start < span.end <= len(text)
        assert text[span.end : span.end + 1] == "" or unicodedata.combining(text[span.end]) == 0


def test_the_right_occurrence() -> None:
    source = "Rome fell and Rome rose."
    first, second = exact(source, "Rome")
    same = "Cayó Roma y subió Roma."
    ours = exact(same, "Roma")
    assert counterpart(ours, same, [first, second], first, source) == Span(5, 9)
    assert counterpart(ours, same, [first, second], second, source) == Span(18, 22)
    # Three for two: middles at .21, .38 and .94 of the text; those of the source at .08 and .67.
    three = "Cayó Roma, Roma y luego subió Roma"
    spans = exact(three, "Roma")
    assert counterpart(spans, three, [first, second], first, source) == spans[0]
    assert counterpart(spans, three, [first, second], second, source) == spans[2]
