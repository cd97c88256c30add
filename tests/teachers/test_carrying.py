"""Where logits go, and what arrives: by hand, and as properties of any two ways to cut a text."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbkd.features.labels import answer_tokens
from lbkd.features.tokens import TokenTable
from lbkd.teachers.carrying import FLOOR, Edges, Unread, carried, places


def edges(*tokens: tuple[int, int]) -> Edges:
    begins, ends = np.array(tokens, dtype=np.int32).reshape(-1, 2).T
    return Edges(begins, ends)


def gone(text: str, teacher: Edges, student: Edges) -> tuple[list[int], list[int]]:
    starts, ends = places(text, teacher, student)
    return starts.tolist(), ends.tolist()


WORDS = "unbelievable tokens"
PIECES = edges((0, 2), (2, 8), (8, 12), (13, 18), (18, 19))
"""un ##believ ##able token ##s."""
UNIGRAMS = edges((0, 4), (4, 12), (13, 19))
"""▁unbe lievable ▁tokens."""


def test_word_pieces_to_unigrams() -> None:
    assert gone(WORDS, PIECES, UNIGRAMS) == ([0, 0, 1, 2, 2], [0, 1, 1, 2, 2])


def test_unigrams_to_word_pieces() -> None:
    """`▁unbe` begins with `un` and ends inside `##believ`."""
    assert gone(WORDS, UNIGRAMS, PIECES) == ([0, 1, 3], [1, 2, 4])


ACCENT = "né 東"
BYTES = edges((0, 1), (1, 2), (1, 2), (2, 4), (3, 4), (3, 4))
"""n, two bytes of é; three bytes of 東, the first of them with the space."""
LETTERS = edges((0, 2), (3, 4))
"""né 東."""


