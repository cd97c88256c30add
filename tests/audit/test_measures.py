"""What is told of a record, against numbers worked out by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from audit_records import record

from lbkd.audit.disputes import disagreement
from lbkd.audit.measures import auroc, choices, most, order, trust


def test_trust_by_language() -> None:
    rows = {(row["language"], row["teacher"]): row for row in trust(record())}
    assert [*rows] == [(k, teacher) for k in ("en", "es", "all") for teacher in ("en", "es")]
    assert rows["en", "en"]["weight"] == (0.5 + 0.75) / 2
    # In the first window both have half the weight.
    assert rows["en", "en"]["trusted_most"] == 0.75
    assert rows["en", "en"]["right_where_trusted_most"] == 1
    assert rows["en", "es"]["right_where_trusted_most"] == 0
    # Spanish passages: the weights of start and end are half on average in both windows.
    assert rows["es", "en"]["trusted_most"] == rows["es", "es"]["trusted_most"] == 0.5
    assert rows["es", "en"]["right_where_trusted_most"] == 0.5
    found = rows["all", "en"]
    assert (found["windows"], found["right"], found["probability"]) == (4, 0.75, 0.5625)
    # A bin a window: |.25 - 0|, |.5 - 1|, |.5 - 1|, |1 - 1|
    assert found["ece"] == (0.25 + 0.5 + 0.5) / 4
    # Mean entropies 1, 1.5, 1 where right, 2.5 where wrong.
    assert found["surer_where_right"] == 1
    assert rows["es", "es"]["surer_where_right"] is None


def test_choices_are_means_over_questions() -> None:
    found = {(row["part"], row["teacher"]): row for row in choices(record())}
    # Starts: both teachers in a window are right half, half, all, none of them; questions: .75 and .25.
    assert found["start", "any"]["right"] == 0.5
    assert found["start", "by weight"]["right"] == ((0.75 + 1) / 2 + (0.75 + 0) / 2) / 2
    assert found["start", "most weight"]["right"] == ((1 + 1) / 2 + (1 + 0) / 2) / 2
    assert found["start", "least weight"]["right"] == ((0 + 1) / 2 + (0 + 0) / 2) / 2
    assert found["start", "least entropy"]["right"] == ((1 + 1) / 2 + 0) / 2
    assert found["start", "most entropy"]["right"] == ((0 + 1) / 2 + (1 + 0) / 2) / 2
    assert found["start", "passage language"]["right"] == ((1 + 1) / 2 + (1 + 0) / 2) / 2
    assert found["start", "a right one"]["right"] == ((1 + 1) / 2 + (1 + 0) / 2) / 2
    gap = found["start", "most weight"]
    # Both questions gain a quarter, however they are drawn.
    assert (gap["difference"], gap["low"], gap["high"]) == (0.25, 0.25, 0.25)
    assert found["answer", "any"]["right"] == ((0.5 + 1) / 2 + (0.5 + 0.5) / 2) / 2


def test_the_teacher_of_the_passages_language() -> None:
    swapped = {(row["part"], row["teacher"]): row for row in choices(record(passage_language=[1, 1, 0, 0]))}
    assert swapped["start", "passage language"]["right"] == ((0 + 1) / 2 + (0 + 0) / 2) / 2


def test_a_passage_without_a_teacher_of_its_own_has_any() -> None:
    elsewhere = replace(record(), languages=("fr", "ar"))
    only = {(row["part"], row["teacher"]): row["right"] for row in choices(elsewhere)}
    for part in ("start", "end", "answer"):
        assert only[part, "passage language"] == only[part, "any"]


def test_order_counts_windows_where_teachers_differ() -> None:
    found = {(row["part"], row["by"]): row for row in order(record())}
    starts = found["start", "surety"]
    # First window of question 0: the right one has entropy 1 of 1 and 2; of question 1: 2 of 2 and 1.
    assert (starts["share"], starts["questions"]) == (0.5, 2)
    assert (starts["low"], starts["high"]) == (0.0, 1.0)
    assert found["start", "weight"]["share"] == 1
    # Answers, by mean weights: half and half in the windows 0 and 3; all in the window 1.
    assert found["answer", "weight"]["share"] == (0.5 + (1 + 0.5) / 2) / 2
    never = order(record(right=np.ones((4, 2), bool)))[-1]
    assert (never["share"], never["questions"]) == (None, 0)


def test_disagreement_is_of_answers_that_are_likely() -> None:
    assert disagreement(record()).tolist() == [0.25, 0.25, 0, 0.125]


def test_equal_ones_share_the_place() -> None:
    values = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    assert most(values).tolist() == [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]


@pytest.mark.parametrize("size", range(1, 9))
def test_auroc_is_the_share_of_pairs(size: int) -> None:
    rng = np.random.default_rng(size)
    values, flags = rng.integers(0, 5, size), rng.random(size) < 0.5
    drawn = list(zip(values.tolist(), flags.tolist(), strict=True))
    pairs = [(a > b) + 0.5 * (a == b) for a, right in drawn if right for b, wrong in drawn if not wrong]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert auroc(values.astype(float), flags) == (None if expected is None else pytest.approx(expected))


def test_order_is_the_auroc_of_each_window() -> None:
    rng = np.random.default_rng(1)
    size: Any = (40, 2, 2)
    drawn = {"weights": rng.integers(1, 4, size), "hit": rng.random(size) < 0.5}
    many = {
        name: np.tile(column, (10, *[1] * (column.ndim - 1))) for name, column in record().columns.items()
    }
    made = record(**(many | drawn | {"question": np.arange(40)}))
    weights = made.weights.astype(float) / made.weights.astype(float).sum(-1, keepdims=True)
    shares = [auroc(w, hit) for w, hit in zip(weights[:, 0], made.hit[:, 0], strict=True)]
    known = [share for share in shares if share is not None]
    [found] = [row for row in order(made) if (row["part"], row["by"]) == ("start", "weight")]
    assert found["share"] == pytest.approx(np.mean(known))
    assert found["questions"] == len(known)
