"""Verdicts and kinds of errors, against answers judged by hand."""

import pytest

from lbkd.errors import DataError
from lbkd.reporting.judged import KINDS, VERDICTS, f1_difference, f1_interval, judged

RED = ["the red house", "red house on the hill"]


@pytest.mark.parametrize(
    ("answer", "golds", "verdict", "kind"),
    [
        ("Red house!", RED, "right", "none"),
        ("a red house by the sea", RED, "near", "too long"),  # red house | by sea: ½, 1
        (
            "it was a big old red house by the old sea",
            RED,
            "wrong",
            "too long",
        ),  # 2 of 9 words
        ("red", RED, "near", "too short"),
        ("red car", RED, "near", "shifted"),
        ("house red", RED, "near", "shifted"),  # F1 is 1, but for the order
        ("blue car", RED, "wrong", "elsewhere"),
        ("...", RED, "wrong", "withheld"),
        ("", RED, "wrong", "withheld"),
        ("", [], "right", "none"),
        ("red", [], "wrong", "made up"),
    ],
)
def test_verdict_and_kind(answer: str, golds: list[str], verdict: str, kind: str) -> None:
    found = judged({"q": answer}, {"q": golds}, "squad-v2", "en")["q"]
    assert (VERDICTS[found.verdict], KINDS[found.kind]) == (verdict, kind)


def test_words_are_those_of_the_metric() -> None:
    """An article of German is one for `mlqa` alone."""
    found = [judged({"q": "der Hund"}, {"q": ["Hund"]}, metric, "de")["q"] for metric in ("mlqa", "squad-v1")]
    assert [KINDS[each.kind] for each in found] == ["none", "too long"]


def test_a_question_without_an_answer_is_refused() -> None:
    with pytest.raises(DataError, match="1 questions have no answer, such as 'b'"):
        judged({"a": "x"}, {"a": ["x"], "b": ["y"]}, "squad-v1", "en")


def test_intervals() -> None:
    """Two answers, one right: F1 of a resample is 0 or 100 a quarter of the time each, else 50."""
    golds = {"a": ["x"], "b": ["y"]}
    ours = judged({"a": "x", "b": "z"}, golds, "squad-v1", "en")
    theirs = judged({"a": "z", "b": "z"}, golds, "squad-v1", "en")
    found = f1_interval(ours)
    assert (found.difference, found.low, found.high) == (50, 0, 100)
    gap = f1_difference(theirs, ours)
    assert (gap.difference, gap.low, gap.high) == (-50, -100, 0)
    assert f1_difference(ours, ours).low == f1_difference(ours, ours).high == 0
