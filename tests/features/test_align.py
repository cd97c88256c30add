import difflib
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbkd.features.align import align


def slices(text: str, *tokens: str) -> list[str]:
    """What each token covers."""
    return [text[begin:end] for begin, end in align(text, tokens, "<unk>").tolist()]


def test_offsets_by_hand() -> None:
    found = align("Die  Größe", ["die</w>", "gro", "ße</w>"], None)
    assert found.dtype == np.int32
    assert found.tolist() == [[0, 3], [5, 8], [8, 10]]


@pytest.mark.parametrize(
    ("text", "tokens", "covered"),
    [
        # accents: written as one character or as two; of the marks, those that were stripped go along
        ("Cafe\u0301 Ção", ["cafe</w>", "c", "ao</w>"], ["Cafe\u0301", "Ç", "ão"]),
        ("Tiếng Việt", ["tien", "g</w>", "viet</w>"], ["Tiến", "g", "Việt"]),
        ("Tiếng Việt", ["Ti", "ếng</w>", "Vi", "ệt</w>"], ["Ti", "ếng", "Vi", "ệt"]),
        ("İstanbul", ["i", "stanbul</w>"], ["İ", "stanbul"]),
        ("ΟΔΟΣ ς", ["οδο", "ς</w>", "ς</w>"], ["ΟΔΟ", "Σ", "ς"]),
        # Devanagari: vowel signs that are marks without width are stripped, others are letters to XLM
        ("हिन्दी", ["ह", "ि", "न", "दी</w>"], ["ह", "ि", "न्", "दी"]),
        ("क्षेत्रों में", ["क", "षतर", "ो</w>", "म</w>"], ["क्", "षेत्र", "ों", "में"]),
        ("क्षे", ["क्", "षे</w>"], ["क्", "षे"]),
        # Arabic: short vowels
        ("كَتَبَ", ["كت", "ب</w>"], ["كَتَ", "بَ"]),
        # punctuation: replaced, multiplied, swapped, made up
        ("„Ja“, o…", ['"</w>', "ja</w>", ",</w>", '"</w>', "o</w>", "...</w>"], ["„", "Ja", *"“,o…"]),
        ("a…", ["a</w>", ".", "..</w>"], ["a", "…", "…"]),
        ("so``a", ["so</w>", '"</w>', "a</w>"], ["so", "``", "a"]),
        ("ya。。no", ["ya</w>", ".</w>", ".</w>", "no</w>"], ["ya", "。", "。", "no"]),
        ("3\u00a0000 %", ["3</w>", ",</w>", "000</w>", "%</w>"], ["3", "", "000", "%"]),
        ("rock ´n´", ["rock</w>", "'</w>", "n</w>", "'</w>"], ["rock", "´", "n", "´"]),
        # ligatures, widths, syllables that come apart
        ("ﬁnal", ["ﬁ", "nal</w>"], ["ﬁ", "nal"]),
        ("ﬁnal", ["f", "inal</w>"], ["ﬁ", "ﬁnal"]),
        ("１２ ｱ", ["1", "2</w>", "ア</w>"], ["１", "２", "ｱ"]),
        ("한글", ["\u1112\u1161", "\u11ab", "\u1100\u1173\u11af</w>"], ["한", "한", "글"]),
        # what cannot be seen
        ("so\u200bft\u00adly \ufeffno", ["soft", "ly</w>", "no</w>"], ["so\u200bft\u00ad", "ly", "\ufeffno"]),
        ("👩\u200d👧 ❤\ufe0f", ["👩</w>", "👧</w>", "❤</w>"], ["👩\u200d", "👧", "❤\ufe0f"]),
        # unknown tokens stand for what the others leave
        ("an ꙮꙮ, ok", ["an</w>", "<unk>", ",</w>", "ok</w>"], ["an", "ꙮꙮ", ",", "ok"]),
        ("ꙮ ok", ["<unk>", "ok</w>"], ["ꙮ", "ok"]),
        ("日本。", ["<unk>", "<unk>", "。"], ["日本", "日本", "。"]),
        ("ok ꙮ\n", ["ok</w>", "<unk>"], ["ok", "ꙮ"]),
        # something else altogether
        ("one two six", ["one</w>", "zwei</w>", "six</w>"], ["one", "two", "six"]),
        ("abc", [], []),
        ("", ["x</w>"], [""]),
        # the ways of other vocabularies
        ("Unaffable word", ["una", "##ffa", "##ble", "word"], ["Una", "ffa", "ble", "word"]),
        ("unaffable word", ["una", "ffable", "word"], ["una", "ffable", "word"]),
        (" unaffable word", ["▁una", "ffable", "▁word"], ["una", "ffable", "word"]),
    ],
)  # fmt: skip
def test_what_each_token_covers(text: str, tokens: list[str], covered: list[str]) -> None:
    assert slices(text, *tokens) == covered


