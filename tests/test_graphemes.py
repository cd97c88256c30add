import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.graphemes import starts, widen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("José", (0, 1, 2, 3)),
        ("Jose\u0301 el", (0, 1, 2, 3, 5, 6, 7)),  # acute accent
        ("vie\u0323\u0302t", (0, 1, 2, 5)),  # Vietnamese ệ, twice decomposed
        ("\u1112\u1161\u11ab\u1100", (0, 3)),  # Hangul jamo 한, then an initial
        ("\u0645\u064e\u062f", (0, 2)),  # Arabic mim with fatha, dal
        ("\u0915\u094d\u0937\u093f\u0924", (0, 4)),  # Devanagari kssi, ta
        ("\u0e17\u0e35\u0e48\u0e19", (0, 3)),  # Thai with vowel and tone mark
        ("\U0001f469\u200d\U0001f467x", (0, 3)),  # emoji joined by ZWJ
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", (0, 2)),  # flags of Germany and France
        ("a\r\nb", (0, 1, 2, 3)),
        ("a \u0301b", (0, 1, 2, 3)),  # white space carries no accent
    ],
)
def test_starts(text: str, expected: tuple[int, ...]) -> None:
    assert starts(text) == expected


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("Jose\u0301 el", (0, 4), (0, 5)),  # the accent was cut off
        ("Jose\u0301 el", (0, 5), (0, 5)),
        ("Jose\u0301 el", (4, 8), (3, 8)),
        ("\u0643\u062a\u0627\u0628\u064b\u0627", (0, 4), (0, 5)),  # tanwin cut off
        ("\u1112\u1161\u11ab", (1, 2), (0, 3)),
        ("\U0001f469\u200d\U0001f467", (0, 1), (0, 3)),
        ("a\r\nb", (2, 4), (2, 4)),
        ("a \u0301b", (2, 3), (2, 3)),
        ("plain", (1, 3), (1, 3)),
        ("", (0, 0), (0, 0)),
    ],
)
def test_widen(text: str, span: tuple[int, int], expected: tuple[int, int]) -> None:
    assert widen(text, *span) == expected


TEXTS = st.text(
    "ae\u0301\u0302\r\n \u1100\u1161\u11a8\u0915\u094d\u093f\u064e\u0645\u200d\U0001f469\U0001f1e9京"
)


@given(TEXTS, st.data())
def test_the_smallest_span_of_whole_clusters(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(text)))
    start = data.draw(st.integers(0, end))
    edges = {*starts(text), len(text)}
    expected = max(edge for edge in edges | {0} if edge <= start), min(edge for edge in edges if edge >= end)
    assert widen(text, start, end) == expected


def test_many_spans_of_a_long_text_cost_one_pass() -> None:
    text = "e\u0301京" * 50_000
    chance = random.Random(0)
    begin = time.process_time()
    for _ in range(10_000):
        start = chance.randrange(len(text))
        assert widen(text, start, start + 1)[0] <= start
    assert time.process_time() - begin < 2
