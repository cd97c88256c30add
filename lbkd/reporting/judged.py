"""Answers judged one by one: right, near or wrong, and what kind of error."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lbkd.errors import DataError
from lbkd.evaluation.metrics import Answered, score_each
from lbkd.evaluation.normalize import Tokens, tokenizer
from lbkd.evaluation.significance import Comparison, paired_bootstrap

VERDICTS = ("right", "near", "wrong")
"""EM is 1; F1 is at least `NEAR`; all others."""
NEAR = 0.5
KINDS = ("none", "too long", "too short", "shifted", "elsewhere", "withheld", "made up")
"""Of an error; "none" of a right answer. Words are compared as the metric does, see `judged`."""
_SAMPLES = 2000


class Judged(NamedTuple):
    """An answer and its score."""

    text: str
    exact_match: float
    """0 or 1."""
    f1: float
    """From 0 to 1."""
    verdict: int
    """In `VERDICTS`."""
    kind: int
    """In `KINDS`."""


def judged(
    answers: Mapping[str, str], golds: Mapping[str, Sequence[str]], metric: str, language: str
) -> dict[str, Judged]:
    """Judge the answers to all questions of a pair of languages.

    Kinds of errors, by the words that the metric compares (without case, punctuation and articles):
    "too long", the answer holds a whole reference answer and more; "too short", a reference answer holds the
    answer; "shifted", they share words, and neither holds the other; "elsewhere", they share none;
    "withheld", no answer though there is one; "made up", an answer though there is none.

    Args:
        answers: question id -> answer, "" for none.
        golds: question id -> reference answers; none for an unanswerable question.
        metric: see `lbkd.evaluation.metrics`.
        language: the passages'.

    Raises:
        DataError: a question without an entry in `answers`.
    """
    if missing := [name for name in golds if name not in answers]:
        raise DataError(f"{len(missing)} questions have no answer, such as {missing[0]!r}.")
    tokens = tokenizer(metric, language)
    found = {}
    for name, score in score_each(golds, answers, metric, language).items():
        verdict = 0 if score.exact_match else 1 if score.f1 >= NEAR else 2
        references = [tokens(gold) for gold in golds[name]]
        kind = KINDS.index(_kind(tokens(answers[name]), references, score))
        found[name] = Judged(answers[name], score.exact_match, score.f1, verdict, kind)
    return found


def f1_interval(answers: Mapping[str, Judged]) -> Comparison:
    """Mean F1 in percent and its 95 % interval, by a bootstrap over the questions."""
    return _compared(answers, None)


def f1_difference(ours: Mapping[str, Judged], theirs: Mapping[str, Judged]) -> Comparison:
    """Mean F1 of ours minus theirs in percent, and its 95 % interval, by a bootstrap over the questions.

    Both have answers to the same questions in the same order.
    """
    return _compared(ours, theirs)


def _compared(ours: Mapping[str, Judged], theirs: Mapping[str, Judged] | None) -> Comparison:
    first = np.array([100 * each.f1 for each in ours.values()])
    second = np.zeros(len(first)) if theirs is None else [100 * each.f1 for each in theirs.values()]
    return paired_bootstrap(first, second, _SAMPLES)


def _kind(answer: Tokens, references: Sequence[Tokens], score: Answered) -> str:
    if score.exact_match:
        return "none"
    if not references:
        return "made up"
    if not answer:
        return "withheld"
    if not score.f1:
        return "elsewhere"
    if any(_holds(answer, reference) for reference in references):
        return "too long"
    return "too short" if any(_holds(reference, answer) for reference in references) else "shifted"


def _holds(whole: Tokens, part: Tokens) -> bool:
    """True if `part` is not empty and stands in `whole` word by word."""
    starts = range(len(whole) - len(part) + 1)
    return bool(part) and any(whole[at : at + len(part)] == part for at in starts)