def test_it_finds_its_way_back() -> None:
    """Far behind what differs, in a text of many windows, the offsets are exact again."""
    words = [f"word{n}" for n in range(1000)]
    text = " ".join([*words[:500], "¾¾¾¾¾¾", "left out", *words[500:]])
    tokens = [f"{word}</w>" for word in [*words[:500], "three", "quarters", *words[500:]]]
    found = slices(text, *tokens)
    assert found[:500] + found[502:] == words


LETTERS = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from("aéßİﬁ…„“`´'\" \u00a0\u0301\u200dकि्한ꙮ"),
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(text=LETTERS, cuts=st.lists(st.integers(0, 60), max_size=12), lower=st.booleans(), data=st.data())
def test_whatever_the_tokens(text: str, cuts: list[int], lower: bool, data: st.DataObject) -> None:
    """In order, inside the text, and no space at the ends: of any characters of it, cut anywhere."""
    clean = unicodedata.normalize("NFD", text.lower()) if lower else text
    kept = [char for char in clean if data.draw(st.booleans(), label="keep") or len(clean) > 20]
    places = sorted({0, len(kept), *(min(cut, len(kept)) for cut in cuts)})
    words = ["".join(kept[a:b]) for a, b in zip(places, places[1:], strict=False)]
    tokens = [word for word in words if word.strip()]
    found = align(text, tokens, None)
    assert found.shape == (len(tokens), 2)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found >= 0).all() and (found <= len(text)).all()
    assert (found[:, 0] <= found[:, 1]).all()
    assert all(text[begin:end] == text[begin:end].strip() for begin, end in found.tolist())


@settings(deadline=None, max_examples=200)
@given(words=st.lists(st.text(st.sampled_from("aéßİﬁ…„“Żकि्ेか한ꙮ.-"), min_size=1, max_size=8), max_size=12))
def test_tokens_that_are_the_text(words: list[str]) -> None:
    """Where the tokenizer changes nothing, the offsets are those of the words."""
    text = "  ".join(words)
    expected = np.cumsum([0, *(len(word) + 2 for word in words)])[:-1]
    visible = [any(unicodedata.category(c) != "Mn" for c in word) for word in words]
    if not all(visible):
        return
    found = align(text, [f"{word}</w>" for word in words], "<unk>")
    assert found.tolist() == [[at, at + len(word)] for at, word in zip(expected.tolist(), words, strict=True)]


@pytest.mark.parametrize("letters", ["a", "abcdefghij"])
def test_the_cost_is_linear(letters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known and unknown letters in turns: as many comparisons, of bounded size, as the text is long."""
    compared: list[int] = []
    inner = difflib.SequenceMatcher.get_opcodes

    def counted(self: "difflib.SequenceMatcher[str]") -> object:
        compared.append(max(len(self.a), len(self.b)))
        return inner(self)

    monkeypatch.setattr(difflib.SequenceMatcher, "get_opcodes", counted)
    counts = []
    for length in (200, 400, 800):
        text = "".join(f"{letters[n % len(letters)]}ℵ" for n in range(length))
        align(text, ["<unk>" if letter == "ℵ" else letter for letter in text], "<unk>")
        assert max(compared) <= 512
        counts.append(len(compared))
        compared.clear()
    assert counts[2] <= 2 * counts[1] + 2 <= 4 * counts[0] + 6
    assert counts[2] <= 1600 / 64 + 1