def test_bytes_of_one_letter() -> None:
    """As labels: an answer starts at its first letter's last byte and ends at its last letter's first."""
    assert gone(ACCENT, LETTERS, BYTES) == ([0, 5], [1, 3])
    assert gone(ACCENT, BYTES, LETTERS) == ([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("count", "starts", "ends"),
    [(1, [2], [0]), (2, [1, 2], [0, 1]), (3, [0, 1, 2], [0, 1, 2]), (5, [0, 0, 0, 1, 2], [0, 1, 2, 2, 2])],
)
def test_several_tokens_with_one_letter(count: int, starts: list[int], ends: list[int]) -> None:
    assert gone("東", edges(*[(0, 1)] * count), edges(*[(0, 1)] * 3)) == (starts, ends)


def test_a_mark_before_a_word() -> None:
    """The mark of a word shares the word's first character: an answer starts with what is longer."""
    assert gone("東京", edges((0, 1), (1, 2)), edges((0, 1), (0, 2))) == ([1, 1], [0, 1])
    assert gone("東京", edges((0, 1), (0, 2)), edges((0, 1), (1, 2))) == ([0, 0], [0, 1])


def test_white_space() -> None:
    """It belongs to a token here and to none there: `a`, ` `, ` b`, a line's end and `c` against words."""
    text = "a  b\nc"
    spaced, bare = edges((0, 1), (1, 2), (2, 4), (4, 5), (5, 6)), edges((0, 1), (3, 4), (5, 6))
    assert gone(text, spaced, bare) == ([0, 1, 1, 2, 2], [0, 0, 1, 1, 2])
    assert gone(text, bare, spaced) == ([0, 2, 4], [0, 2, 4])
    assert gone("a 東", edges((0, 1), (1, 3)), edges((0, 1), (1, 2), (2, 3))) == ([0, 2], [0, 2])


def test_a_student_without_tokens() -> None:
    assert gone(" \n", edges((0, 1), (1, 2)), edges()) == ([0, 0], [0, 0])


def test_what_arrives() -> None:
    # ln(e² + e¹) = 2.3133; the floor is 24 below it.
    found = carried(np.array([2, 1, 0], dtype=np.float32), np.array([0, 0, 1]), 3)
    assert found.tolist() == pytest.approx([2.313262, 0, -21.686738], abs=1e-5)
    # A teacher's own smallest logit may be lower than that.
    found = carried(np.array([10, -30], dtype=np.float32), np.array([2, 0]), 3)
    assert found.tolist() == [-30, -30, 10]


@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_do_not_become_so(logit: float) -> None:
    found = carried(np.array([1, logit, 2], dtype=np.float32), np.array([0, 1, 1]), 3)
    assert np.isfinite(found).all() == (logit == -np.inf)  # beside a finite one, -inf has no mass
    assert not np.isfinite(carried(np.array([1, logit], dtype=np.float32), np.array([0, 1]), 3)).all()


def test_what_is_not_read_is_summed_and_told() -> None:
    parts = [Unread(10, 1, 900, 100), Unread(), Unread(5, 2, 100, 25)]
    assert Unread.total(parts) == (15, 3, 1000, 125)
    assert str(Unread.total(parts)) == (
        "3 of 15 windows are longer than the teacher reads: "
        "it does not see 12.5% of their passages' characters"
    )
    assert str(Unread(10, 0, 900, 0)) == ""


class Cut(NamedTuple):
    text: str
    teacher: Edges
    student: Edges


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """A text and two ways to cut it: pieces with or without white space, and pieces in several parts."""
    text = draw(st.text("ab東 \n", min_size=1, max_size=14))

    def cut() -> Edges:
        inner = draw(st.sets(st.integers(1, len(text)), max_size=len(text)))
        tokens = []
        begin = 0
        for end in sorted(inner | {len(text)}):
            piece = text[begin:end]
            tokens += [(begin, begin)] * draw(st.integers(0, 1))  # a token that its tokenizer made up
            trimmed = draw(st.booleans())
            left = begin + (len(piece) - len(piece.lstrip()) if trimmed else 0)
            right = end - (len(piece) - len(piece.rstrip()) if trimmed else 0)
            if left < right:
                parts = draw(st.integers(1, 3))
                tokens += [(left, right)] + [(max(left, right - 1), right)] * (parts - 1)
            begin = end
        return edges(*tokens)

    return Cut(text, cut(), cut())


@given(cuts())
def test_a_teacher_with_the_students_tokens_is_the_identity(cut: Cut) -> None:
    numbers = list(range(len(cut.teacher.begins)))
    assert gone(cut.text, cut.teacher, cut.teacher) == (numbers, numbers)


@given(cuts())
def test_order_stays(cut: Cut) -> None:
    for found in places(cut.text, cut.teacher, cut.student):
        assert np.all(np.diff(found) >= 0)
        assert np.all((found >= 0) & (found < max(1, len(cut.student.begins))))


@given(cuts())
def test_as_labels(cut: Cut) -> None:
    """An answer that is one teacher token goes to the tokens of its label."""
    where = places(cut.text, cut.teacher, cut.student)
    table = TokenTable(np.array([0, len(cut.student.begins)]), np.zeros(0, dtype=int), *cut.student)
    for n, (begin, end) in enumerate(zip(*cut.teacher, strict=True)):
        answer = cut.text[begin:end]
        alone = sum(cut.teacher.begins == begin) == sum(cut.teacher.ends == end) == 1
        if not alone or not answer.strip():
            continue
        begin += len(answer) - len(answer.lstrip())
        bounds = np.array([begin]), np.array([begin + len(answer.strip())])
        first, last = (int(part[0]) for part in answer_tokens(table, np.zeros(1, dtype=int), *bounds))
        shared = where.starts[n] > where.ends[n]  # labels of so short an answer name one token
        assert shared or (where.starts[n], where.ends[n]) == (first, last)
        assert not shared or where.ends[n] <= first == last <= where.starts[n]


@given(cuts(), st.integers(0, 99))
def test_the_mass_stays(cut: Cut, seed: int) -> None:
    length = len(cut.student.begins)
    count = len(cut.teacher.begins)
    if not length or not count:
        return
    for where in places(cut.text, cut.teacher, cut.student):
        logits = np.random.default_rng(seed).normal(0, 6, count).astype(np.float32)
        found = carried(logits, where, length)
        whole = np.logaddexp.reduce(logits.astype(np.float64))
        assert np.logaddexp.reduce(found.astype(np.float64)) == pytest.approx(whole, abs=1e-6)
        assert found.max() >= logits.max()
        for token in range(length):
            mine = logits[where == token]
            if len(mine) == 1:
                assert found[token] == mine[0]
            elif not len(mine):
                assert found[token] <= found.max() - FLOOR
                assert found[token] <= found.min()
